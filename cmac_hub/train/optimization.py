"""How the weights of a run change: the learning rate over its steps, the optimizer, which norms learn."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from cmac_hub.train.recipe import Recipe, RecipeError


def learning_rate(recipe: Recipe, step: int, videos: int | None = None) -> float:
    """Linear warm-up, constant, half a cosine down over the last `decay_steps` (0: all after the warm-up)."""
    total, rising = recipe.total_steps(videos), recipe.rising_steps(videos)
    return recipe.learning_rate * rise_and_fall(step, total, rising, recipe.decay_steps or total - rising)


def rise_and_fall(step: int, total: int, rising: int, falling: int) -> float:
    """Share of the highest learning rate: linear over `rising` steps, half a cosine over the last `falling` ones."""
    rise = min(1.0, (step + 1) / max(1, rising))
    left = min(1.0, (total - step) / max(1, falling))
    return rise * (1 - math.cos(math.pi * left)) / 2


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """SGD as in the paper, or AdamW; weight decay on matrices and filters alone.

    Each group has a "rate", its learning rate as a share of the run's: that of a trained encoder may be smaller.
    """
    rates = {id(p): rate for part, rate in slow_parts(model, recipe) for p in part.parameters()}
    groups = []
    for rate in dict.fromkeys((1.0, *rates.values())):
        some = [p for p in model.parameters() if p.requires_grad and rates.get(id(p), 1.0) == rate]
        groups += [{**group, "rate": rate} for group in decayed(some, recipe.weight_decay)]
    # One kernel for all weights; on a CPU it is no faster and rounds otherwise.
    fused = True if all(p.is_cuda for p in model.parameters()) else None
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, fused=fused)
    # A shorter second moment forgets the scale of gradients on the first plateau, and the run never leaves it.
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.999), fused=fused)


def find_trunk(network: nn.Module) -> nn.Module | None:
    """What a visual encoder runs on single frames, if it has such a part."""
    found: nn.Module | None = getattr(getattr(network, "visual_encoder", None), "trunk", None)
    return found


def slow_parts(network: nn.Module, recipe: Recipe) -> list[tuple[nn.Module, float]]:
    """The encoders that learn at a share of the run's rate, or not at all, each with its share."""
    trunk_rate = 0.0 if recipe.trunk_is_frozen else recipe.trunk_rate
    parts = ((find_trunk(network), trunk_rate), (getattr(network, "audio_encoder", None), recipe.audio_rate))
    return [(part, rate) for part, rate in parts if part is not None and rate < 1]


def freeze(network: nn.Module, recipe: Recipe) -> None:
    """Takes from learning what a recipe leaves as it is.

    Raises:
        RecipeError: `frozen_stages` of a network without that many stages, `trunk_rate` of one without a trunk.
    """
    for part, rate in slow_parts(network, recipe):
        part.requires_grad_(rate > 0)
    trunk = find_trunk(network)
    if recipe.trunk_rate < 1 and trunk is None:
        raise RecipeError(
            f"recipe key 'trunk_rate' is {recipe.trunk_rate:g}; it is of a trunk that looks at single frames, and the "
            "visual encoder has none; leave it out"
        )
    if recipe.frozen_stages:
        stages = getattr(trunk, "stages", [])
        if recipe.frozen_stages > len(stages):
            raise RecipeError(
                f"recipe key 'frozen_stages' is {recipe.frozen_stages}; the visual encoder has {len(stages)} stages "
                "that can be frozen"
            )
        for part in (trunk.stem, *stages[: recipe.frozen_stages]):  # type: ignore[union-attr]
            part.requires_grad_(False)
    if recipe.frames == 1 and trunk is not None:
        for part in network.visual_encoder.children():  # type: ignore[union-attr]
            if part is not trunk:
                part.requires_grad_(False)
    if recipe.objective.consistency_weight == 0:
        for saliency in (network.visual_saliency, network.audio_saliency):
            saliency.requires_grad_(False)


def decayed(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Groups of an optimizer: what learns, weight decay on matrices and filters alone."""
    trained = [p for p in parameters if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def set_training(network: nn.Module, recipe: Recipe, like: nn.Module | None = None) -> None:
    """Training mode; in eval mode are slow encoders, batch norms that do not learn, and all if the recipe freezes them.

    `like` tells what learns, where `network` is a copy that nothing learns in.
    """
    network.train()
    for part, _ in slow_parts(network, recipe):
        part.eval()
    learning = dict((like or network).named_modules())
    for name, module in network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            own = list(learning[name].parameters(recurse=False))
            if recipe.frozen_batch_norm or (own and not any(one.requires_grad for one in own)):
                module.eval()
