import pytest
import torch

from cmac_hub.config import DisplayConfig
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import build
from cmac_hub.model import CMAC
from cmac_hub.train import release as module
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.networks import load_checkpoint, training_summary
from cmac_hub.train.recipe import Recipe, load_recipe
from cmac_hub.train.release import release


@pytest.fixture
def checkpoint(tiny, tmp_path):
    state = {
        "format_version": 2,
        "recipe": Recipe(steps=99).to_dict(),
        "config": tiny.config.to_dict(),
        "step": 7,
        "model": tiny.state_dict(),
    }
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

    limits = {
        "visual_guidance": (0.1, 0.2),
        "visual_prediction": (0.3, 0.4),
        "audio_guidance": (0.5, 0.6),
        "audio_prediction": (0.7, 0.8),
    }

    def calibrate(model, library):
        assert (library, model.config.visual.map_shift) == ("library", (0.25, 0.5)), "measured before anything else"
        return limits

    monkeypatch.setattr(module, "load_library", lambda *_: "library")
    monkeypatch.setattr(module, "measure_map_shift", lambda *_: (0.25, 0.5))
    monkeypatch.setattr(module, "calibrate", calibrate)
    monkeypatch.setattr(module, "evaluate", evaluate)
    release(checkpoint, tmp_path / "out", tmp_path)
    config = build(tmp_path / "out", CMAC).config
    assert config.display == DisplayConfig(**limits, default_map=better)
    assert config.visual.map_shift == (0.25, 0.5)


def test_what_is_no_checkpoint_is_said(tmp_path, checkpoint):
    (tmp_path / "text.pt").write_text("hello")
    for path in (tmp_path / "text.pt", tmp_path / "missing.pt"):
        with pytest.raises(CheckpointError, match="checkpoint"):
            load_checkpoint(path)
    model, recipe = load_checkpoint(checkpoint)
    assert not model.training and recipe["steps"] == 7


def test_an_ablation_says_what_it_is():
    recipe = load_recipe("ablation/single_modality")
    summary = training_summary({"format_version": 2, "recipe": recipe.to_dict(), "step": 1})
    assert summary["recipe_name"] == "ablation/single_modality" and summary["cross_modal"] is False
    assert summary["consistency_weight"] == 0 and "temperature" not in summary, "what is as the paper's is left out"
