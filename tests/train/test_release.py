from dataclasses import asdict

import pytest
import torch

from cmac_hub.config import DisplayConfig
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import build
from cmac_hub.model import CMAC
from cmac_hub.train import release as module
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.release import load_checkpoint, release


@pytest.fixture
def checkpoint(tiny, tmp_path):
    state = {"recipe": asdict(Recipe(steps=99)), "config": tiny.config.to_dict(), "step": 7, "model": tiny.state_dict()}
    return Checkpoints(tmp_path / "run").save(state, 7)


def test_a_release_is_the_network_and_says_how_it_was_made(checkpoint, tiny, tmp_path):
    release(checkpoint, tmp_path / "out", None, note="a test")
    model = build(tmp_path / "out", CMAC)
    for (name, one), two in zip(tiny.state_dict().items(), model.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    training = model.config.training
    assert training["note"] == "a test" and training["steps"] == 7 and training["clips"] == 7 * Recipe().batch
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]


def test_a_release_tells_of_the_weights_it_began_with(checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "before": {"clips": 1000, "note": "first"}}, checkpoint)
    training = release(checkpoint, tmp_path / "out", None).config.training
    assert training["before"] == {"clips": 1000, "note": "first"}
    assert training["clips"] == 1000 + 7 * Recipe().batch
    assert build(tmp_path / "out", CMAC).config.training == training


@pytest.mark.parametrize(("known", "new", "better"), [(0.3, -0.1, "prediction"), (-0.3, 0.1, "guidance")])
def test_a_release_draws_the_map_that_points_better_beside_silent_things(
    checkpoint, tmp_path, monkeypatch, known, new, better
):
    """`known` and `new`: by how much prediction points better than guidance there."""

    def evaluate(_, data, split, count):
        assert (data, split) == (tmp_path, "validation"), "nothing is chosen on test scenes"
        # Where nothing competes with the source, the other map is better: that must not count.
        return {
            which: {
                group: {"scores": {"guidance": {"pointing": 0.5}, "prediction": {"pointing": 0.5 + sign * lead}}}
                for group, sign in (("all", -1), ("1+", 1))
            }
            for which, lead in (("known", known), ("new", new))
        }

    limits = {"guidance": (0.1, 0.2), "prediction": (0.3, 0.4)}
    monkeypatch.setattr(module, "calibrate", lambda *_: limits)
    monkeypatch.setattr(module, "evaluate", evaluate)
    release(checkpoint, tmp_path / "out", tmp_path)
    assert build(tmp_path / "out", CMAC).config.display == DisplayConfig(**limits, default_map=better)


def test_what_is_no_checkpoint_is_said(tmp_path, checkpoint):
    (tmp_path / "text.pt").write_text("hello")
    for path in (tmp_path / "text.pt", tmp_path / "missing.pt"):
        with pytest.raises(CheckpointError, match="checkpoint"):
            load_checkpoint(path)
    model, recipe = load_checkpoint(checkpoint)
    assert not model.training and recipe["steps"] == 7
