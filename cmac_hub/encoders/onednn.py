"""A two-dimensional convolution in oneDNN, the CPU library of PyTorch, with weights laid out for one size of input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmac_hub.encoders.planes import Kernel

ACTIVATIONS: dict[type[nn.Module] | None, tuple[str, list[float], str]] = {
    None: ("none", [], ""),
    nn.ReLU: ("relu", [], ""),
    nn.ReLU6: ("hardtanh", [0.0, 6.0], ""),
}
"""What oneDNN calls the activations that it computes together with a convolution."""


class OneDNN:
    """A convolution and its activation. For inference: it can be neither copied nor written to a file.

    Args:
        kernel: weights of a type that oneDNN multiplies in.
        bias: (C,) or None.
        activation: a class of `ACTIVATIONS`.
        shape: of its inputs. Weights laid out for another size may be fifty times slower; to lay them out costs little.
    """

    def __init__(
        self, kernel: Kernel, bias: Tensor | None, activation: type[nn.Module] | None, shape: tuple[int, ...]
    ) -> None:
        weight, stride, padding, groups = kernel
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight.contiguous(), padding, stride, (1, 1), groups, shape
        )
        self._bias, self._activation = bias, ACTIVATIONS[activation]
        self._how = padding, stride, (1, 1), groups

    def __call__(self, planes_NCHW: Tensor) -> Tensor:
        """activation(convolved + bias)"""
        maps: Tensor = torch.ops.mkldnn._convolution_pointwise(
            planes_NCHW, self._weight, self._bias, *self._how, *self._activation
        )
        return maps

    def add_to(self, maps_NCHW: Tensor, planes_NCHW: Tensor) -> Tensor:
        """activation(maps + convolved + bias), written over the maps; no activation or ReLU."""
        name = None if self._activation[0] == "none" else self._activation[0]
        torch.ops.mkldnn._convolution_pointwise_.binary(
            maps_NCHW, planes_NCHW, self._weight, self._bias, *self._how, "add", 1.0, name, [], None
        )
        return maps_NCHW


def fits(planes_NCHW: Tensor) -> bool:
    """Whether oneDNN can be asked to convolve these planes."""
    # First whether a compiler looks on: it would cut its graph at the question for oneDNN.
    return (
        not torch.compiler.is_compiling()
        and planes_NCHW.device.type == "cpu"
        and planes_NCHW.numel() > 0
        and not (torch.is_grad_enabled() and planes_NCHW.requires_grad)
        and torch.backends.mkldnn.is_available()
    )
