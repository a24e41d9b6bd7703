"""R(2+1)D (Tran et al. 2018): a clip -> a feature map of moments and places.

Module names and parameter shapes are torchvision's, so at width 64 and depth 18 `load_state_dict` takes
`torchvision.models.video.r2plus1d_18` weights as they are (classifier aside).

Every factor of a (2+1)D convolution runs on planes (`planes.py`): the spatial one on (B T, C, H, W), the temporal one
on (B, C, T, H W). The wrong bf16 weight gradient of Conv3d at two frames (PyTorch 2.13, 2.14 on CPU) is never met.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cmac_hub.checks import check_whole
from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.inputs import check_clips
from cmac_hub.encoders.lean import Factors, NormChain, Residual, computed_twice
from cmac_hub.encoders.onednn import fits
from cmac_hub.encoders.planes import PointConv, SpatialConv, TemporalConv
from cmac_hub.errors import ArgumentError
from cmac_hub.registry import VisualConfig, register_encoder


@dataclass(frozen=True)
class R2Plus1DConfig(VisualConfig):
    """A clip, and the R(2+1)D that reads it; the default is the paper's (section 4.1).

    Raises:
        ValueError: another depth than 10 or 18, too few channels, no stride; see also `VisualConfig`.
    """

    kind: str = "r2plus1d"
    depth: Literal[10, 18] = 18
    """10 has one block a stage, 18 has two."""
    width: int = 64
    """Channels of the stem and the first stage; they double at each of the three following stages."""
    stem_time_stride: int = 1
    stage_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Spatial strides of the four stages; the stem adds a factor of 2."""
    stage_time_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    middle_multiple: int = 1
    """The channels between the spatial and the temporal convolution are rounded up to a multiple of this
    (1: torchvision's numbers; 16 is nearly twice as fast to train in bf16 on a CPU)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in (10, 18):
            raise ArgumentError(f"depth is {self.depth}; accepted are 10 and 18")
        # Of a single channel the stem would have no middle ones.
        check_whole(2, width=self.width)
        check_whole(
            stem_time_stride=self.stem_time_stride,
            stage_strides=self.stage_strides,
            stage_time_strides=self.stage_time_strides,
            middle_multiple=self.middle_multiple,
        )


def middle_channels(inputs: int, outputs: int, multiple: int) -> int:
    """Channels between the two factors, so that the pair has as many weights as the 3x3x3 convolution it stands for."""
    middle = (inputs * outputs * 3 * 3 * 3) // (inputs * 3 * 3 + 3 * outputs)
    return -(-middle // multiple) * multiple


class Conv2Plus1D(Factors):
    """Space, then time."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, time_stride: int) -> None:
        super().__init__(
            SpatialConv(inputs, middle, 3, stride),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            TemporalConv(middle, outputs, time_stride),
        )


class Block(Residual):
    """A basic residual block of two (2+1)D convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int, time_stride: int, multiple: int) -> None:
        # As in torchvision, the first convolution's middle channels serve the whole block.
        middle = middle_channels(inputs, outputs, multiple)
        downsample = None
        if inputs != outputs or stride != 1 or time_stride != 1:
            downsample = NormChain(PointConv(inputs, outputs, (time_stride, stride, stride)), nn.BatchNorm3d(outputs))
        super().__init__(
            NormChain(
                Conv2Plus1D(inputs, middle, outputs, stride, time_stride),
                nn.BatchNorm3d(outputs),
                nn.ReLU(inplace=True),
            ),
            NormChain(Conv2Plus1D(outputs, middle, outputs, 1, 1), nn.BatchNorm3d(outputs)),
            downsample,
        )


class R2Plus1D(nn.Module):
    """R(2+1)D of depth 10 (one block a stage) or 18 (two), f_v of the paper.

    Args:
        config: widths, depth and strides; the default is the paper's network.
    """

    values_at_once: float = math.inf
    """Clips for which the stem gives more values than this are encoded some at a time; see `packing.pack`."""

    def __init__(self, config: R2Plus1DConfig | None = None) -> None:
        super().__init__()
        config = config or R2Plus1DConfig()
        self.config = config
        width, blocks = config.width, {10: 1, 18: 2}[config.depth]
        # torchvision's stem has 45 middle channels at width 64.
        stem = -(-(width * 45 // 64) // config.middle_multiple) * config.middle_multiple
        self.stem = Factors(
            SpatialConv(3, stem, 7, 2),
            nn.BatchNorm3d(stem),
            nn.ReLU(inplace=True),
            TemporalConv(stem, width, config.stem_time_stride),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        inputs = width
        for stage, (stride, time_stride) in enumerate(
            zip(config.stage_strides, config.stage_time_strides, strict=True)
        ):
            outputs = width << stage
            layers = [Block(inputs, outputs, stride, time_stride, config.middle_multiple)]
            layers += [Block(outputs, outputs, 1, 1, config.middle_multiple) for _ in range(blocks - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            inputs = outputs
        self.channels = inputs
        self._computed_twice = False
        initialize(self)

    def train_lean(self, *, multiple: int = 1, checkpointing: bool = False) -> None:
        """How it is computed in training mode from now on; what is computed stays the same, up to rounding.

        Args:
            multiple: the planes between the two factors of a convolution are padded with zeros to a multiple of this
                many while they are computed; 1 pads nothing.
            checkpointing: the maps inside the stem and the first stage, two thirds of what is kept for the backward
                pass, are computed again in it instead.
        """
        for module in self.modules():
            if isinstance(module, Factors):
                module.multiple = multiple
        self._computed_twice = checkpointing

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Clips -> feature maps.

        Args:
            clips_BCTHW: (B, 3, T, H, W) float, normalized RGB as `CMAC.preprocess` makes it; any T, H, W.

        Returns:
            (B, C, T', H', W') float, non-negative, not pooled.

        Raises:
            ValueError: the input has not five dimensions or not three channels.
        """
        check_clips(clips_BCTHW)
        if fits(clips_BCTHW) and (count := self.together(clips_BCTHW)) < len(clips_BCTHW):
            return torch.cat([self._encode(some_BCTHW) for some_BCTHW in clips_BCTHW.split(count)])
        return self._encode(clips_BCTHW)

    def _encode(self, clips_BCTHW: Tensor) -> Tensor:
        x_BCTHW = clips_BCTHW.contiguous(memory_format=torch.channels_last_3d)
        twice = self._computed_twice and self.training and torch.is_grad_enabled()
        parts = list(self.children())
        if twice:
            stem, stage, *parts = parts
            for large in (stem, *stage.children()):
                x_BCTHW = computed_twice(large, x_BCTHW)
        for part in parts:
            x_BCTHW = part(x_BCTHW)
        return x_BCTHW

    def together(self, clips_BCTHW: Tensor) -> int:
        """How many of these clips are encoded at once on a CPU."""
        stem = self.config.width * clips_BCTHW[0, 0].numel() / (4 * self.config.stem_time_stride)
        return int(max(1, min(len(clips_BCTHW), self.values_at_once / stem)))


register_encoder("r2plus1d", R2Plus1DConfig, R2Plus1D)
