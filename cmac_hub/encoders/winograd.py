"""A 3x3 convolution of stride 1 with two thirds of the multiplications: Winograd's F(2, 3) (Lavin and Gray 2016).

Two rows y of the output take four rows d of the input, convolved with one row each. With the rows g of the kernel:

    m0 = (d0 - d2) * g0        m1 = (d1 + d2) * (g0 + g1 + g2) / 2        y0 = m0 + m1 + m2
    m3 = (d1 - d3) * g2        m2 = (d2 - d1) * (g0 - g1 + g2) / 2        y1 = m1 - m2 - m3

Four such convolutions instead of six. What is added and subtracted beside them pays where channels are many and where
it stays in the caches; so rows are computed in bands, of all planes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.encoders.onednn import OneDNN
from cmac_hub.encoders.planes import Kernel

FEWEST_CHANNELS, FEWEST_VALUES = 64, 2**17
"""Of the input; with less of it what is done beside the convolutions, and reading their weights, takes too long."""


BAND_VALUES = 2**20
"""About so many outputs a band has; twice or half as many were a few percent slower."""


def pays(kernel: Kernel, activation: type[nn.Module] | None, shape: tuple[int, ...]) -> bool:
    """Whether a convolution of planes (N, C, H, W) can be computed so, and is faster."""
    n, channels, height, width = shape
    possible = kernel.weight.shape[2:] == (3, 3) and kernel[1:] == ((1, 1), (1, 1), 1) and activation in (None, nn.ReLU)
    # In bf16 sums would be rounded once more, for a few percent of the time.
    exact = kernel.weight.dtype == torch.float32
    return possible and exact and channels >= FEWEST_CHANNELS and n * channels * height * width >= FEWEST_VALUES


class Rows(NamedTuple):
    """Every second row of some maps."""

    first: int
    maps: Tensor
    """(..., rows, W); may reach below the last row: what does is to be left out."""


class Winograd:
    """Such a convolution and its activation, for inference, band by band.

    Args:
        kernel: one for which this `pays`.
        bias: (C,).
        activation: None or ReLU.
        shape: (N, c, H, W) of the planes.
    """

    def __init__(self, kernel: Kernel, bias: Tensor, activation: type[nn.Module] | None, shape: torch.Size) -> None:
        n, channels, self.height, width = shape
        # All bands are of one height, as weights are laid out for it.
        count = max(1, round(n * len(kernel.weight) * self.height * width / BAND_VALUES))
        self._twos = -(-self.height // (2 * count))
        band = n, channels, self._twos, width
        g0, g1, g2 = kernel.weight.double().split(1, 2)

        def one_row(weight: Tensor, bias: Tensor | None, activation: type[nn.Module] | None) -> OneDNN:
            return OneDNN(Kernel(weight.to(kernel.weight.dtype), (1, 1), (0, 1)), bias, activation, band)

        self._m0, self._minus_m3 = one_row(g0, bias, activation), one_row(-g2, bias, activation)
        self._m1, self._m2 = one_row((g0 + g1 + g2) / 2, None, None), one_row((g0 - g1 + g2) / 2, None, None)

    def __call__(self, planes_NCHW: Tensor) -> Iterator[Rows]:
        """The maps, part by part, (N, C, rows, W) each."""
        for first in range(0, self.height, 2 * self._twos):
            top, bottom = first - 1, first + 2 * self._twos + 1
            above, below = max(-top, 0), max(bottom - self.height, 0)
            band_NCHW = planes_NCHW[:, :, top + above : bottom]
            if above or below:
                band_NCHW = F.pad(band_NCHW, (0, 0, above, below))
            d0, d1, d2, d3 = (band_NCHW[:, :, row : row + 2 * self._twos : 2] for row in range(4))
            m1, m2 = self._m1(d1 + d2), self._m2(d2 - d1)
            y1 = m1 - m2
            y0 = m2.add_(m1)
            yield Rows(first, self._m0.add_to(y0, d0 - d2))
            yield Rows(first + 1, self._minus_m3.add_to(y1, d1 - d3))


def join(parts: Iterator[Rows], height: int) -> Tensor:
    """Maps (N, C, ..., height, W) of their parts, channels last in memory."""
    whole = None
    for first, maps in parts:
        if whole is None:
            n, channels, *between, _, width = maps.shape
            whole = maps.new_empty(n, *between, height, width, channels).movedim(-1, 1)
        places = whole[..., first::2, :][..., : maps.shape[-2], :]
        places.copy_(maps[..., : places.shape[-2], :])
    assert whole is not None
    return whole
