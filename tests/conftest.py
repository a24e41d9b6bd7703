"""Files to work on, a small network, and where the shared data lies when it is there."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from making import CMAC_NANO, tone, write_media
from PIL import Image

from cmac_hub.cli import main
from cmac_hub.config import CMACConfig
from cmac_hub.demo import KINDS, draw_background, draw_thing

# Kernels of Triton run on a CPU, in its interpreter; it asks when it is imported.
os.environ["TRITON_INTERPRET"] = "1"

# No test may depend on how busy the machine is.
settings.register_profile("cmac_hub", deadline=None)
settings.load_profile("cmac_hub")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


UNEXPECTED: list[str] = []
"""Tests that were skipped for another reason than the missing ../shared."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "../shared" not in str(report.longrepr):
        UNEXPECTED.append(f"{report.nodeid}: {report.longrepr[2] if isinstance(report.longrepr, tuple) else ''}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A test may be skipped for want of ../shared alone: what else is missing has to be installed."""
    if UNEXPECTED and exitstatus == 0:
        print("\nskipped, and must not be:", *UNEXPECTED, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared/data is not beside this checkout")
    return SHARED


@pytest.fixture
def copying():
    """Workers that copy what they need, unless one asks for another way: as it is from Python 3.14 on."""
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("forkserver", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture(scope="session")
def tiny_config() -> CMACConfig:
    """cmac-nano at a quarter of its width: fast, every part present."""
    return dataclasses.replace(
        CMAC_NANO,
        name="tiny",
        visual=dataclasses.replace(CMAC_NANO.visual, width=4, middle_multiple=1, size=32),
        audio=dataclasses.replace(CMAC_NANO.audio, width=4),
        attention=dataclasses.replace(CMAC_NANO.attention, filter_channels=16, embedding=8, saliency_channels=4),
    )


@pytest.fixture(scope="session")
def tiny_file(tiny_config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its config as a file, for recipes."""
    path = tmp_path_factory.mktemp("architecture") / "tiny.json"
    tiny_config.save(path)
    return str(path)


@pytest.fixture(scope="session")
def tiny(tiny_config):
    from cmac_hub.model import CMAC

    torch.manual_seed(0)
    return CMAC(tiny_config).eval()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of picture (25 frames a second, 96 x 64) and of a tone."""
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    return write_media(path, times=np.arange(75) / 25, size=(96, 64), sound=tone(3.0))


@pytest.fixture(scope="session")
def video_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of picture without a sound track."""
    return write_media(tmp_path_factory.mktemp("media") / "mute.mp4", times=np.arange(50) / 25, size=(96, 64))


@pytest.fixture(scope="session")
def audio_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a tone without picture."""
    return write_media(tmp_path_factory.mktemp("media") / "tone.m4a", sound=tone(2.0))


@pytest.fixture(scope="session")
def model_folder(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Your own pictures and sounds, of three things with files of every split."""
    root, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    for kind in KINDS[:3]:
        (root / "things" / kind).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(draw_thing(kind, rng, 48)).save(root / "things" / kind / f"{kind}{i}.png")
            write_media(root / "things" / kind / f"{kind}{i}.m4a", sound=tone(1.0, hertz=300 + 50 * i))
    for name in ("silent", "backgrounds"):
        (root / name).mkdir()
    Image.fromarray(draw_thing(KINDS[3], rng, 48)).save(root / "silent" / "one.png")
    for i in range(12):
        Image.fromarray(draw_background(rng, 160, 128)).save(root / "backgrounds" / f"{i}.jpg")
    return root


@pytest.fixture
def cmac(model_folder, capsys):
    """Runs a command; gives its exit code, stdout and stderr. An error must be one line, never a traceback."""

    def run(command: str, *arguments: object, model: object = model_folder) -> tuple[int, str, str]:
        extra = ["--model", str(model)] if model is not None else []
        code = main([command, *map(str, arguments), *extra])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run
