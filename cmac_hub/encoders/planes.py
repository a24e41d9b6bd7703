"""Convolutions that run as a two-dimensional one on a view of their input.

A kernel that is long along space or along time alone is faster as a Conv2d on a view than as a Conv3d; in
channels_last_3d memory the views are free.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Kernel(NamedTuple):
    """What a two-dimensional convolution needs beside its input."""

    weight: Tensor
    """(C, c / groups, k, k')."""
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int = 1


class OnPlanes:
    """Mixin of such a convolution, which has no bias: `forward` convolves the planes of its input."""

    def kernel(self) -> Kernel:
        """What the planes are convolved with."""
        raise NotImplementedError

    def planes(self, input: Tensor) -> Tensor:
        """The input as (N, c, h, w)."""
        raise NotImplementedError

    def unpadded(self, input: Tensor) -> tuple[Tensor, Kernel]:
        """Other planes and what they are convolved with, for the same maps, where this saves a copy of the input."""
        return self.planes(input), self.kernel()

    def restore(self, maps_NCHW: Tensor, input: Tensor) -> Tensor:
        """The convolved planes of an input as the output for it."""
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        """The convolution."""
        weight, stride, padding, groups = self.kernel()
        return self.restore(F.conv2d(self.planes(input), weight, None, stride, padding, 1, groups), input)


class SpatialConv(OnPlanes, nn.Conv3d):
    """A bias-free 1 x k x k convolution, computed frame by frame."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            inputs, outputs, (1, kernel, kernel), (1, stride, stride), (0, kernel // 2, kernel // 2), bias=False
        )

    def kernel(self) -> Kernel:
        side, edge = self.stride[1], int(self.padding[1])
        return Kernel(self.weight.squeeze(2), (side, side), (edge, edge))

    def planes(self, input: Tensor) -> Tensor:
        return input.transpose(1, 2).flatten(0, 1)

    def restore(self, maps_NCHW: Tensor, input: Tensor) -> Tensor:
        return maps_NCHW.unflatten(0, (input.shape[0], input.shape[2])).transpose(1, 2)


class TemporalConv(OnPlanes, nn.Conv3d):
    """A bias-free 3 x 1 x 1 convolution, computed on rows of pixels."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)

    def kernel(self) -> Kernel:
        return Kernel(self.weight.squeeze(4), (self.stride[0], 1), (1, 0))

    def planes(self, input: Tensor) -> Tensor:
        return input.flatten(3)

    def restore(self, maps_NCHW: Tensor, input: Tensor) -> Tensor:
        return maps_NCHW.unflatten(3, input.shape[3:])


class PointConv(OnPlanes, nn.Conv3d):
    """The 1 x 1 x 1 convolution of a shortcut; its stride only drops positions."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int, int]) -> None:
        super().__init__(inputs, outputs, 1, stride, bias=False)

    def kernel(self) -> Kernel:
        return Kernel(self.weight.squeeze(4), (1, 1), (0, 0))

    def planes(self, input: Tensor) -> Tensor:
        # Cut with the channels last, so that the gradient, too, lies in memory as the input does.
        t, h, w = self.stride
        return input.movedim(1, -1)[:, ::t, ::h, ::w].contiguous().movedim(-1, 1).flatten(3)

    def restore(self, maps_NCHW: Tensor, input: Tensor) -> Tensor:
        sides = (-(-side // stride) for side, stride in zip(input.shape[3:], self.stride[1:], strict=True))
        return maps_NCHW.unflatten(3, tuple(sides))


def kernel_of(conv: nn.Module) -> Kernel | None:
    """The kernel of a convolution that runs on planes, a plain Conv2d among them; None of any other module."""
    if isinstance(conv, OnPlanes):
        return conv.kernel()
    if type(conv) is not nn.Conv2d or conv.dilation != (1, 1) or isinstance(conv.padding, str):
        return None
    if conv.padding_mode != "zeros":
        return None
    (rows, columns), (top, left) = conv.stride, conv.padding
    return Kernel(conv.weight, (rows, columns), (top, left), conv.groups)
