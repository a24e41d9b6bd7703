"""R(2+1)D-18 as the Video Model Zoo (VMZ) trains it, whose checkpoints XDC's are: torchvision's names, other numbers.

Each of its pairs of convolutions counts its own middle channels, where in torchvision's blocks the second pair has
those of the first; and its batch norms add 1e-3 to a variance, where PyTorch's add 1e-5.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.r2plus1d import Block, Conv2Plus1D, R2Plus1D, R2Plus1DConfig, middle_channels
from cmac_hub.registry import register_encoder

EPSILON = 1e-3


@dataclass(frozen=True)
class R2Plus1DVMZConfig(R2Plus1DConfig):
    """A clip, and VMZ's R(2+1)D that reads it."""

    kind: str = "r2plus1d-vmz"


class R2Plus1DVMZ(R2Plus1D):
    """VMZ's R(2+1)D; the input and output of `R2Plus1D`.

    Args:
        config: widths, depth and strides.
    """

    def __init__(self, config: R2Plus1DVMZConfig | None = None) -> None:
        config = config or R2Plus1DVMZConfig()
        super().__init__(config)
        for block in self.modules():
            if isinstance(block, Block):
                channels = int(block.conv2[1].num_features)  # type: ignore[arg-type]
                middle = middle_channels(channels, channels, config.middle_multiple)
                block.conv2[0] = Conv2Plus1D(channels, middle, channels, 1, 1)
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm3d):
                norm.eps = EPSILON
        initialize(self)


register_encoder("r2plus1d-vmz", R2Plus1DVMZConfig, R2Plus1DVMZ)
