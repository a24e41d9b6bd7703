"""The joint map, beyond the paper: which of the things that usually sound, or that move, makes this sound.

Guidance alone hears, but is unsure in real videos. Two things are known of the places of a picture without listening:
how strong their features are, since training made features strong on what it could tell from the rest, and how much
they change over the window, since most of what sounds moves.

Maps are (B, C, ...) with any number of position axes: (T, H, W) of clips, (F, S) of spectrograms.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor


def strength(map_BC: Tensor, limits: tuple[float, float]) -> Tensor:
    """How strongly each position answers to anything at all: the length of its feature.

    Args:
        map_BC: (B, C, ...), an encoder's feature map.
        limits: lengths that count as 0 and 1.

    Returns:
        (B, ...) in [0, 1], fp32 at least.
    """
    length = torch.linalg.vector_norm(map_BC, dim=1, dtype=_at_least_fp32(map_BC))
    return _between(length, limits)


def motion(map_BCTHW: Tensor, limits: tuple[float, float]) -> Tensor:
    """How much the feature of each place changes from one moment of the window to the next, on average.

    Args:
        map_BCTHW: (B, C, T, H, W), the visual encoder's feature map.
        limits: lengths of the change that count as 0 and 1.

    Returns:
        (B, T, H, W) in [0, 1], fp32 at least, the same at all T moments; where there is only one nothing changes.
    """
    return _between(speed(map_BCTHW), limits)[:, None].expand(-1, map_BCTHW.shape[2], -1, -1)


def speed(map_BCTHW: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, H, W), fp32 at least: `motion` before its limits."""
    if map_BCTHW.shape[2] == 1:
        return torch.zeros_like(map_BCTHW[:, 0, 0], dtype=_at_least_fp32(map_BCTHW))
    # Step by step, six times as fast on a CPU as all at once: the differences stay in its cache.
    moments = map_BCTHW.unbind(2)
    steps = [
        torch.linalg.vector_norm(after - before, dim=1, dtype=_at_least_fp32(map_BCTHW))
        for before, after in itertools.pairwise(moments)
    ]
    return torch.stack(steps).mean(0)


def join(
    guidance: Tensor,
    strength: Tensor,
    strength_weight: float,
    motion: Tensor | None = None,
    motion_weight: float = 0.0,
    smoothing: int = 0,
) -> Tensor:
    """Guidance where features are strong and change: the weighted mean of the three, smoothed.

    (B, ..., H, W) each; in [0, 1] where guidance is. Without motion (an audio map has none) guidance takes its share.
    """
    joint = torch.lerp(guidance, strength.to(guidance.dtype), strength_weight)
    if motion is not None:
        joint = joint + motion_weight * (motion.to(guidance.dtype) - guidance)
    return smooth(joint, smoothing)


def smooth(map_BHW: Tensor, times: int) -> Tensor:
    """Each place averaged with its neighbors, with the weights 1, 2, 1 along both of the last axes, some times over.

    (B, ..., H, W) -> the same. A border has itself for the neighbor that it lacks. Twice is nearly a Gaussian of one
    cell.
    """
    if not times:
        return map_BHW
    map_N1HW = map_BHW.reshape(-1, 1, *map_BHW.shape[-2:])
    for _ in range(times):
        # The mean of two neighbors, twice.
        padded = F.pad(map_N1HW, (1, 1, 1, 1), mode="replicate")
        map_N1HW = F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)
    return map_N1HW.reshape(map_BHW.shape)


def _between(values: Tensor, limits: tuple[float, float]) -> Tensor:
    low, high = limits
    return ((values - low) / (high - low)).clamp(0, 1)


def _at_least_fp32(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)
