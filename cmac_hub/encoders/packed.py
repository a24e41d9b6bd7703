"""A convolution, its batch norm and its activation as one kernel with weights as the processor likes them.

In eval mode a batch norm only scales and shifts, so it can be folded into the convolution before it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.encoders.onednn import OneDNN, fits
from cmac_hub.encoders.planes import OnPlanes, kernel_of
from cmac_hub.encoders.winograd import Winograd, join, pays

Norm = nn.BatchNorm2d | nn.BatchNorm3d


class Chain(NamedTuple):
    """Modules that follow each other and nothing else follows."""

    conv: nn.Module
    norm: Norm | None
    activation: nn.Module | None


class PackedConv(nn.Module):
    """A chain in eval mode, in one kernel. For inference: weights that are packed once no longer learn.

    On a CPU with oneDNN weights are laid out for the size of the input, once as long as it stays the same, and the
    activation is computed with the convolution, by `Winograd` where this pays; elsewhere it is an ordinary convolution.

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
        self._laid_out: tuple[torch.Size, OneDNN | Winograd] | None = None
        """A size of planes, and the convolution as oneDNN wants it for them."""

    def __getstate__(self) -> dict[str, Any]:
        # What oneDNN laid out can be neither copied nor written.
        return {**self.__dict__, "_laid_out": None}

    def _apply(self, *args: Any, **how: Any) -> PackedConv:
        self._laid_out = None
        super()._apply(*args, **how)
        return self

    def forward(self, input: Tensor) -> Tensor:
        """As conv, norm and activation in a row."""
        view = self.conv if isinstance(self.conv, OnPlanes) else None
        if fits(input):
            planes, convolve = self.laid_out(input)
            maps = convolve(planes) if isinstance(convolve, OneDNN) else join(convolve(planes), convolve.height)
            return maps if view is None else view.restore(maps, input)
        kernel = kernel_of(self.conv)
        assert kernel is not None
        weight, stride, padding, groups = kernel
        input = input.to(weight.dtype)
        planes = input if view is None else view.planes(input)
        maps = F.conv2d(planes, weight, self.bias, stride, padding, 1, groups)
        maps = maps if self.activation is None else self.activation(maps)
        return maps if view is None else view.restore(maps, input)

    def laid_out(self, input: Tensor) -> tuple[Tensor, OneDNN | Winograd]:
        """The planes of an input that oneDNN `fits`, and what makes maps of them."""
        planes, kernel = input, kernel_of(self.conv)
        if isinstance(self.conv, OnPlanes):
            planes, kernel = self.conv.unpadded(input)
        assert kernel is not None
        # Held here: another thread may lay out for another size meanwhile.
        found = self._laid_out
        if found is None or found[0] != planes.shape:
            activation = None if self.activation is None else type(self.activation)
            kind = Winograd if pays(kernel, activation, planes.shape) else OneDNN
            self._laid_out = found = planes.shape, kind(kernel, self.bias, activation, planes.shape)
        return planes.to(kernel.weight.dtype), found[1]


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
