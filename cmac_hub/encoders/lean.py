"""Training on a GPU: channels padded with zeros while they are computed, batch norms in one with what follows them, and
maps that are computed twice, not kept.

All leave what is computed as it is, up to rounding, and parameters and buffers in their names and shapes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from cmac_hub.encoders.fused_norm import fused_norm, is_fusible
from cmac_hub.encoders.planes import OnPlanes
from cmac_hub.encoders.unshuffled import unshuffled_conv


class NormChain(nn.Sequential):
    """Modules in a row, in which a batch norm and a ReLU behind it may be computed in one (`fused_norm.py`)."""

    fused: bool = False
    """Whether they are in training mode, where a device can."""

    def forward(self, x: Tensor) -> Tensor:
        return _run_fused(list(self), x) if self.fused and self.training else super().forward(x)


class Factors(NormChain):
    """A convolution, its batch norm and activation, a second convolution, and what may follow.

    Tensor cores take channels in groups of 8 or 16: where the planes between the two convolutions are no multiple of
    that, every kernel pads them anew. In training mode they are computed with so many planes of zeros beside them that
    they are one. A plane of zeros has mean and variance 0 and stays zeros; the second convolution does not see it.
    A first convolution of stride 2 that takes fewer channels, as of a picture, takes 2 x 2 positions as channels.
    """

    multiple: int = 1
    """Of which the planes are one while they are computed."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.multiple == 1:
            return super().forward(x)
        first, norm, activation, second, *rest = self
        assert isinstance(first, OnPlanes) and isinstance(first, nn.Conv3d) and isinstance(second, nn.Conv3d)
        extra = -first.out_channels % self.multiple
        weights = {"weight": _padded(first.weight, 0, extra)}
        if first.in_channels < self.multiple and first.stride[1:] == (2, 2):
            kernel = first.kernel()._replace(weight=weights["weight"].squeeze(2))
            x = first.restore(unshuffled_conv(first.planes(x), kernel, self.multiple), x)
        else:
            x = functional_call(first, weights, (x,))
        fuses = self.fused and is_fusible(norm, x)
        x = fused_norm(norm, x) if fuses else activation(_padded_norm(norm, x, extra))
        x = functional_call(second, {"weight": _padded(second.weight, 1, extra)}, (x,))
        if self.fused:
            return _run_fused(rest, x)
        for part in rest:
            x = part(x)
        return x


class Residual(nn.Module):
    """A basic residual block (He et al. 2016): relu(conv2(conv1(x)) + shortcut(x)).

    Args:
        conv1: convolution, batch norm, ReLU.
        conv2: convolution, batch norm.
        downsample: convolution and batch norm of the shortcut; None passes the input on.
    """

    fused: bool = False
    """Whether in training mode the last batch norm, the sum and the ReLU are computed in one, where a device can."""

    def __init__(self, conv1: NormChain, conv2: NormChain, downsample: NormChain | None) -> None:
        super().__init__()
        self.conv1, self.conv2, self.downsample = conv1, conv2, downsample
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        if not (self.fused and self.training):
            result: Tensor = self.relu(self.conv2(self.conv1(x)).add_(shortcut))
            return result
        convolution, norm = self.conv2
        return _normalized(norm, convolution(self.conv1(x)), shortcut)


def set_fused(network: nn.Module, on: bool) -> None:
    """Whether batch norms of a network are computed in one with what follows them, where they can."""
    for module in network.modules():
        if isinstance(module, NormChain | Residual):
            module.fused = on


def _run_fused(parts: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Module after module, a batch norm and a ReLU behind it in one."""
    done = False
    for part, after in itertools.zip_longest(parts, parts[1:]):
        if done:
            done = False
        elif isinstance(part, _BatchNorm):
            done = isinstance(after, nn.ReLU)
            x = _normalized(part, x, relu=done)
        else:
            x = part(x)
    return x


def _normalized(norm: nn.Module, x: Tensor, other: Tensor | None = None, *, relu: bool = True) -> Tensor:
    """relu(norm(x) + other), in one where it can be."""
    if is_fusible(norm, x) and x.shape[1] == norm.num_features:
        return fused_norm(norm, x, other, relu=relu)
    x = norm(x) if other is None else norm(x) + other
    return F.relu(x, inplace=True) if relu else x


def _padded(values: Tensor, axis: int, extra: int) -> Tensor:
    return F.pad(values, [0, 0] * (values.ndim - 1 - axis) + [0, extra])


def _padded_norm(norm: nn.Module, x: Tensor, extra: int) -> Tensor:
    """A batch norm of fewer channels than `x` has; its statistics are those of its own channels."""
    if not extra:
        whole: Tensor = norm(x)
        return whole
    own = [(name, value) for name, value in (*norm.named_parameters(), *norm.named_buffers()) if value.ndim]
    padded = {name: _padded(value, 0, extra) for name, value in own}
    result: Tensor = functional_call(norm, padded, (x,))
    if norm.training and norm.track_running_stats:
        with torch.no_grad():
            for name, value in norm.named_buffers():
                if value.ndim:
                    value.copy_(padded[name][: len(value)])
    return result


def computed_twice(module: nn.Module, x: Tensor) -> Tensor:
    """`module(x)`; what lies inside is not kept for the backward pass but computed again there."""
    if torch.compiler.is_compiling():
        # The compiler computes the maps again and writes statistics once.
        compiled: Tensor = checkpoint(module, x, use_reentrant=False, preserve_rng_state=False)
        return compiled

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _leaving_statistics(module)

    result: Tensor = checkpoint(module, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return result


@contextmanager
def _leaving_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms write into copies of their statistics: they have counted this batch before."""
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm)]
    own = [dict(norm._buffers) for norm in norms]
    for norm in norms:
        norm._buffers |= {name: None if value is None else value.clone() for name, value in norm._buffers.items()}
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            norm._buffers |= buffers
