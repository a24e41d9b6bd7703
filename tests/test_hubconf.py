"""torch.hub: load, list, help, from this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = str(Path(__file__).resolve().parents[1])


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


def test_list_shows_the_entries_alone():
    assert torch.hub.list("owner/cmac-hub", skip_validation=True, trust_repo=True) == ["cmac", "cmac_parts"]


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
