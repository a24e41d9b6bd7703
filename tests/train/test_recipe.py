import json

import pytest

from cmac_hub.train.recipe import Recipe, RecipeError, build, load_recipe, names


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
    assert (recipe.temperature, recipe.bank, recipe.momentum) == (0.07, 15000, 0.999)
    assert (recipe.consistency_weight, recipe.within_negatives, recipe.within_positives) == (1.5, True, False)
    assert recipe.color_jitter
    config = recipe.config
    assert (config.visual.frames, config.visual.size, config.audio.mel_bands) == (32, 128, 257)
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
        (lambda: load_recipe("nano", architecture="huge"), "'architecture' is 'huge'; accepted are"),
        (lambda: build({"batch": 0}), "'batch' is 0; it must be at least 1"),
        (lambda: build({"bank": -1}), "'bank' is -1; it must not be negative"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(RecipeError, match=message):
        call()
