"""A network in training is used in eval mode and never switched to it: other threads may train it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@contextmanager
def evaluating(model: AnyModule) -> Iterator[AnyModule]:
    """The network in eval mode, and no gradients in this thread.

    Other threads may use, and train, the same network meanwhile: its modes are never touched. The results are ordinary
    tensors, so a probe or a student can be trained on them.

    Yields:
        the network itself where all of it is in eval mode, else `in_eval_mode` of it.
    """
    with torch.no_grad():
        yield in_eval_mode(model)


def in_eval_mode(model: AnyModule) -> AnyModule:
    """The module itself where all of it is in eval mode, else a copy that is: modules of its own, with the same
    parameters and buffers, which batch norms in eval mode read and never write."""
    if not any(module.training for module in model.modules()):
        return model
    copies: dict[int, nn.Module] = {}

    def view(module: nn.Module) -> nn.Module:
        if id(module) not in copies:
            copied = copies[id(module)] = module.__class__.__new__(module.__class__)
            # `compile()` binds a call to the module itself, in its own mode.
            copied.__dict__.update(module.__dict__, training=False, _compiled_call_impl=None)
            copied.__dict__["_modules"] = {
                name: None if child is None else view(child) for name, child in module._modules.items()
            }
        return copies[id(module)]

    return cast(AnyModule, view(model))
