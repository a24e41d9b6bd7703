"""The joint map, beyond the paper: which of the things that usually sound, or that move, makes this sound.

Guidance alone hears, but is unsure in real videos. Two things are known of the places of a picture without listening:
how strong their features are, since training made features strong on what it could tell from the rest, and how much
they change over the window, since most of what sounds moves. And places that look alike belong to one thing: what is
known of one of them holds for the others, so the map is spread over them.

Maps are (B, C, ...) with any number of position axes: (T, H, W) of clips, (F, S) of spectrograms.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from cmac_hub.config import AttentionConfig


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


def affinity(map_BCTHW: Tensor, level_channels: Sequence[int]) -> Tensor:
    """How alike the places of a picture look.

    Args:
        map_BCTHW: (B, C, T, H, W), the visual encoder's feature map.
        level_channels: of each of the maps that lie side by side in it, C together; each map counts as much.

    Returns:
        (B, P, P) in [-1, 1], fp32 at least, of the P = H W places row by row: the cosine of their features, averaged
        over time, with the picture's mean taken off.
    """
    # Channels last, as encoders lay maps out, and step by step: twice as fast on a CPU.
    first, *others = map_BCTHW.movedim(1, -1).unbind(1)
    looks_BPC = reduce(torch.add, others, first.to(_at_least_fp32(map_BCTHW))).flatten(1, 2)
    looks_BPC = looks_BPC - looks_BPC.mean(1, keepdim=True)
    levels = (F.normalize(level_BPC, dim=2) for level_BPC in looks_BPC.split(list(level_channels), 2))
    # Multiplied in the map's own type, which a processor may be twice as fast at; no product exceeds 1.
    units = (level_BPC.to(map_BCTHW.dtype) for level_BPC in levels)
    return torch.stack([unit_BPC @ unit_BPC.mT for unit_BPC in units]).to(looks_BPC.dtype).mean(0)


STEPS = 2
"""Of the random walk by which a map is spread."""


def spread(map_BTHW: Tensor, affinity_BPP: Tensor, temperature: float) -> Tensor:
    """Each place's value averaged with those of places that look like it: a random walk over the picture, as class
    activation maps are spread in Ahn and Kwak 2018.

    Args:
        map_BTHW: (B, T, H, W).
        affinity_BPP: (B, P, P) of `affinity`.
        temperature: of the softmax that makes it the probabilities of one step; the higher, the farther it goes.

    Returns:
        (B, T, H, W), in the range of the map.
    """
    step_BPP = (affinity_BPP / temperature).softmax(2).to(map_BTHW.dtype)
    map_BTP = map_BTHW.flatten(2)
    for _ in range(STEPS):
        map_BTP = map_BTP @ step_BPP.mT
    return map_BTP.view_as(map_BTHW)


def mix_visual(
    guidance_BTHW: Tensor, map_BCTHW: Tensor, config: AttentionConfig, level_channels: Sequence[int]
) -> Tensor:
    """The visual joint map (B, T, H, W) of guidance and the visual encoder's feature map, as a config has it."""
    return join(
        guidance_BTHW,
        strength(map_BCTHW, config.visual_strength) if config.strength_weight else None,
        config.strength_weight,
        motion(map_BCTHW, config.visual_motion) if config.motion_weight else None,
        config.motion_weight,
        config.joint_smoothing,
        affinity(map_BCTHW, level_channels) if config.affinity_temperature else None,
        config.affinity_temperature,
    )


def mix_audio(guidance_BFS: Tensor, map_BCFS: Tensor, config: AttentionConfig) -> Tensor:
    """The audio joint map (B, F, S): without motion, which a spectrogram has none of, and not spread."""
    strong = strength(map_BCFS, config.audio_strength) if config.strength_weight else None
    return join(guidance_BFS, strong, config.strength_weight, smoothing=config.joint_smoothing)


def join(
    guidance: Tensor,
    strength: Tensor | None = None,
    strength_weight: float = 0.0,
    motion: Tensor | None = None,
    motion_weight: float = 0.0,
    smoothing: int = 0,
    affinity: Tensor | None = None,
    temperature: float = 0.0,
) -> Tensor:
    """Guidance where features are strong and change: the weighted mean of the three, spread and smoothed.

    (B, ..., H, W) each; in [0, 1] where guidance is, which takes the share of what is not there. Without affinity
    (B, P, P) nothing is spread.
    """
    joint = guidance
    if strength is not None:
        joint = torch.lerp(guidance, strength.to(guidance.dtype), strength_weight)
    if motion is not None:
        joint = joint + motion_weight * (motion.to(guidance.dtype) - guidance)
    if affinity is not None:
        joint = spread(joint, affinity, temperature)
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
