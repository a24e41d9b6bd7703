"""torch.hub: load, list, help, from this repository."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = str(Path(__file__).resolve().parents[1])

ENTRIES = ["cmac", "cmac_audio_encoder", "cmac_lite", "cmac_nano", "cmac_parts", "cmac_visual_encoder"]


@pytest.fixture(autouse=True)
def own_hub_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_get_cache_or_reload", lambda *_, **__: ROOT)


def test_load():
    from cmac_hub import CMAC
    from cmac_hub.config import DEFAULT_NETWORK

    model = torch.hub.load(ROOT, "cmac", source="local")
    assert isinstance(model, CMAC) and model.config.name == DEFAULT_NETWORK
    visual, _, visualizer = torch.hub.load(ROOT, "cmac_parts", source="local")
    assert visualizer.model.visual_encoder is visual


def test_each_network_and_each_half():
    for entry in ("cmac_nano", "cmac_lite"):
        assert torch.hub.load(ROOT, entry, source="local").config.name == entry.replace("_", "-")
    visual = torch.hub.load(ROOT, "cmac_visual_encoder", source="local")
    audio = torch.hub.load(ROOT, "cmac_audio_encoder", "cmac-nano", source="local", dtype=torch.bfloat16)
    assert audio.channels == 128
    assert visual(torch.zeros(1, 3, 8, 32, 32)).shape[:2] == (1, visual.channels) and not visual.training
    assert next(audio.parameters()).dtype == torch.bfloat16


def test_every_released_network_has_an_entry():
    from cmac_hub.hub import REGISTERED

    assert {name.replace("-", "_") for name in REGISTERED} <= set(ENTRIES)


ARCHIVE = """
import shutil, sys, torch
asked = []
def download(url, path, *_, **__):
    asked.append(url)
    shutil.copy(sys.argv[1], path)
torch.hub.download_url_to_file = download
how = {"trust_repo": True, "skip_validation": True}
print(">", torch.hub.list("owner/cmac-hub:v0.2.0", **how))
print(">", "real videos" in torch.hub.help("owner/cmac-hub:v0.2.0", "cmac_lite", **how))
model = torch.hub.load("owner/cmac-hub:v0.2.0", "cmac_nano", **how)
import cmac_hub
print(">", model.config.name, cmac_hub.__file__)
print(">", asked)
"""


def test_an_archive_of_a_tag_needs_no_installation(tmp_path):
    """As GitHub packs it: one folder around all of the repository."""
    archive = tmp_path / "v0.2.0.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.mkdir("cmac-hub-0.2.0")
        file.write(Path(ROOT) / "hubconf.py", "cmac-hub-0.2.0/hubconf.py")
        for path in sorted((Path(ROOT) / "cmac_hub").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                file.write(path, Path("cmac-hub-0.2.0") / path.relative_to(ROOT))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ARCHIVE, str(archive)],
        env={**environment, "TORCH_HOME": str(tmp_path / "torch")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # Behind what torch.hub itself says.
    entries, helped, loaded, asked = (line[2:] for line in done.stdout.splitlines() if line.startswith("> "))
    assert entries == str(ENTRIES) and helped == "True"
    assert loaded.startswith(f"cmac-nano {tmp_path / 'torch' / 'hub'}/owner_cmac-hub_v0.2.0/"), loaded
    assert asked == "['https://github.com/owner/cmac-hub/zipball/v0.2.0']"


def test_list_shows_the_entries_alone():
    assert torch.hub.list("owner/cmac-hub", skip_validation=True, trust_repo=True) == ENTRIES


def test_help_reads_well():
    text = torch.hub.help("owner/cmac-hub", "cmac", skip_validation=True, trust_repo=True)
    assert "eval mode" in text
    assert "Example" in text


def test_what_is_missing_is_named():
    """A machine without PyAV: torch.hub says so before anything of ours is imported."""
    code = (
        "import importlib.util as u, sys, torch; find = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name == 'av' else find(name, *rest); sys.modules['av'] = None; "
        f"torch.hub.load({ROOT!r}, 'cmac', source='local')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == "RuntimeError: Missing dependencies: av"
