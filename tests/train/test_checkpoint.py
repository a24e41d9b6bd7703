import errno

import pytest
import torch

from cmac_hub.errors import CheckpointError, CMACError
from cmac_hub.train.checkpoint import Checkpoints, check_same_run, read_checkpoint

STATE = {"recipe": {"batch": 4, "steps": 9}, "config": {"name": "tiny"}, "step": 1, "model": {"w": torch.ones(2)}}


def test_the_latest_few_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.folder.mkdir()
    (checkpoints.folder / ".cmac-01234567-0.part.pt").write_text("of a killed process")
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
    with pytest.raises(CMACError, match=r"the disk is full.*step_00000001\.pt is the last good one"):
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


def test_only_what_does_not_matter_may_change(recipe, tmp_path):
    def held(**changes):
        one = recipe.replace(**changes)
        return {"format_version": 2, "recipe": one.to_dict(), "config": one.config.to_dict()}

    for changes in (
        {"steps": 20, "warmup_steps": 1, "workers": 2, "name": "other"},
        {"accumulate": 2},
    ):
        check_same_run("x", held(), recipe.replace(**changes))
    recipe.config.save(tmp_path / "same.json")
    check_same_run("x", held(), recipe.replace(architecture=str(tmp_path / "same.json")))
    for changes, message in (
        ({"batch": 4}, "was trained with batch = 8, now it is 4"),
        ({"temperature": 0.5}, r"was trained with temperature = 0\.07, now it is 0\.5"),
        ({"architecture": "cmac-nano"}, "holds architecture 'tiny' with other numbers than the recipe's 'cmac-nano'"),
    ):
        with pytest.raises(CheckpointError, match=message):
            check_same_run("x", held(), recipe.replace(**changes))
    with pytest.raises(CheckpointError, match="accumulate = 1, now it is 2"):
        check_same_run("x", held(bank=0), recipe.replace(bank=0, accumulate=2))
