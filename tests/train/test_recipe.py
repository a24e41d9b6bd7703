import dataclasses
import json

import pytest

from cmac_hub.train.recipe import Recipe, RecipeError, load_recipe, names


def test_every_recipe_of_the_package_loads_and_is_named_after_its_file():
    assert "nano" in names()
    for name in names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.config.name == recipe.architecture


def test_overrides_and_files(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"steps": 10, "learning_rate": 1}))
    recipe = load_recipe(str(path), batch=4)
    assert (recipe.steps, recipe.learning_rate, recipe.batch) == (10, 1, 4)
    assert load_recipe("nano") == Recipe(**dataclasses.asdict(load_recipe("nano")))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_recipe("nanno"), "unknown recipe 'nanno'.*did you mean 'nano'"),
        (lambda: load_recipe("nano", learning_rat=1.0), "did you mean 'learning_rate'"),
        (lambda: load_recipe("nano", steps="many"), "'steps' is 'many'; expected a int"),
        (lambda: load_recipe("nano", architecture="huge").config, "unknown architecture 'huge'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(RecipeError, match=message):
        call()
