"""The two networks of AVID and AVID-CMA (Morgado et al. 2020), for checkpoints of theirs.

Their R(2+1)D has a three-dimensional stem with a max pool, as many channels between the factors as behind them, and a
norm behind the sum of a block instead of one before it. Their audio network is a ResNet-9's depth without shortcuts.
Both end in a global max pool there; here the map before it is given, and pooled as every network's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from cmac_hub.checks import check_whole
from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.inputs import check_clips, check_spectrograms
from cmac_hub.encoders.planes import PointConv, SpatialConv, TemporalConv
from cmac_hub.errors import ArgumentError
from cmac_hub.registry import AudioConfig, VisualConfig, register_encoder


@dataclass(frozen=True)
class AVIDVisualConfig(VisualConfig):
    """A clip, and AVID's R(2+1)D that reads it.

    Raises:
        ValueError: another depth than 10 or 18, no channels; see also `VisualConfig`.
    """

    kind: str = "avid-r2plus1d"
    depth: Literal[10, 18] = 18
    """10 has one block a stage, 18 has two."""
    width: int = 64
    """Channels of the stem and the first stage; they double at each of the three following stages."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth not in (10, 18):
            raise ArgumentError(f"depth is {self.depth}; accepted are 10 and 18")
        check_whole(width=self.width)


@dataclass(frozen=True)
class AVIDAudioConfig(AudioConfig):
    """A spectrogram, and AVID's convolutions that read it. Raises ValueError without channels; see `AudioConfig`."""

    kind: str = "avid-conv2d"
    width: int = 64
    """Channels of the stem and the first block; they double at each of the three following blocks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(width=self.width)


class AVIDBlock(nn.Module):
    """Two (2+1)D convolutions; the shortcut joins them before the last norm."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.space1 = nn.Sequential(SpatialConv(inputs, outputs, 3, stride), nn.BatchNorm3d(outputs), nn.ReLU(True))
        self.time1 = nn.Sequential(TemporalConv(outputs, outputs, stride), nn.BatchNorm3d(outputs), nn.ReLU(True))
        self.space2 = nn.Sequential(SpatialConv(outputs, outputs, 3), nn.BatchNorm3d(outputs), nn.ReLU(True))
        self.time2 = TemporalConv(outputs, outputs)
        self.shortcut: nn.Module | None = None
        if inputs != outputs or stride != 1:
            self.shortcut = PointConv(inputs, outputs, (stride, stride, stride))
        self.norm = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(True)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        shortcut = x_BCTHW if self.shortcut is None else self.shortcut(x_BCTHW)
        return self.relu(self.norm(self.time2(self.space2(self.time1(self.space1(x_BCTHW)))) + shortcut))


class AVIDVisual(nn.Module):
    """AVID's R(2+1)D: clips (B, 3, T, H, W) -> (B, C, T', H', W'), non-negative; total stride 8 in time, 32 in space.

    Args:
        config: depth and width.
    """

    def __init__(self, config: AVIDVisualConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AVIDVisualConfig()
        width, blocks = config.width, {10: 1, 18: 2}[config.depth]
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(width), nn.ReLU(True)
        )
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        inputs = width
        for stage in range(4):
            outputs = width << stage
            layers = [AVIDBlock(inputs, outputs, 1 if stage == 0 else 2)]
            layers += [AVIDBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            inputs = outputs
        self.channels = inputs
        initialize(self)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Raises ValueError for an input that has not five dimensions or not three channels."""
        check_clips(clips_BCTHW)
        x_BCTHW = clips_BCTHW.contiguous(memory_format=torch.channels_last_3d)
        for part in self.children():
            x_BCTHW = part(x_BCTHW)
        return x_BCTHW


class AVIDAudio(nn.Module):
    """AVID's audio network: spectrograms (B, 1, F, S) -> (B, C, F', S'), non-negative; total stride 16.

    Args:
        config: width.
    """

    def __init__(self, config: AVIDAudioConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AVIDAudioConfig()
        width = config.width
        self.stem = nn.Sequential(nn.Conv2d(1, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(True))
        inputs = width
        for block, stride in enumerate((2, 2, 2, 1)):
            outputs = width << block
            self.add_module(
                f"layer{block + 1}",
                nn.Sequential(
                    *(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)),
                    *(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(True)),
                ),
            )
            inputs = outputs
        self.channels = inputs
        initialize(self)

    def forward(self, spectrograms_BCFS: Tensor) -> Tensor:
        """Raises ValueError for an input that has not four dimensions or not one channel."""
        check_spectrograms(spectrograms_BCFS)
        x_BCFS = spectrograms_BCFS.contiguous(memory_format=torch.channels_last)
        for part in self.children():
            x_BCFS = part(x_BCFS)
        return x_BCFS


register_encoder("avid-r2plus1d", AVIDVisualConfig, AVIDVisual)
register_encoder("avid-conv2d", AVIDAudioConfig, AVIDAudio)
