"""A batch norm in training with the sum and the ReLU behind it in one, so that a map goes through memory less often.

A forward pass reads it for its statistics, and again to write what the next convolution takes; a backward pass reads it
for its sums, and again to write the gradient. With the gradients a norm and its ReLU move 8 maps instead of 13, with a
sum between them 11 instead of 16; PyTorch's kernels for them reach a fraction of the memory's speed besides. These are
Triton's, which comes with PyTorch on Linux; elsewhere the modules compute as they are.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

DEVICES = frozenset({"cuda"})
SUMS, BACKWARD_SUMS, MAPS = 4, 16, 64
"""Programs for a multiprocessor: of the sums forward and backward, and of the kernels that write maps (on an H200)."""
MOST_CHANNELS = 2048
"""`norm_kernels.LANES`, which only Triton can be asked for."""


def can_fuse(device: torch.device) -> bool:
    """Whether the kernels run on a device. Triton needs a GPU that it knows, and a C compiler for its first launch;
    where it is there and fails, a warning says so."""
    if device.type not in DEVICES or importlib.util.find_spec("triton") is None:
        return False
    norm = nn.BatchNorm1d(16).to(device)
    try:
        fused_norm(norm, torch.ones((2, 16), device=device))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        warnings.warn(f"norms are not fused: Triton failed here ({reason}); steps are slower", stacklevel=2)
        return False
    return True


def is_fusible(norm: nn.Module, x: Tensor) -> bool:
    """Whether `fused_norm` takes this norm and this map, if `can_fuse`."""
    return (
        x.device.type in DEVICES
        and x.dtype in (torch.bfloat16, torch.float16, torch.float32)
        and x.shape[1] <= MOST_CHANNELS
        and x.numel() > x.shape[1]
        and isinstance(norm, _BatchNorm)
        and norm.training
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and not torch.compiler.is_compiling()
    )


def fused_norm(norm: nn.Module, x: Tensor, other: Tensor | None = None, *, relu: bool = True) -> Tensor:
    """relu(norm(x) + other); what is left out is 0 or not done. Updates the norm's running statistics.

    Args:
        norm: a batch norm in training mode, or a `SyncBatchNorm`, of which all processes take part.
        x: (B, C, ...) map; of more channels than the norm those beyond must be zeros, and stay so.
        other: another summand of the same shape.
        relu: whether negative values become 0.
    """
    x = _channels_last(x)
    other = None if other is None else _channels_last(other)
    result: Tensor = _FusedNorm.apply(x, norm.weight, norm.bias, other, norm, relu)
    norm.num_batches_tracked.add_(1)  # type: ignore[operator]
    return result


def _channels_last(x: Tensor) -> Tensor:
    """Copied only if it does not lie so in memory."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


class _FusedNorm(torch.autograd.Function):
    """See `fused_norm`. With m positions, inverse = 1 / sqrt(variance + eps) and scale = weight * inverse:

    y = scale * (x - mean) + bias,
    dx = scale * (g - sum(g) / m - (x - mean) * inverse^2 * sum(g * (x - mean)) / m)   (Ioffe and Szegedy 2015)
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, other: Tensor | None, norm: _BatchNorm, relu: bool
    ) -> Tensor:
        from cmac_hub.encoders import norm_kernels as kernels

        channels, own = x.shape[1], len(weight)
        assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
        programs = kernels.programs_of(x, SUMS)
        partial = _partial_sums(x, programs)
        group = _group(norm)
        # Sums around a value of the map lose few digits where the mean is far from 0.
        shift_C = x.detach().movedim(1, -1).flatten(0, -2)[0].to(torch.float32, copy=True)
        if group:
            dist.broadcast(shift_C, group=group, group_src=0)
        kernels.launch(kernels.sums, programs, channels, x, shift_C, *partial, x.numel())
        sums_2C, positions = _together(partial, channels, x.numel() // channels, group)
        one_C, two_C = sums_2C / positions
        variance_C = (two_C - one_C * one_C).clamp_(min=0)
        mean_C = shift_C + one_C
        inverse_C = (variance_C + norm.eps).rsqrt_()
        scale_C = _extended(weight, channels) * inverse_C
        offset_C = _extended(bias, channels) - mean_C * scale_C

        y = torch.empty_like(x)
        args = x, x if other is None else other, scale_C, offset_C, y, x.numel()
        programs = kernels.programs_of(x, MAPS)
        kernels.launch(kernels.forward, programs, channels, *args, OTHER=other is not None, RELU=relu)

        norm.running_mean.lerp_(mean_C[:own].to(norm.running_mean.dtype), norm.momentum)
        unbiased_C = variance_C[:own] * positions / (positions - 1)
        norm.running_var.lerp_(unbiased_C.to(norm.running_var.dtype), norm.momentum)
        summed = other is not None and relu
        ctx.save_for_backward(x, y if summed else None, weight, mean_C, inverse_C, scale_C, offset_C)
        ctx.relu, ctx.other, ctx.group, ctx.positions = relu, other is not None, group, positions
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from cmac_hub.encoders import norm_kernels as kernels

        x, y, weight, mean_C, inverse_C, scale_C, offset_C = ctx.saved_tensors
        channels, own, size = x.shape[1], len(weight), x.numel()
        g = _channels_last(gradients[0])
        programs = kernels.programs_of(x, BACKWARD_SUMS)
        partial = _partial_sums(x, programs)
        summed = y is not None
        masked = torch.empty_like(x) if summed else g
        args = g, x, y if summed else x, masked, scale_C, offset_C, mean_C, *partial, size
        kernels.launch(kernels.backward_sums, programs, channels, *args, OTHER=summed, RELU=ctx.relu)
        bias_C, product_C = partial.view(2, -1, channels).sum(1)
        weight_C = product_C * inverse_C
        means = torch.stack([bias_C, weight_C])
        if ctx.group:
            dist.all_reduce(means, group=ctx.group)
        means /= -ctx.positions
        slope_C = scale_C * inverse_C * means[1]
        constant_C = scale_C * means[0] - slope_C * mean_C

        result = torch.empty_like(x)
        args = masked, x, result, scale_C, offset_C, slope_C, constant_C, size
        programs = kernels.programs_of(x, MAPS)
        kernels.launch(kernels.backward, programs, channels, *args, RELU=ctx.relu and not summed)
        other = masked if ctx.other else None
        return result, weight_C[:own].to(weight.dtype), bias_C[:own].to(weight.dtype), other, None, None


def _partial_sums(x: Tensor, programs: int) -> Tensor:
    """Where so many programs put two sums down: (2, programs, lanes) fp32."""
    from cmac_hub.encoders import norm_kernels as kernels

    shape = 2, programs, kernels.used_lanes(x.shape[1])
    return torch.empty(shape, dtype=torch.float32, device=x.device)


def _together(partial: Tensor, channels: int, positions: int, group: Any) -> tuple[Tensor, Tensor | int]:
    """(2, C) sums of all programs and processes, and how many positions they are of."""
    sums_2C = partial.view(2, -1, channels).sum(1)
    if not group:
        return sums_2C, positions
    all_sums = torch.cat([sums_2C.flatten(), sums_2C.new_tensor([positions])])
    dist.all_reduce(all_sums, group=group)
    return all_sums[:-1].view_as(sums_2C), all_sums[-1]


def _group(norm: _BatchNorm) -> Any:
    """Of the processes whose batches count together; None of a single one."""
    if not isinstance(norm, nn.SyncBatchNorm) or not dist.is_initialized() or dist.get_world_size() == 1:
        return None
    return norm.process_group or dist.group.WORLD


def _extended(values_C: Tensor, channels: int) -> Tensor:
    """fp32, with zeros for the channels beyond."""
    values_C = values_C.detach().float()
    return F.pad(values_C, (0, channels - len(values_C))) if len(values_C) < channels else values_C
