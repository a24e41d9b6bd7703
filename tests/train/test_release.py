from dataclasses import replace

import pytest
import torch

from cmac_hub.config import DisplayConfig
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import build
from cmac_hub.model import CMAC
from cmac_hub.train import release as module
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.evaluate.choosing import Mixture
from cmac_hub.train.evaluate.toolbox.scene_maps import MAPS
from cmac_hub.train.networks import load_checkpoint, training_summary
from cmac_hub.train.publish.folder import FILES, SUMS
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
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert files == sorted([*FILES, SUMS])


def test_a_card_lies_beside_the_weights_and_names_their_license(checkpoint, tmp_path):
    release(checkpoint, tmp_path / "out", None, license="cc-by-nc-4.0")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "\nlicense: cc-by-nc-4.0\n" in card and "library_name: cmac_hub" in card
    assert "```python\nfrom cmac_hub import load_cmac\n\nload_cmac(" in card
    (tmp_path / "out" / "README.md").write_text("mine")
    release(checkpoint, tmp_path / "out", None, license="mit")
    assert (tmp_path / "out" / "README.md").read_text() == "mine", "a card that is there is kept"


def test_the_card_of_a_network_without_maps_does_not_draw_any(tiny_config, tmp_path):
    CMAC(replace(tiny_config, visual=None, attention=None)).save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "```python\nfrom cmac_hub import CMAC\n\nCMAC.from_pretrained(" in card and "load_cmac" not in card
    assert "license: apache-2.0" in card and "{%" not in card


def test_what_was_not_measured_is_said(checkpoint, tmp_path, capsys):
    state = torch.load(checkpoint, weights_only=True)
    state["config"]["visual"]["map_shift"] = [0.25, 0.5]
    torch.save(state, checkpoint)
    config = release(checkpoint, tmp_path / "out", None).config
    assert config.visual.map_shift == (0.0, 0.0), "of the weights that a released architecture came with"
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "was not measured; give --data" in err
    config = {**state["config"], "visual": None, "attention": None}
    model = {name: one for name, one in state["model"].items() if name.startswith("audio_encoder")}
    torch.save({**state, "config": config, "model": model, "summary": {}}, checkpoint)
    release(checkpoint, tmp_path / "audio", None)
    assert not capsys.readouterr().err, "a network without maps has none to measure"


def test_a_released_folder_keeps_what_was_measured_until_it_is_measured_anew(tiny, tmp_path, monkeypatch, capsys):
    display = replace(tiny.config.display, visual_joint=(0.2, 0.6), default_map="joint")
    tiny.config = replace(tiny.config, display=display, training={"note": "first"})
    tiny.save_pretrained(tmp_path / "first")
    again = release(tmp_path / "first", tmp_path / "second", None)
    assert again.config.display == display and again.config.training == {"note": "first"}
    assert not capsys.readouterr().err
    for (name, one), two in zip(tiny.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    monkeypatch.setattr(module, "load_library", lambda *_, **__: None)
    monkeypatch.setattr(module, "measure_map_shift", lambda *_: (0.25, 0.5))
    monkeypatch.setattr(module, "measure_parts", lambda model, _: model.config.attention)
    monkeypatch.setattr(module, "grade_maps", lambda *_: [])
    monkeypatch.setattr(module, "choose_mixture", lambda _: Mixture(motion_weight=0.3))
    monkeypatch.setattr(module, "choose_map", lambda *_: "guidance")
    monkeypatch.setattr(module, "predict_shots", lambda *_: None)
    monkeypatch.setattr(module, "calibrate", lambda *_: {"visual_joint": (0.3, 0.4)})
    measured = release(tmp_path / "first", tmp_path / "third", tmp_path).config
    assert (measured.display.visual_joint, measured.display.default_map) == ((0.3, 0.4), "guidance")
    assert (measured.visual.map_shift, measured.attention.motion_weight) == ((0.25, 0.5), 0.3)


def test_of_a_run_the_weights_are_its_latest(checkpoint, tiny, tmp_path):
    """Also where a release lies in the same folder."""
    run = checkpoint.parents[1]
    other = CMAC(tiny.config)
    other.save_pretrained(run)
    for (name, one), two in zip(
        tiny.state_dict().items(), release(run, tmp_path / "out", None).state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name


def test_a_release_tells_of_the_weights_it_began_with(checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "before": {"clips": 1000, "note": "first"}}, checkpoint)
    training = release(checkpoint, tmp_path / "out", None).config.training
    assert training["before"] == {"clips": 1000, "note": "first"}
    assert training["clips"] == 1000 + 7 * Recipe().batch
    assert build(tmp_path / "out", CMAC).config.training == training


def test_a_release_chooses_on_validation_data_in_the_order_that_each_choice_needs(checkpoint, tmp_path, monkeypatch):
    limits = {f"{modality}_{which}": (0.1, 0.2) for modality in ("visual", "audio") for which in MAPS}

    def load_library(data, split, *_, **__):
        assert (data, split) == (tmp_path, "validation"), "nothing is chosen on test scenes"
        return "library"

    def measure_parts(model, library):
        assert (library, model.config.visual.map_shift) == ("library", (0.25, 0.5)), "measured before anything else"
        return replace(model.config.attention, visual_strength=(0.5, 2.0))

    def grade_maps(model, data):
        assert (data, model.config.attention.visual_strength) == (tmp_path, (0.5, 2.0))
        return "graded"

    def predict_shots(model, data):
        assert model.config.attention.motion_weight == 0.3 and data == tmp_path

    def calibrate(model, library, shots):
        assert (library, model.config.attention.motion_weight) == ("library", 0.3), "limits are those of the mixed map"
        assert shots is None
        return limits

    monkeypatch.setattr(module, "load_library", load_library)
    monkeypatch.setattr(module, "measure_map_shift", lambda *_: (0.25, 0.5))
    monkeypatch.setattr(module, "measure_parts", measure_parts)
    monkeypatch.setattr(module, "grade_maps", grade_maps)
    mixture = Mixture(strength_weight=0.1, motion_weight=0.3, joint_smoothing=2, affinity_temperature=0.15)
    monkeypatch.setattr(module, "choose_mixture", {"graded": mixture}.__getitem__)
    monkeypatch.setattr(module, "choose_map", lambda *given: {("graded", mixture): "joint"}[given])
    monkeypatch.setattr(module, "predict_shots", predict_shots)
    monkeypatch.setattr(module, "calibrate", calibrate)
    release(checkpoint, tmp_path / "out", tmp_path)
    config = build(tmp_path / "out", CMAC).config
    assert config.display == DisplayConfig(**limits, default_map="joint")
    assert config.visual.map_shift == (0.25, 0.5)
    attention = config.attention
    assert {name: getattr(attention, name) for name in mixture._fields} == mixture._asdict()
    assert attention.visual_strength == (0.5, 2.0)


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
