"""Triton's kernels of a batch norm and what follows it: two passes over the map forward, two back.

A map in channels-last memory is one long row in which the channels repeat. A program takes whole positions, at most
`LANES` values a time, so that a lane always meets the same channel: sums need no exchange between lanes, and what
belongs to a channel is read once. Maps keep their type; the arithmetic is fp32.

They say what they read and write; `fused_norm.py` says why.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LANES = 2048
DEEP = 4
"""Rows of lanes that are read at once."""


@triton.jit
def sums(x, shift, one, two, size, CHANNELS: tl.constexpr, USED: tl.constexpr, LANES: tl.constexpr, DEEP: tl.constexpr):
    """Sums of x - shift and of its square."""
    lane = tl.arange(0, LANES)
    used = lane < USED
    shifts = tl.load(shift + lane % CHANNELS, used, 0.0)
    first = tl.zeros((LANES,), tl.float32)
    second = tl.zeros((LANES,), tl.float32)
    for row in range(tl.program_id(0) * DEEP, tl.cdiv(size, USED), tl.num_programs(0) * DEEP):
        place = (row + tl.arange(0, DEEP)).to(tl.int64)[:, None] * USED + lane[None, :]
        inside = used[None, :] & (place < size)
        values = tl.load(x + place, inside, 0.0).to(tl.float32)
        values = tl.where(inside, values - shifts[None, :], 0.0)
        first += tl.sum(values, 0)
        second += tl.sum(values * values, 0)
    tl.store(one + tl.program_id(0) * USED + lane, first, used)
    tl.store(two + tl.program_id(0) * USED + lane, second, used)


@triton.jit
def forward(
    x, other, scale, offset, y, size,
    CHANNELS: tl.constexpr, USED: tl.constexpr, LANES: tl.constexpr, DEEP: tl.constexpr,
    OTHER: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """y = scale * x + offset, + other if OTHER, not below 0 if RELU."""
    lane = tl.arange(0, LANES)
    used = lane < USED
    scales = tl.load(scale + lane % CHANNELS, used, 0.0)
    offsets = tl.load(offset + lane % CHANNELS, used, 0.0)
    for row in range(tl.program_id(0) * DEEP, tl.cdiv(size, USED), tl.num_programs(0) * DEEP):
        place = (row + tl.arange(0, DEEP)).to(tl.int64)[:, None] * USED + lane[None, :]
        inside = used[None, :] & (place < size)
        values = tl.load(x + place, inside, 0.0).to(tl.float32) * scales[None, :] + offsets[None, :]
        if OTHER:
            values += tl.load(other + place, inside, 0.0).to(tl.float32)
        if RELU:
            values = tl.maximum(values, 0.0)
        tl.store(y + place, values.to(y.dtype.element_ty), inside)


@triton.jit
def backward_sums(
    g, x, y, masked, scale, offset, mean, one, two, size,
    CHANNELS: tl.constexpr, USED: tl.constexpr, LANES: tl.constexpr, DEEP: tl.constexpr,
    OTHER: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """Sums of g and of g * (x - mean), where g counts only where y > 0 if RELU; if OTHER that g is written to masked.

    y is read if OTHER, else computed again.
    """
    lane = tl.arange(0, LANES)
    used = lane < USED
    scales = tl.load(scale + lane % CHANNELS, used, 0.0)
    offsets = tl.load(offset + lane % CHANNELS, used, 0.0)
    means = tl.load(mean + lane % CHANNELS, used, 0.0)
    first = tl.zeros((LANES,), tl.float32)
    second = tl.zeros((LANES,), tl.float32)
    for row in range(tl.program_id(0) * DEEP, tl.cdiv(size, USED), tl.num_programs(0) * DEEP):
        place = (row + tl.arange(0, DEEP)).to(tl.int64)[:, None] * USED + lane[None, :]
        inside = used[None, :] & (place < size)
        gradient = tl.load(g + place, inside, 0.0).to(tl.float32)
        values = tl.load(x + place, inside, 0.0).to(tl.float32)
        if RELU:
            if OTHER:
                result = tl.load(y + place, inside, 0.0).to(tl.float32)
            else:
                result = values * scales[None, :] + offsets[None, :]
            gradient = tl.where(result > 0, gradient, 0.0)
            if OTHER:
                tl.store(masked + place, gradient.to(masked.dtype.element_ty), inside)
        first += tl.sum(gradient, 0)
        second += tl.sum(gradient * (values - means[None, :]), 0)
    tl.store(one + tl.program_id(0) * USED + lane, first, used)
    tl.store(two + tl.program_id(0) * USED + lane, second, used)


@triton.jit
def backward(
    g, x, result, scale, offset, slope, constant, size,
    CHANNELS: tl.constexpr, USED: tl.constexpr, LANES: tl.constexpr, DEEP: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """result = scale * g + slope * x + constant, where g counts only where scale * x + offset > 0 if RELU."""
    lane = tl.arange(0, LANES)
    used = lane < USED
    scales = tl.load(scale + lane % CHANNELS, used, 0.0)
    offsets = tl.load(offset + lane % CHANNELS, used, 0.0)
    slopes = tl.load(slope + lane % CHANNELS, used, 0.0)
    constants = tl.load(constant + lane % CHANNELS, used, 0.0)
    for row in range(tl.program_id(0) * DEEP, tl.cdiv(size, USED), tl.num_programs(0) * DEEP):
        place = (row + tl.arange(0, DEEP)).to(tl.int64)[:, None] * USED + lane[None, :]
        inside = used[None, :] & (place < size)
        gradient = tl.load(g + place, inside, 0.0).to(tl.float32)
        values = tl.load(x + place, inside, 0.0).to(tl.float32)
        if RELU:
            gradient = tl.where(values * scales[None, :] + offsets[None, :] > 0, gradient, 0.0)
        values = gradient * scales[None, :] + values * slopes[None, :] + constants[None, :]
        tl.store(result + place, values.to(result.dtype.element_ty), inside)


def launch(kernel: Any, programs: int, channels: int, *args: Tensor | int, **settings: bool) -> None:
    """Runs a kernel on a map of so many channels."""
    layout = {"CHANNELS": channels, "USED": used_lanes(channels), "LANES": LANES, "DEEP": DEEP}
    kernel[(programs,)](*args, **layout, num_warps=LANES // 256, **settings)


def used_lanes(channels: int) -> int:
    """Values of whole positions that a row of lanes takes."""
    return LANES // channels * channels


def programs_of(x: Tensor, each: int) -> int:
    """How many programs work on a map: so many a multiprocessor, and no more than find work."""
    cores = torch.cuda.get_device_properties(x.device).multi_processor_count if x.is_cuda else 1
    return min(each * cores, -(-x.numel() // (used_lanes(x.shape[1]) * DEEP)))
