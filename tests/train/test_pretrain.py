import csv
import dataclasses
import math

import pytest
import torch

from cmac_hub.config import ARCHITECTURES
from cmac_hub.errors import CMACError
from cmac_hub.train import pretrain as module
from cmac_hub.train.__main__ import main
from cmac_hub.train.pretrain import learning_rate, pretrain
from cmac_hub.train.recipe import Recipe


@pytest.fixture
def recipe(tiny_config, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny_config)
    monkeypatch.setattr(module, "_stop_on_signals", list)
    return Recipe(architecture="tiny", batch=8, steps=6, warmup_steps=2, decay_steps=2, workers=0, checkpoint_every=3)


def test_the_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=100, warmup_steps=10, decay_steps=20, learning_rate=2.0)
    rates = [learning_rate(recipe, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[9:81] == pytest.approx([2.0] * 72)
    assert rates[90] == pytest.approx(1 - math.cos(math.pi / 2)) and rates[100] == 0


def test_a_resumed_run_equals_an_unbroken_one(recipe, tmp_path):
    whole = pretrain(recipe, None, tmp_path / "whole", progress=False)
    pretrain(dataclasses.replace(recipe, steps=3, decay_steps=0), None, tmp_path / "parts", progress=False)
    # The first part must see the schedule of the whole run; it is constant there.
    parts = pretrain(recipe, None, tmp_path / "parts", progress=False)
    for (name, one), two in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


def test_a_run_learns_logs_and_keeps_its_recipe(recipe, tmp_path):
    longer = dataclasses.replace(recipe, steps=50, batch=4)
    model = pretrain(longer, None, tmp_path, progress=False)
    assert not model.training
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["50"]
    assert float(rows[0]["contrastive"]) > 0 and float(rows[0]["clips_per_second"]) > 0
    assert (tmp_path / "recipe.json").exists() and not list(tmp_path.glob("*.part"))


def test_a_signal_ends_the_run_with_a_checkpoint(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_stop_on_signals", lambda: [15])
    pretrain(recipe, None, tmp_path, progress=False)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 0


def test_another_architecture_does_not_overwrite_a_run(recipe, tmp_path):
    pretrain(dataclasses.replace(recipe, steps=1), None, tmp_path, progress=False)
    with pytest.raises(CMACError, match="choose another output folder"):
        pretrain(dataclasses.replace(recipe, architecture="cmac-nano"), None, tmp_path, progress=False)


def test_a_loss_that_is_no_number_stops_the_run(recipe, tmp_path):
    with pytest.raises(CMACError, match="the loss is inf at step 0"):
        pretrain(dataclasses.replace(recipe, consistency_weight=math.inf), None, tmp_path, progress=False)


def test_dry_run_prints_the_recipe_without_data(capsys):
    assert main(["pretrain", "--set", "steps=15000", "--dry-run"]) == 0
    assert "steps                15000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain"], "say -o runs/NAME"),
        (["pretrain", "--set", "steps", "-o", "x"], "expected KEY=VALUE"),
        (["pretrain", "--recipe", "nanno", "--dry-run"], "did you mean 'nano'"),
        (["localize", "--data", "/nowhere"], "has no folder 'scenes'"),
        (["release", "/nowhere/checkpoint.pt", "-o", "x"], "there is no checkpoint"),
    ],
)
def test_a_wrong_call_is_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
