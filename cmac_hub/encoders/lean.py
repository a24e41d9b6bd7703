"""Training on a GPU: channels padded with zeros while they are computed, and maps that are computed twice, not kept.

Both leave what is computed as it is, up to rounding, and parameters and buffers in their names and shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint


class Factors(nn.Sequential):
    """A convolution, its batch norm and activation, a second convolution, and what may follow.

    Tensor cores take channels in groups of 8 or 16: where the planes between the two convolutions are no multiple of
    that, every kernel pads them anew. In training mode they are computed with so many planes of zeros beside them that
    they are one. A plane of zeros has mean and variance 0 and stays zeros; the second convolution does not see it.
    """

    multiple: int = 1
    """Of which the planes are one while they are computed."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.multiple == 1:
            return super().forward(x)
        first, norm, activation, second, *rest = self
        extra = -int(first.out_channels) % self.multiple  # type: ignore[arg-type]
        if not extra:
            return super().forward(x)
        x = functional_call(first, {"weight": _padded(first.weight, 0, extra)}, (x,))  # type: ignore[arg-type]
        x = activation(_normalize(norm, x, extra))
        x = functional_call(second, {"weight": _padded(second.weight, 1, extra)}, (x,))  # type: ignore[arg-type]
        for part in rest:
            x = part(x)
        return x


def _padded(values: Tensor, axis: int, extra: int) -> Tensor:
    return F.pad(values, [0, 0] * (values.ndim - 1 - axis) + [0, extra])


def _normalize(norm: nn.Module, x: Tensor, extra: int) -> Tensor:
    """A batch norm of fewer channels than `x` has; its statistics are those of its own channels."""
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
    norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    own = [dict(norm._buffers) for norm in norms]
    for norm in norms:
        norm._buffers |= {name: None if value is None else value.clone() for name, value in norm._buffers.items()}
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            norm._buffers |= buffers
