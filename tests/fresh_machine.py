"""Installs what a release would be on machines that have nothing: `python tests/fresh_machine.py --work FOLDER`.

Wheel and source archive are built and checked; each is installed into an empty environment with the oldest and with the
newest versions that `pyproject.toml` allows, and there the README's first command and the tests of its numbers run
without a network. Needs `uv` and `twine`; PyTorch is downloaded, some gigabytes a resolution, and kept in uv's cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

MUST_HOLD = (
    *(f"cmac_hub/weights/{name}/model.safetensors" for name in ("cmac-lite", "cmac-nano")),
    *("cmac_hub/train/recipes/nano.json", "cmac_hub/py.typed"),
)
"""Files that are no Python, and easily left out of a package."""

TESTS = ("tests/test_golden.py", "tests/test_files.py", "tests/cli/test_features.py", "tests/media/test_reader.py")

OFFLINE = {"HF_HUB_OFFLINE": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}


def call(*words: object, **how: object) -> None:
    """Runs a program and ends with its error."""
    line = [str(word) for word in words]
    print("$", *line, flush=True)
    subprocess.run(line, check=True, **how)  # type: ignore[call-overload]


def build(dist: Path) -> None:
    """Makes the source archive, and the wheel from it."""
    shutil.rmtree(dist, ignore_errors=True)
    call("uv", "build", "--quiet", "--out-dir", dist, ROOT)


def check(dist: Path) -> tuple[Path, Path]:
    """The wheel and the source archive of a folder, looked through."""
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    call("twine", "check", "--strict", wheel, archive)
    with zipfile.ZipFile(wheel) as packed, tarfile.open(archive) as source:
        inside, sources = packed.namelist(), set(source.getnames())
        missing = [name for name in MUST_HOLD if name not in inside]
        missing += [name for name in inside if ".dist-info" not in name and f"{_stem(archive)}/{name}" not in sources]
    if missing:
        sys.exit(f"missing in the wheel or in the source archive: {', '.join(missing)}")
    return wheel, archive


def _stem(archive: Path) -> str:
    return archive.name.removesuffix(".tar.gz")


def try_out(work: Path, artifact: Path, archive: Path, python: str, resolution: str) -> None:
    """Installs one artifact into an empty environment and uses it."""
    place = work / f"{python}-{resolution}-{'sdist' if artifact == archive else 'wheel'}"
    shutil.rmtree(place, ignore_errors=True)
    call("uv", "venv", "--quiet", "--python", python, place / "venv")
    versions = place / "versions.txt"
    how = ["--quiet", "--no-header", "--no-annotate", "--extra", "test", "--python", place / "venv"]
    call("uv", "pip", "compile", *how, "--resolution", resolution, "-o", versions, ROOT / "pyproject.toml")
    call("uv", "pip", "install", "--quiet", "--python", place / "venv", "-r", versions)
    call("uv", "pip", "install", "--quiet", "--python", place / "venv", "--no-deps", artifact)
    with tarfile.open(archive) as source:
        source.extractall(place, filter="data")
    tests = place / _stem(archive)
    # Only what was installed may be found, not the sources beside the tests.
    shutil.rmtree(tests / "cmac_hub")
    programs = place / "venv" / "bin"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | OFFLINE
    call(programs / "cmac", "demo", "-o", place / "demo", env=environment)
    call(programs / "python", "-m", "pytest", "-q", "-n", "0", *TESTS, cwd=tests, env=environment)
    for name in ("torch", "numpy", "av", "huggingface-hub", "safetensors", "pillow", "matplotlib", "tqdm"):
        print(next(line for line in versions.read_text().splitlines() if line.startswith(f"{name}==")))
    print(f"{place.name}: works", flush=True)
    shutil.rmtree(place)


def main() -> None:
    """Everything, or what was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for environments, 7 GB each, one at a time")
    parser.add_argument("--python", nargs="+", default=["3.11"], help="versions, as uv finds them")
    parser.add_argument("--resolution", nargs="+", default=["lowest-direct", "highest"])
    parser.add_argument("--artifact", nargs="+", choices=["wheel", "sdist"], default=["wheel", "sdist"])
    parser.add_argument("--dist", type=Path, help="folder of a wheel and its source archive; default: they are built")
    options = parser.parse_args()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    if options.dist is None:
        build(work / "dist")
    wheel, archive = check((options.dist or work / "dist").absolute())
    for python in options.python:
        for resolution in options.resolution:
            for artifact in options.artifact:
                try_out(work, wheel if artifact == "wheel" else archive, archive, python, resolution)


if __name__ == "__main__":
    main()
