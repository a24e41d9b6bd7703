"""Packs a network: finds which convolutions, norms and activations follow each other, and packs each chain.

They are found by looking at one pass, so that encoders need not be written for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cmac_hub.encoders.onednn import ACTIVATIONS
from cmac_hub.encoders.packed import Chain, Norm, PackedConv
from cmac_hub.encoders.pairs import pack_pairs
from cmac_hub.encoders.planes import kernel_of

VALUES_AT_ONCE = 2**22
"""So many values of a map are made in one pass: more leave the caches."""


def pack(network: nn.Module, example: Tensor, dtype: torch.dtype) -> None:
    """Puts a `PackedConv` in the place of every chain of a network, which is in eval mode.

    A module that has the attribute `exact`, names of its parts, has these computed in fp32 whatever the dtype; one that
    has `values_at_once` is given `VALUES_AT_ONCE`.

    Args:
        network: changed in place.
        example: an input of any size, to see which modules follow each other.
        dtype: that of weights and maps.
    """
    exact = {
        id(module)
        for parent in network.modules()
        for name in getattr(parent, "exact", ())
        for module in parent.get_submodule(name).modules()
    }
    for chain in follow(network, example):
        packed = PackedConv(chain, torch.float32 if id(chain.conv) in exact else dtype)
        for parent in list(network.modules()):
            for name, module in parent.named_children():
                if module is chain.conv:
                    parent._modules[name] = packed
                elif module is chain.norm or module is chain.activation:
                    parent._modules[name] = nn.Identity()
    pack_pairs(network)
    for module in network.modules():
        if hasattr(module, "values_at_once"):
            setattr(module, "values_at_once", VALUES_AT_ONCE)  # noqa: B010
    network.eval()


def follow(network: nn.Module, example: Tensor) -> list[Chain]:
    """The chains of a network, seen in one pass without gradients; convolutions that run twice are left out."""
    calls: list[Call] = []
    leaves = [one for one in network.modules() if kernel_of(one) or isinstance(one, Norm) or type(one) in ACTIVATIONS]
    before: dict[nn.Module, int] = {}

    def enter(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        before[module] = _version(given[0])

    def leave(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append(Call(module, given[0], before[module], output, _version(output)))

    hooks = [leaf.register_forward_pre_hook(enter) for leaf in leaves]
    hooks += [leaf.register_forward_hook(leave) for leaf in leaves]
    try:
        # Tensors of inference mode do not count how often they were written.
        with torch.inference_mode(False), torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    often = [call.module for call in calls]
    chains = []
    for call in calls:
        if kernel_of(call.module) is None or often.count(call.module) > 1:
            continue
        norm = _next(calls, call, Norm)
        activation = _next(calls, norm or call, (nn.ReLU, nn.ReLU6))
        chains.append(Chain(call.module, norm and norm.module, activation and activation.module))  # type: ignore[arg-type]
    return chains


class Call(NamedTuple):
    """A module in a pass."""

    module: nn.Module
    given: Tensor
    given_version: int
    """How often it had been written to."""
    output: Tensor
    output_version: int


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _next(calls: list[Call], call: Call, kind: Any) -> Call | None:
    """Who takes the output of a call first, as it was, if it is of that kind."""
    for other in calls[calls.index(call) + 1 :]:
        if other.given is call.output:
            same = other.given_version == call.output_version
            return other if same and isinstance(other.module, kind) else None
    return None
