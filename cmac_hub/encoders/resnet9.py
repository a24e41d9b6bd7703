"""ResNet-9: a log-mel spectrogram -> a map of frequencies and moments.

The paper names it and shows no more. Here it is a 7x7 stem and four basic residual blocks (He et al. 2016) with a
shortcut each; the audio networks of AVID and GDT are as deep.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cmac_hub.checks import check_whole
from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.inputs import check_spectrograms
from cmac_hub.encoders.lean import NormChain, Residual
from cmac_hub.registry import AudioConfig, register_encoder


@dataclass(frozen=True)
class ResNet9Config(AudioConfig):
    """A spectrogram, and the ResNet-9 that reads it; the default is the paper's (section 4.1).

    Raises:
        ValueError: no channels or strides; see also `AudioConfig`.
    """

    kind: str = "resnet9"
    width: int = 64
    """Channels of the stem and the first stage; they double at each of the three following stages."""
    stage_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Strides of the four stages; the stem adds a factor of 2."""
    stem_pool: bool = False
    """A 3x3 max pool of stride 2 after the stem, as in image ResNets (total stride 32)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(width=self.width, stage_strides=self.stage_strides)


class Block(Residual):
    """A basic residual block of two 3x3 convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        downsample = None
        if inputs != outputs or stride != 1:
            downsample = NormChain(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        super().__init__(
            NormChain(
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
            ),
            NormChain(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)),
            downsample,
        )


class ResNet9(nn.Module):
    """ResNet-9: a 7x7 stem and four basic blocks, f_a of the paper.

    Args:
        config: widths and strides; the default has 64-128-256-512 channels and a total stride of 16.
    """

    def __init__(self, config: ResNet9Config | None = None) -> None:
        super().__init__()
        config = config or ResNet9Config()
        self.config = config
        width = config.width
        self.stem = NormChain(nn.Conv2d(1, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        if config.stem_pool:
            self.stem.append(nn.MaxPool2d(3, 2, 1))
        inputs = width
        for stage, stride in enumerate(config.stage_strides):
            outputs = width << stage
            self.add_module(f"layer{stage + 1}", Block(inputs, outputs, stride))
            inputs = outputs
        self.channels = inputs
        initialize(self)

    def forward(self, spectrograms_BCFS: Tensor) -> Tensor:
        """Spectrograms -> feature maps.

        Args:
            spectrograms_BCFS: (B, 1, F, S) float, normalized log-mel as `CMAC.preprocess` makes it; any F, S.

        Returns:
            (B, C, F', S') float, non-negative, not pooled.

        Raises:
            ValueError: the input has not four dimensions or not one channel.
        """
        check_spectrograms(spectrograms_BCFS)
        x_BCFS = spectrograms_BCFS.contiguous(memory_format=torch.channels_last)
        for part in self.children():
            x_BCFS = part(x_BCFS)
        return x_BCFS


register_encoder("resnet9", ResNet9Config, ResNet9)
