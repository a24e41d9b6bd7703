"""What joins the two halves: filters, pyramid correlation filtering (Eq. 3, 4, Fig. 3) and saliency heads (Eq. 5).

The filter of one modality is correlated with every position of the other. Eq. 4 compares the two directly, so both must
live in one space: the network's shared projection head aligns them through the contrastive loss (`network.py`).

Maps are (B, C, ...) with any number of position axes: (T, H, W) of clips, (F, S) of spectrograms.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.config import Normalization
from cmac_hub.encoders.planes import PointConv

Axes = Literal[2, 3]
"""Position axes of a map: 3 of clips, 2 of spectrograms."""

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class Transform(nn.Sequential):
    """g of Eq. 3: a 1x1(x1) convolution and batch norm."""

    def __init__(self, axes: Axes, inputs: int, outputs: int) -> None:
        conv = PointConv(inputs, outputs, (1, 1, 1)) if axes == 3 else nn.Conv2d(inputs, outputs, 1, bias=False)
        super().__init__(conv, NORM[axes](outputs))


class Saliency(nn.Module):
    """h of Eq. 5 and its sigmoid: 3x3(x3) convolution, batch norm, ReLU, 1x1(x1) convolution.

    Computed in fp32: the bf16 weight gradient of a 3x3x3 convolution on two frames is wrong on CPU
    (PyTorch 2.13, 2.14).
    """

    def __init__(self, axes: Axes, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            CONV[axes](inputs, hidden, 3, padding=1, bias=False), NORM[axes](hidden), nn.ReLU(inplace=True)
        )
        self.output = CONV[axes](hidden, 1, 1)

    def forward(self, map_BC: Tensor) -> Tensor:
        """(B, C, ...) -> (B, ...) in [0, 1], fp32 unless the module itself was cast."""
        with without_autocast(map_BC.device):
            saliency: Tensor = self.output(self.hidden(map_BC.to(self.output.weight.dtype)))
            return saliency.squeeze(1).sigmoid()


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Full precision where autocast is on; elsewhere nothing, so that devices without autocast (meta) work as well."""
    kind = device.type
    on = torch.amp.autocast_mode.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()


def make_filter(map_BC: Tensor) -> Tensor:
    """kappa of Eq. 3: the global average over all positions of a transformed map (B, C, ...) -> (B, C)."""
    return map_BC.flatten(2).mean(2)


def correlate(filter_BC: Tensor, map_BC: Tensor, normalization: Normalization = "cosine") -> Tensor:
    """Eq. 4 at one scale: the response of each position of one modality to the filter of the other.

    Args:
        filter_BC: (B, C), kappa of the guiding modality.
        map_BC: (B, C, ...), g(.) of the guided modality.
        normalization: "cosine" maps the cosine to [0, 1] by (1 + cos) / 2; "bounded" does so with a dot product in
            which weak positions count for less (`directions`): they claim nothing, 0.5; "softmax" divides the dot
            products by the square root of C and makes them sum to 1 over the positions; "none" returns the dot
            products, unbounded.

    Returns:
        (B, ...), the positions' responses.
    """
    positions = map_BC.shape[2:]
    map_BCP = map_BC.flatten(2)
    if normalization in ("cosine", "bounded"):
        directions_BCP = directions(map_BCP, normalization)
        response_BP = torch.einsum("bc,bcp->bp", F.normalize(filter_BC, dim=1), directions_BCP)
        response_BP = ((1 + response_BP) / 2).clamp(0, 1)
    else:
        response_BP = torch.einsum("bc,bcp->bp", filter_BC, map_BCP)
        if normalization == "softmax":
            response_BP = (response_BP / filter_BC.shape[1] ** 0.5).softmax(1)
    return response_BP.unflatten(1, positions)


STRONG = 1.5
"""Length, in times of that which noise has after the batch norm of g (the square root of C), from which on a feature is
strong."""


def directions(map_BC: Tensor, normalization: Normalization = "cosine") -> Tensor:
    """What the positions of a transformed map (B, C, ...) are compared by, of length 1 at most.

    "bounded" divides a feature by its length only where it is strong (`STRONG`); shorter ones stay shorter, so that a
    wall or a sky, which says little, does not answer to a sound as loudly as a thing does. All else is the direction.
    """
    if normalization != "bounded":
        return F.normalize(map_BC, dim=1)
    length = map_BC.norm(dim=1, keepdim=True)
    return map_BC / length.clamp(min=STRONG * map_BC.shape[1] ** 0.5)


def correlate_pyramid(
    filter_BC: Tensor, map_BC: Tensor, scales: int = 2, normalization: Normalization = "cosine"
) -> Tensor:
    """Pyramid correlation filtering (Fig. 3): Eq. 4 at `scales` resolutions, each half the one before, averaged.

    The map is halved after its transform g: both are linear at each position but for the batch norm's statistics in
    training, so this is the paper's "g of the halved map" without computing g again.

    Args:
        filter_BC: (B, C).
        map_BC: (B, C, T, H, W) or (B, C, F, S).
        scales: 1 or more levels.
        normalization: see `correlate`.

    Returns:
        (B, T, H, W) or (B, F, S): the mean over scales, each interpolated linearly to the positions of the first.
    """
    positions = map_BC.shape[2:]
    total = correlate(filter_BC, map_BC, normalization)
    level, centers = map_BC, [torch.arange(n, dtype=torch.float32, device=map_BC.device) + 0.5 for n in positions]
    for _ in range(scales - 1):
        level = halve(level)
        centers = [halve(c[None, None])[0, 0] if len(c) > 1 else c for c in centers]
        response = correlate(filter_BC, level, normalization)
        for axis, (center, n) in enumerate(zip(centers, positions, strict=True), 1):
            if len(center) < n:
                response = interpolate(response, axis, center, n)
        total = total + response
    return total / scales


def halve(map_BC: Tensor) -> Tensor:
    """Averages neighbors pairwise along every position axis longer than 1; an odd last one stays alone.

    (B, C, ...) with one to three position axes -> the same, half as long.
    """
    positions = map_BC.shape[2:]
    kernel = [2 if n > 1 else 1 for n in positions]
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(positions)]
    return pool(map_BC, kernel, kernel, ceil_mode=True, count_include_pad=False)


def interpolate(values: Tensor, axis: int, centers_M: Tensor, n: int) -> Tensor:
    """Linear interpolation along one axis, from M cells to n cells of length 1.

    PyTorch's own takes all cells for equally long, which the last one of an odd number is not.

    Args:
        values: M along `axis`.
        axis: which one.
        centers_M: where the M values lie, rising, in cells: cell j of the n reaches from j to j + 1.
        n: cells of the result; beyond the first and the last center the values stay constant.
    """
    if len(centers_M) == 1:
        return values.expand(*values.shape[:axis], n, *values.shape[axis + 1 :])
    asked_N = torch.arange(0.5, n, dtype=torch.float32, device=values.device).clamp(centers_M[0], centers_M[-1])
    # As `torch.searchsorted`, which ONNX has not.
    upper_N = (centers_M < asked_N[:, None]).sum(1).clamp(1, len(centers_M) - 1)
    low_N, high_N = centers_M[upper_N - 1], centers_M[upper_N]
    shape = [1] * values.ndim
    shape[axis] = n
    share = ((asked_N - low_N) / (high_N - low_N)).to(values.dtype).view(shape)
    return torch.lerp(values.index_select(axis, upper_N - 1), values.index_select(axis, upper_N), share)
