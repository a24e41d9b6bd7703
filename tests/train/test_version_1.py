"""A run of version 0.1.0 is loaded, released and resumed. The package does not know its architecture by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from cmac_hub.config import CMACConfig
from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train.ablate import _has_begun
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.networks import load_checkpoint
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import Recipe, upgrade
from cmac_hub.train.release import release

RUN = Path(__file__).parents[1] / "data" / "version_1" / "run"


def test_its_network_loads_and_says_how_it_was_made():
    model, recipe = load_checkpoint(RUN)
    assert not model.training and (recipe["ema_momentum"], recipe["reduction"], recipe["steps"]) == (0.9, "mean", 2)
    training = model.config.training
    assert (training["recipe_name"], training["reduction"], training["bank"]) == ("version 1", "mean", 6)
    assert (training["steps"], training["clips"]) == (2, 8) and "architecture" not in training


def test_it_is_released(tmp_path):
    release(RUN, tmp_path / "out", None)
    kept = read_checkpoint(RUN)["model"]
    for name, value in CMAC.from_pretrained(str(tmp_path / "out")).state_dict().items():
        assert torch.equal(value, kept[name]), name


def test_it_is_resumed(tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    before = read_checkpoint(run)
    CMACConfig.from_dict(before["config"]).save(tmp_path / "tiny.json")
    recipe = Recipe.from_dict({**upgrade(before["recipe"], 1), "architecture": str(tmp_path / "tiny.json")})
    model = pretrain(recipe.replace(steps=3), None, run, resume=True, progress=False)
    told = [line for line in capsys.readouterr().err.splitlines() if "began with version 0.1.0" in line]
    assert len(told) == 1 and "windows" in told[0] and "pyramid" in told[0]
    pretrain(recipe.replace(steps=4), None, run, resume=True, progress=False)
    assert "0.1.0" not in capsys.readouterr().err, "it is told once"
    after = read_checkpoint(run)
    assert (after["step"], after["format_version"]) == (4, 2) and "ema_momentum" in after["recipe"]
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before["model"][name])]
    assert moved
    # The momentum copy went on from its old weights, under new names.
    old = before["momentum"]["encoders.visual.stem.0.weight"]
    new = after["momentum"]["network.visual_encoder.stem.0.weight"]
    trained = after["model"]["visual_encoder.stem.0.weight"]
    assert (new - old).abs().max() < (trained - old).abs().max()
    assert after["bank"]["video_K"].tolist() != before["bank"]["video_K"].tolist()


def test_the_recipe_of_its_folder_is_refused_with_a_hint(tmp_path):
    values = json.loads((RUN / "recipe.json").read_text())
    with pytest.raises(ValueError, match="'momentum' is called 'ema_momentum' now; rename it"):
        Recipe.from_dict(values)


def test_a_table_goes_on_with_its_row(tmp_path):
    """`recipe.json` has the keys of its version; the checkpoint says which that is."""
    shutil.copytree(RUN, tmp_path / "run")
    began = upgrade(read_checkpoint(RUN)["recipe"], 1)
    CMACConfig.from_dict(read_checkpoint(RUN)["config"]).save(tmp_path / "tiny.json")
    recipe = Recipe.from_dict({**began, "architecture": str(tmp_path / "tiny.json")})
    (tmp_path / "run" / "recipe.json").unlink()
    assert _has_begun(tmp_path / "run", recipe) and not _has_begun(tmp_path / "none", recipe)
    with pytest.raises(CMACError, match=f"has steps {recipe.steps}, not 99"):
        _has_begun(tmp_path / "run", recipe.replace(steps=99))
