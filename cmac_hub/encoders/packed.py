"""A convolution, its batch norm and its activation as one kernel with weights as the processor likes them.

In eval mode a batch norm only scales and shifts, so it can be folded into the convolution before it. `pack` finds which
modules follow each other by looking at one pass, so that encoders need not be written for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.encoders.planes import Kernel, OnPlanes, kernel_of

Norm = nn.BatchNorm2d | nn.BatchNorm3d

ONEDNN: dict[type[nn.Module] | None, tuple[str, list[float], str]] = {
    None: ("none", [], ""),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
}
"""What oneDNN calls the activations that it computes together with a convolution."""


class Chain(NamedTuple):
    """Modules that follow each other and nothing else follows."""

    conv: nn.Module
    norm: Norm | None
    activation: nn.Module | None


class PackedConv(nn.Module):
    """A chain in eval mode, in one kernel. For inference: weights that are packed once no longer learn.

    On a CPU with oneDNN weights are laid out for the size of the input, once as long as it stays the same, and the
    activation is computed with the convolution; elsewhere it is an ordinary convolution.

    Args:
        chain: its convolution is taken over, with the norm folded into its weights.
        dtype: of weights and outputs, whatever the input's is.
    """

    def __init__(self, chain: Chain, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv, self.activation = chain.conv, chain.activation
        weight, bias = fold(chain.conv, chain.norm)
        self.conv.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        self.conv.register_parameter("bias", None)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        self._laid_out: tuple[torch.Size, Tensor] | None = None
        """A size of planes, and the weights as oneDNN wants them for it."""

    def __getstate__(self) -> dict[str, Any]:
        # What oneDNN laid out can be neither copied nor written.
        return {**self.__dict__, "_laid_out": None}

    def _apply(self, *args: Any, **how: Any) -> PackedConv:
        self._laid_out = None
        super()._apply(*args, **how)
        return self

    def forward(self, input: Tensor) -> Tensor:
        """As conv, norm and activation in a row."""
        kernel = kernel_of(self.conv)
        assert kernel is not None
        input = input.to(kernel.weight.dtype)
        view = self.conv if isinstance(self.conv, OnPlanes) else None
        planes = input if view is None else view.planes(input)
        maps = self._onednn(planes, kernel) if _fits_onednn(planes) else self._plain(planes, kernel)
        return maps if view is None else view.restore(maps, input)

    def _plain(self, planes_NCHW: Tensor, kernel: Kernel) -> Tensor:
        weight, stride, padding, groups = kernel
        maps = F.conv2d(planes_NCHW, weight, self.bias, stride, padding, 1, groups)
        return maps if self.activation is None else self.activation(maps)

    def _onednn(self, planes_NCHW: Tensor, kernel: Kernel) -> Tensor:
        weight, stride, padding, groups = kernel
        # Weights laid out for another size may be fifty times slower; to lay them out again costs little.
        laid_out = self._laid_out
        if laid_out is None or laid_out[0] != planes_NCHW.shape:
            packed = torch.ops.mkldnn._reorder_convolution_weight(
                weight.contiguous(), padding, stride, (1, 1), groups, planes_NCHW.shape
            )
            self._laid_out = laid_out = planes_NCHW.shape, packed
        how = ONEDNN[None if self.activation is None else type(self.activation)]
        maps: Tensor = torch.ops.mkldnn._convolution_pointwise(
            planes_NCHW, laid_out[1], self.bias, padding, stride, (1, 1), groups, *how
        )
        return maps


def _fits_onednn(planes_NCHW: Tensor) -> bool:
    # First whether a compiler looks on: it would cut its graph at the question for oneDNN.
    return (
        not torch.compiler.is_compiling()
        and planes_NCHW.device.type == "cpu"
        and planes_NCHW.numel() > 0
        and not (torch.is_grad_enabled() and planes_NCHW.requires_grad)
        and torch.backends.mkldnn.is_available()
    )


def fold(conv: nn.Module, norm: Norm | None) -> tuple[Tensor, Tensor]:
    """Weight and bias (C,) fp64 of a convolution that does what conv and norm do in eval mode."""
    weight, given = conv.weight, conv.bias
    assert isinstance(weight, Tensor)
    weight = weight.detach().double()
    bias = given.detach().double() if isinstance(given, Tensor) else weight.new_zeros(len(weight))
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt() * norm.weight.detach().double()
    shift = norm.bias.detach().double() + (bias - norm.running_mean.double()) * scale
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), shift


def pack(network: nn.Module, example: Tensor, dtype: torch.dtype) -> None:
    """Puts a `PackedConv` in the place of every chain of a network, which is in eval mode.

    A module that has the attribute `exact`, names of its parts, has these computed in fp32 whatever the dtype.

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
    network.eval()


def follow(network: nn.Module, example: Tensor) -> list[Chain]:
    """The chains of a network, seen in one pass without gradients; convolutions that run twice are left out."""
    calls: list[Call] = []
    leaves = [one for one in network.modules() if kernel_of(one) or isinstance(one, Norm) or type(one) in ONEDNN]
    hooks = [
        leaf.register_forward_hook(lambda module, given, output: calls.append(Call(module, given[0], output)))
        for leaf in leaves
    ]
    try:
        with torch.no_grad():
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
    output: Tensor


def _next(calls: list[Call], call: Call, kind: Any) -> Call | None:
    """Who takes the output of a call first, if it is of that kind and runs once."""
    for other in calls[calls.index(call) + 1 :]:
        if other.given is call.output:
            return other if isinstance(other.module, kind) else None
    return None
