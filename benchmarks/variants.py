"""The ways to compute a training step that `pretrain.py --variants` compares, and that of 0.1.0 rebuilt beside them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from cmac_hub.train import modules as train_modules
from cmac_hub.train import momentum
from cmac_hub.train import step as training
from cmac_hub.train.modules import Modules


@dataclass(frozen=True)
class Variant:
    """One row."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the recipe."""
    before: bool = False
    """As 0.1.0's benchmark: blocking copies from pageable memory, a loop over the weights for the momentum network, no
    fused optimizer."""
    compiles: bool = False
    """The network as a whole, as the benchmark of 0.1.0 did."""
    tries: bool = False
    """cuDNN tries its algorithms without anything being compiled."""

    def change(self, modules: Modules) -> None:
        """What no setting changes."""
        if self.before:
            for group in modules.optimizer.param_groups:
                group["fused"] = None
        if self.compiles:
            modules.model.compile(backend=train_modules.BACKEND)


COMPILED, PADDED, TWICE = {"compile": True}, {"padded_planes": 16}, {"checkpointing": True}

VARIANTS = [
    Variant("0.1.0, compiled", before=True, compiles=True),
    Variant("compiled, planes by 16", COMPILED | PADDED),
    Variant("0.1.0", before=True),
    Variant("no waits, foreach, fused"),
    Variant("+ planes by 16", PADDED),
    Variant("+ planes by 16, cuDNN tries", PADDED, tries=True),
    Variant("+ planes by 16, checkpointing", PADDED | TWICE),
    Variant("compiled, planes by 16, checkpointing", COMPILED | PADDED | TWICE),
    Variant("compiled, planes by 16, half a batch", COMPILED | PADDED | {"accumulate": 2}),
    Variant("compiled, planes by 8", COMPILED | {"padded_planes": 8}),
    Variant("compiled", COMPILED),
]
"""The most telling first; what the time does not reach is said."""


@contextmanager
def prepared(variant: Variant) -> Iterator[None]:
    """While it is measured."""
    before = torch.backends.cudnn.benchmark
    with ExitStack() as stack:
        if variant.before:
            stack.enter_context(patch.object(training, "send", lambda values, device: values.to(device)))
            stack.enter_context(patch.object(momentum.MomentumNetwork, "update", _update))
        torch.backends.cudnn.benchmark = variant.tries
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before


@torch.no_grad()
def _update(self: momentum.MomentumNetwork, model: nn.Module) -> None:
    trained: dict[str, Tensor] = dict(model.named_parameters())
    for name, parameter in self.network.named_parameters():
        parameter.lerp_(trained[name].to(parameter.dtype), 1 - self.momentum)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the main thread when the time is over."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("no time left")

    if seconds <= 1:
        stop(0, None)
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
