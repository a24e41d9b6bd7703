import errno

import pytest
import torch

from cmac_hub.errors import CheckpointError, CMACError
from cmac_hub.train.checkpoint import Checkpoints, check_same_run, read_checkpoint

STATE = {"recipe": {"batch": 4, "steps": 9}, "config": {"name": "tiny"}, "step": 1, "model": {"w": torch.ones(2)}}


def test_the_latest_few_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 6):
        checkpoints.save({**STATE, "step": step}, step)
    assert sorted(p.name for p in checkpoints.folder.iterdir()) == ["step_00000004.pt", "step_00000005.pt"]
    assert checkpoints.latest().name == "step_00000005.pt"
    assert read_checkpoint(tmp_path)["step"] == 5, "a run folder stands for its latest"
    assert Checkpoints(tmp_path / "none").latest() is None


def test_a_full_disk_costs_no_good_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(STATE, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CMACError, match=r"No space left.*step_00000001\.pt is the last good one"):
        checkpoints.save(STATE, 2)
    assert [p.name for p in checkpoints.folder.iterdir()] == ["step_00000001.pt"]


def test_what_is_no_checkpoint(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    torch.save({"step": 1}, tmp_path / "other.pt")
    for name in ("text.pt", "other.pt"):
        with pytest.raises(CheckpointError, match="is no training checkpoint"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "none.pt")


def test_only_what_does_not_matter_may_change():
    check_same_run("x", STATE, {"batch": 4, "steps": 20, "new_key": 1}, {"name": "tiny"})
    with pytest.raises(CheckpointError, match="was trained with batch = 4, now it is 8"):
        check_same_run("x", STATE, {"batch": 8, "steps": 9}, {"name": "tiny"})
    parts = {"accumulate": 4, "bank": 100}
    check_same_run("x", {**STATE, "recipe": {"accumulate": 1, "bank": 100}}, parts, {"name": "tiny"})
    with pytest.raises(CheckpointError, match="accumulate = 1, now it is 4"):
        check_same_run("x", {**STATE, "recipe": {"accumulate": 1, "bank": 0}}, {**parts, "bank": 0}, {"name": "tiny"})
    with pytest.raises(CheckpointError, match="holds architecture 'tiny'"):
        check_same_run("x", STATE, {"batch": 4}, {"name": "nano"})
