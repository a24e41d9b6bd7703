"""What joins sight and sound: filters, pyramid correlation filtering (Eq. 3, 4, Fig. 3) and saliency heads (Eq. 5).

The filter of one modality is correlated with every position of the other. Eq. 4 compares the two directly, so both must
live in one space: the model's shared projection head aligns them through the contrastive loss (`model.py`).

Maps are (B, C, ...) with any number of position axes: (T, H, W) for sight, (F, S) for sound.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.config import Normalization


class VisualTransform(nn.Sequential):
    """g_v of Eq. 3: a 1x1x1 convolution and batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv3d(inputs, outputs, 1, bias=False), nn.BatchNorm3d(outputs))


class AudioTransform(nn.Sequential):
    """g_a of Eq. 3: a 1x1 convolution and batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def make_filter(map_BC: Tensor) -> Tensor:
    """kappa of Eq. 3: the global average over all positions of a transformed map (B, C, ...) -> (B, C)."""
    return map_BC.flatten(2).mean(2)


def correlate(filter_BC: Tensor, map_BC: Tensor, normalization: Normalization = "cosine") -> Tensor:
    """Eq. 4 at one scale: the response of each position of one modality to the filter of the other.

    Args:
        filter_BC: (B, C), kappa of the guiding modality.
        map_BC: (B, C, ...), g(.) of the guided modality.
        normalization: "cosine" maps the cosine to [0, 1] by (1 + cos) / 2; "softmax" divides the dot products by the
            square root of C and makes them sum to 1 over the positions; "none" returns the dot products, unbounded.

    Returns:
        (B, ...), the positions' responses.
    """
    positions = map_BC.shape[2:]
    map_BCP = map_BC.flatten(2)
    if normalization == "cosine":
        response_BP = torch.einsum("bc,bcp->bp", F.normalize(filter_BC, dim=1), F.normalize(map_BCP, dim=1))
        response_BP = ((1 + response_BP) / 2).clamp(0, 1)
    else:
        response_BP = torch.einsum("bc,bcp->bp", filter_BC, map_BCP)
        if normalization == "softmax":
            response_BP = (response_BP / filter_BC.shape[1] ** 0.5).softmax(1)
    return response_BP.unflatten(1, positions)


def halve(map_BC: Tensor) -> Tensor:
    """Averages neighbours pairwise along every position axis longer than 1; an odd last one stays alone."""
    positions = map_BC.shape[2:]
    kernel = [2 if n > 1 else 1 for n in positions]
    pool = F.avg_pool3d if len(positions) == 3 else F.avg_pool2d
    return pool(map_BC, kernel, kernel, ceil_mode=True, count_include_pad=False)


def correlate_pyramid(
    filter_BC: Tensor, map_BC: Tensor, scales: int = 2, normalization: Normalization = "cosine"
) -> Tensor:
    """Pyramid correlation filtering (Fig. 3): Eq. 4 at `scales` resolutions, each half the one before, averaged.

    The transforms g are linear at each position, so halving g(v) is the same as g of the halved v.

    Args:
        filter_BC: (B, C).
        map_BC: (B, C, T, H, W) or (B, C, F, S).
        scales: 1 or more levels.
        normalization: see `correlate`.

    Returns:
        (B, T, H, W) or (B, F, S): the mean over scales, each interpolated linearly to the size of the first.
    """
    positions = map_BC.shape[2:]
    mode = "trilinear" if len(positions) == 3 else "bilinear"
    total = correlate(filter_BC, map_BC, normalization)
    level = map_BC
    for _ in range(scales - 1):
        level = halve(level)
        response = correlate(filter_BC, level, normalization)
        total = total + F.interpolate(response[:, None], positions, mode=mode, align_corners=False)[:, 0]
    return total / scales


class VisualSaliency(nn.Module):
    """h_v of Eq. 5 and its sigmoid: 3x3x3 convolution, batch norm, ReLU, 1x1x1 convolution.

    Computed in fp32: the bf16 weight gradient of a 3x3x3 convolution on two frames is wrong on CPU
    (PyTorch 2.13, 2.14).
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv3d(inputs, hidden, 3, padding=1, bias=False), nn.BatchNorm3d(hidden), nn.ReLU(inplace=True)
        )
        self.output = nn.Conv3d(hidden, 1, 1)

    def forward(self, map_BCTHW: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, T, H, W) in [0, 1], fp32 unless the module itself was cast."""
        with torch.autocast(map_BCTHW.device.type, enabled=False):
            return self.output(self.hidden(map_BCTHW.to(self.output.weight.dtype))).squeeze(1).sigmoid()


class AudioSaliency(nn.Module):
    """h_a of Eq. 5 and its sigmoid: 3x3 convolution, batch norm, ReLU, 1x1 convolution, in fp32 like its sibling."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)
        )
        self.output = nn.Conv2d(hidden, 1, 1)

    def forward(self, map_BCFS: Tensor) -> Tensor:
        """(B, C, F, S) -> (B, F, S) in [0, 1], fp32 unless the module itself was cast."""
        with torch.autocast(map_BCFS.device.type, enabled=False):
            return self.output(self.hidden(map_BCFS.to(self.output.weight.dtype))).squeeze(1).sigmoid()
