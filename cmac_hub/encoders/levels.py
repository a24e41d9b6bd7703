"""Which of a backbone's maps an encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Level = Literal["last", "before_head", "joined"]
"""The last map; EfficientNet-Lite0's before its last 1x1 convolution, a quarter as many channels; or the last map,
enlarged, beside the one of twice its resolution."""


def join_levels(maps: Sequence[Tensor]) -> Tensor:
    """Maps (N, C_i, H_i, W_i), the finest first -> (N, sum of C_i, H_0, W_0); the others are enlarged bilinearly."""
    if len(maps) == 1:
        return maps[0]
    finest_NCHW, *coarser = maps
    size = finest_NCHW.shape[2:]
    return torch.cat([finest_NCHW, *(F.interpolate(one, size, mode="bilinear") for one in coarser)], 1)
