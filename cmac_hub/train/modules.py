"""What a run trains and a checkpoint restores: the network, its momentum copy, the memory bank, the optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cmac_hub.encoders import R2Plus1D
from cmac_hub.encoders.fused_norm import can_fuse
from cmac_hub.encoders.lean import set_fused
from cmac_hub.model import CMAC
from cmac_hub.train.distributed import World
from cmac_hub.train.momentum import MemoryBank, MomentumNetwork
from cmac_hub.train.optimization import freeze, make_optimizer, set_training
from cmac_hub.train.recipe import FORMAT_VERSION, Recipe, RecipeError
from cmac_hub.train.start import start_from

BACKEND = "inductor"
"""Of `torch.compile`."""


@dataclass
class Modules:
    """The parts of a run that have a state."""

    model: CMAC
    momentum: MomentumNetwork | None
    bank: MemoryBank | None
    optimizer: torch.optim.Optimizer

    def load(self, state: dict[str, Any]) -> None:
        """Restores all of them from a checkpoint, which may have been written on another kind of device."""
        for group, own in zip(state["optimizer"]["param_groups"], self.optimizer.param_groups, strict=False):
            group["fused"] = own["fused"]
        for field in dataclasses.fields(self):
            if (module := getattr(self, field.name)) is not None:
                module.load_state_dict(state[field.name])
        for group in self.optimizer.param_groups:
            # Runs of 0.1.0 had one rate for all.
            group.setdefault("rate", 1.0)

    def snapshot(self, recipe: Recipe, step: int, before: dict[str, Any]) -> dict[str, Any]:
        """All that a run needs to go on. Random numbers are drawn from seed and step, so they have no state.

        Args:
            recipe: of the run.
            step: steps done.
            before: how the weights were made that the run began with.
        """
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            "format_version": FORMAT_VERSION,
            "recipe": recipe.to_dict(),
            "config": recipe.config.to_dict(),
            "step": step,
            "before": before,
            **{name: None if module is None else module.state_dict() for name, module in parts.items()},
        }


def make_modules(recipe: Recipe, initial: CMAC | None, world: World) -> Modules:
    """All of them as a new run has them, on the device of this process, in training mode.

    Raises:
        CheckpointError: the initial network has another architecture.
    """
    torch.manual_seed(recipe.seed)
    model = CMAC(recipe.config)
    if initial is not None:
        start_from(model, initial)
    model = model.to(world.device)
    if world.size > 1 and world.device.type == "cuda":
        # Without it each process would tell its keys from others' by their statistics (MoCo shuffles instead).
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    freeze(model, recipe)
    momentum = bank = None
    if recipe.bank:
        momentum = MomentumNetwork(model, recipe.ema_momentum)
        bank = MemoryBank(recipe.bank, recipe.config.require_attention().embedding, recipe.seed).to(world.device)
    optimizer = make_optimizer(recipe, model)
    # All processes alike: each way of computing exchanges statistics in its own way.
    fused = recipe.fused_norms and not world.any(not can_fuse(world.device))
    for network in (model, None if momentum is None else momentum.network):
        if network is not None:
            set_training(network, recipe, like=model)
            set_fused(network, fused)
            set_computing(network, recipe)
    return Modules(model, momentum, bank, optimizer)


def set_computing(network: CMAC, recipe: Recipe) -> None:
    """How a network is computed in training: `padded_planes`, `checkpointing` and `compile` of the recipe.

    Names and shapes of its weights stay.

    Raises:
        RecipeError: the visual encoder cannot compute its maps twice.
    """
    visual = network.encoder("visual")
    if isinstance(visual, R2Plus1D):
        visual.train_lean(multiple=recipe.padded_planes, checkpointing=recipe.checkpointing)
    elif recipe.checkpointing:
        raise RecipeError(
            f"recipe key 'checkpointing' is True; it is for R(2+1)D alone, and the visual encoder of "
            f"{recipe.architecture!r} is a {type(visual).__name__}; leave it out"
        )
    if recipe.compile:
        for encoder in (visual, network.encoder("audio")):
            encoder.compile(backend=BACKEND, dynamic=False)


@contextmanager
def trying_algorithms() -> Iterator[None]:
    """cuDNN chooses its algorithms by trying them once for each shape; in training shapes stay the same."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
