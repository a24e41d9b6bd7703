import math

import pytest
import torch
from torch import nn

from cmac_hub.train.distributed import World
from cmac_hub.train.modules import make_modules
from cmac_hub.train.optimization import learning_rate, make_optimizer, set_training
from cmac_hub.train.recipe import Recipe, RecipeError, load_recipe

NORMS = nn.modules.batchnorm._BatchNorm


def test_the_learning_rate_rises_stays_and_falls():
    recipe = Recipe(steps=100, warmup_steps=10, decay_steps=20, learning_rate=2.0)
    rates = [learning_rate(recipe, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[9:81] == pytest.approx([2.0] * 72)
    assert rates[90] == pytest.approx(1 - math.cos(math.pi / 2)) and rates[100] == 0
    cosine = recipe.replace(decay_steps=0)
    assert learning_rate(cosine, 55) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_only_matrices_and_filters_decay(name, kind):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    network[2].weight.requires_grad_(False)
    optimizer = make_optimizer(Recipe(optimizer=name, weight_decay=0.3, learning_rate=0.2), network)
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    told = {name: decay.get(id(p)) for name, p in network.named_parameters()}
    assert told == {
        "0.weight": 0.3, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0, "2.weight": None, "2.bias": 0.0,
    }  # fmt: skip
    assert all(group["lr"] == 0.2 for group in optimizer.param_groups)


def test_frozen_batch_norms_stay_as_they_are():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    set_training(network, Recipe(frozen_batch_norm=True))
    assert network[0].training and not network[1].training
    set_training(network, Recipe())
    assert network[1].training


def test_momentum_networks_and_frozen_stages_keep_their_statistics():
    recipe = load_recipe("lite", bank=64, batch=4, size=64, frozen_stages=2, trunk_rate=1.0)
    parts = make_modules(recipe, None, World())
    for network in (parts.model, parts.momentum.network):
        still = [name for name, one in network.named_modules() if isinstance(one, NORMS) and not one.training]
        assert any(name.startswith("audio_encoder") for name in still) == (recipe.audio_rate < 1)
        assert any(".stages.1." in name for name in still) and not any(".stages.2." in name for name in still)
    slow = make_modules(load_recipe("lite", bank=64, batch=4, size=64), None, World())
    modes = [{n: m.training for n, m in one.named_modules()} for one in (slow.model, slow.momentum.network)]
    assert all(modes[0][name] == mode for name, mode in modes[1].items() if name)
    assert not modes[1]["visual_encoder.trunk"]


def test_a_rate_of_a_trunk_that_is_not_there_is_refused():
    with pytest.raises(RecipeError, match=r"'trunk_rate' is 0.5; it is of a trunk"):
        make_modules(load_recipe("nano", trunk_rate=0.5), None, World())
