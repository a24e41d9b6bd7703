import dataclasses
import json

import pytest
from making import CMAC_NANO

from cmac_hub.config import DisplayConfig, architecture
from cmac_hub.errors import CheckpointError
from cmac_hub.train.checkpoint import check_same_run
from cmac_hub.train.objective import ObjectiveSettings
from cmac_hub.train.recipe import Recipe, RecipeError, load_recipe, names, upgrade


def test_every_recipe_of_the_package_loads_and_says_what_it_is():
    assert {"nano", "kinetics400", "audioset", "ablation/base"} <= set(names())
    for name in names():
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.about
        assert recipe.config.name == recipe.architecture


def test_kinetics400_is_section_4_1_to_the_letter():
    recipe = load_recipe("kinetics400")
    assert (recipe.architecture, recipe.epochs, recipe.warmup_epochs, recipe.batch) == ("cmac-base", 200, 10, 128)
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("sgd", 0.01, 1e-5)
    assert (recipe.objective.temperature, recipe.bank, recipe.ema_momentum) == (0.07, 15000, 0.999)
    assert recipe.objective == ObjectiveSettings(), "L_ac is a sum, as Eq. 6 is written"
    assert recipe.color_jitter
    config = recipe.config
    assert (config.visual.frames, config.visual.size, config.audio.n_mels) == (32, 128, 257)
    assert (config.attention.filter_channels, config.attention.embedding, config.attention.scales) == (512, 256, 2)


def test_ablations_are_section_4_3_and_count_the_steps_of_table_3():
    for name in names():
        if name.startswith("ablation/"):
            recipe = load_recipe(name)
            assert (recipe.epochs, recipe.batch, recipe.color_jitter) == (50, 64, False)
    assert load_recipe("ablation/base").epoch_steps() == 3509
    assert load_recipe("ablation/within_positives").epoch_steps() == 7018


def test_files_extend_recipes_and_overrides_win(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"extends": "nano", "steps": 10, "learning_rate": 1}))
    recipe = load_recipe(str(path), batch=4)
    assert (recipe.name, recipe.steps, recipe.learning_rate, recipe.batch) == ("mine", 10, 1, 4)
    assert recipe.architecture == "cmac-nano"


def test_the_attention_of_a_recipe_reaches_the_config():
    attention = Recipe(normalization="softmax", scales=3, shared_head=False).config.attention
    assert (attention.normalization, attention.scales, attention.shared_head) == ("softmax", 3, False)


def test_steps_and_epochs():
    recipe = Recipe(epochs=3, batch=10, warmup_epochs=1)
    assert recipe.total_steps(videos=100) == 30 and recipe.rising_steps(videos=100) == 10
    base = load_recipe("ablation/base")
    assert base.rising_steps() == 10 * base.epoch_steps(), "as the paper"
    assert Recipe(steps=7).rising_steps(videos=10**6) == 3, "half of a short run"
    assert Recipe(steps=7).total_steps(videos=100) == 7


def test_circles_are_named(tmp_path, monkeypatch):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.json").write_text(json.dumps({"extends": str(tmp_path / f"{other}.json")}))
    with pytest.raises(RecipeError, match="in a circle"):
        load_recipe(str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_recipe("nanno"), "unknown recipe 'nanno'.*did you mean 'nano'"),
        (lambda: load_recipe("none.json"), "there is no recipe file none.json"),
        (lambda: load_recipe("nano", learning_rat=1.0), "did you mean 'learning_rate'"),
        (lambda: load_recipe("nano", steps="many"), "'steps' is 'many'; expected whole number"),
        (lambda: load_recipe("nano", bf16=1), "'bf16' is 1; expected true or false"),
        (lambda: load_recipe("nano", momentum=0.9), "'momentum' is called 'ema_momentum' now"),
        (lambda: load_recipe("nano", objective={}), "unknown recipe key 'objective'"),
        (lambda: load_recipe("nano", optimizer="lion"), "'optimizer' is 'lion'; accepted are sgd, adamw"),
        (lambda: load_recipe("nano", scenes="hard"), "'scenes' is 'hard'; accepted are easy, mixed"),
        (lambda: load_recipe("nano", batch=0), "'batch' is 0; it must be at least 1"),
        (lambda: load_recipe("nano", bank=-1), "'bank' is -1; it must be at least 0"),
        (lambda: load_recipe("nano", padded_planes=0), "'padded_planes' is 0; it must be at least 1"),
        (lambda: load_recipe("nano", blur=1.5), "'blur' is 1.5; it must be from 0 to 1"),
        (lambda: load_recipe("nano", background_loudest=-30), "'background_loudest' is -30; it must be at least -25.0"),
        (lambda: load_recipe("nano", reduction="max"), "'reduction' is 'max'; accepted are sum, mean"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(RecipeError, match=message):
        call()


def test_an_unknown_architecture_is_named():
    with pytest.raises(
        CheckpointError, match="unknown architecture 'huge'; accepted are cmac-base, cmac-lite, cmac-nano"
    ):
        load_recipe("nano", architecture="huge")


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"ema_momentum": 1.5},
        {"ema_momentum": -0.1},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"broken_share": -1.0},
        {"decay_steps": -5},
        {"warmup_steps": -5},
        {"warmup_epochs": -1},
        {"weight_decay": -0.1},
        {"consistency_weight": -1.0},
        {"mil_weight": -1.0},
        {"seed": -1},
        {"consistency_weight": float("inf")},
        {"learning_rate": float("inf")},
        {"weight_decay": float("nan")},
    ],
)
def test_impossible_numbers_are_refused(change):
    with pytest.raises(RecipeError, match="it must be"):
        Recipe().replace(**change)


def test_the_keys_of_the_objective_are_flat():
    recipe = Recipe(objective=ObjectiveSettings(temperature=0.2), batch=4)
    values = recipe.to_dict()
    assert values["temperature"] == 0.2 and values["batch"] == 4 and "objective" not in values
    assert Recipe.from_dict(json.loads(json.dumps(values))) == recipe
    assert recipe.replace(temperature=0.3).objective == ObjectiveSettings(temperature=0.3)


def test_nano_takes_the_mean_over_positions_until_its_last_part():
    found = {name: load_recipe(name).objective.reduction for name in names() if name.startswith("nano")}
    assert found == {"nano": "mean", "nano_drawn": "mean", "nano_more": "mean", "nano_notes": "mean", "nano_96": "sum"}


def test_an_architecture_of_ones_own(tmp_path):
    dataclasses.replace(CMAC_NANO, name="mine").save(tmp_path / "mine.json")
    recipe = load_recipe("nano", architecture=str(tmp_path / "mine.json"), size=32)
    assert (recipe.config.name, recipe.config.visual.size) == ("mine", 32)
    (tmp_path / "recipe.json").write_text(json.dumps({"extends": "nano", "architecture": "mine.json"}))
    assert load_recipe(str(tmp_path / "recipe.json")).config.name == "mine", "relative to the recipe's folder"
    with pytest.raises(CheckpointError, match=r"none\.json"):
        load_recipe("nano", architecture="none.json")


def test_a_released_config_gives_its_architecture_alone(tmp_path):
    visual = dataclasses.replace(CMAC_NANO.visual, map_shift=(0.2, 0.1))
    attention = dataclasses.replace(CMAC_NANO.attention, strength_weight=0.1, audio_strength=(1.0, 16.0))
    measured = {"display": DisplayConfig(default_map="joint"), "license": "cc-by-nc-4.0", "training": {"steps": 7}}
    released = dataclasses.replace(CMAC_NANO, visual=visual, attention=attention, **measured)
    released.save(tmp_path / "config.json")
    recipe = load_recipe("nano", architecture=str(tmp_path / "config.json"))
    assert recipe.config == load_recipe("nano").config == CMAC_NANO
    # A run of an older version kept them, and goes on.
    check_same_run("x", {"format_version": 2, "recipe": recipe.to_dict(), "config": released.to_dict()}, recipe)


def test_a_recipe_of_version_1_keeps_its_meaning():
    found = upgrade({"momentum": 0.9, "batch": 4}, 1)
    assert found == Recipe().replace(ema_momentum=0.9, batch=4, reduction="mean").to_dict()
    assert upgrade({"batch": 4}, 2)["reduction"] == "sum"
    with pytest.raises(RecipeError, match="unknown recipe keys momentum"):
        upgrade({"momentum": 0.9}, 2)
    with pytest.raises(CheckpointError, match="format version 3, this package reads up to 2"):
        upgrade({}, 3)


def test_an_architecture_file_keeps_its_own_attention_unless_the_recipe_says_otherwise(tmp_path):
    nano = architecture("cmac-nano")
    own = dataclasses.replace(nano.require_attention(), scales=3, normalization="softmax", shared_head=False)
    dataclasses.replace(nano, attention=own).save(tmp_path / "my.json")
    recipe = load_recipe("nano", architecture=str(tmp_path / "my.json"))
    assert recipe.config.attention == own
    asked = recipe.replace(scales=1, normalization="none").config.attention
    assert (asked.scales, asked.normalization, asked.shared_head) == (1, "none", False)
    assert load_recipe("nano", shared_head=False).config.attention.shared_head is False
    assert load_recipe("nano").config.attention == nano.attention


def test_a_batch_fills_its_tiles():
    assert load_recipe("lite_tiles", batch=8).tiles == 2
    with pytest.raises(RecipeError, match=r"'tiles' is 2, and 6 clips at once .* make batch a multiple of 8"):
        load_recipe("lite_tiles", batch=12, accumulate=2)
