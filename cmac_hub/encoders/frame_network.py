"""A network that looks at frames one by one, then at their order: a picture backbone, then temporal convolutions.

It is R(2+1)D's idea with all of the space before all of the time. A backbone that has seen many pictures can be taken
as it is, and windows that overlap share its work. The temporal layers begin as the identity, so that a new network
gives each frame the map of its backbone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from cmac_hub.checks import check_most
from cmac_hub.encoders.efficientnet_lite import EfficientNetLite0, load_lite0
from cmac_hub.encoders.frames import FrameEncoder
from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.levels import Level, join_levels
from cmac_hub.encoders.planes import PointConv, TemporalConv
from cmac_hub.encoders.timm_trunk import TimmTrunk
from cmac_hub.errors import ArgumentError, CheckpointError
from cmac_hub.registry import VisualConfig, register_encoder

LITE0, TIMM = "efficientnet_lite0", "timm/"


@dataclass(frozen=True)
class FrameNetworkConfig(VisualConfig):
    """Few large frames, and the network that reads them.

    Raises:
        ValueError: an unknown backbone or level, or a number of layers or channels that is too low; see also
            `VisualConfig`.
    """

    kind: str = "frames"
    frames: int = 4
    size: int = 224
    multiple: int = 32
    mean: tuple[float, float, float] = (127 / 255, 127 / 255, 127 / 255)
    std: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)
    """The defaults are EfficientNet-Lite0's, (x - 127) / 128 of bytes; timm's are in `timm.data`."""
    backbone: str = LITE0
    """Either "efficientnet_lite0", or "timm/" and a name of timm's (pip install 'cmac-hub[backbones]')."""
    level: Level = "last"
    """The map that is taken; of EfficientNet-Lite0 "last" has 1280 channels at stride 32, "before_head" 320 there, and
    "joined" 112 + 1280 at stride 16."""
    temporal_layers: int = 2
    temporal_channels: int = 256
    """Inside a temporal layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone != LITE0 and not self.backbone.startswith(TIMM):
            raise ArgumentError(f"backbone is {self.backbone!r}; accepted are {LITE0} and {TIMM}NAME")
        if self.level not in get_args(Level):
            raise ArgumentError(f"level is {self.level!r}; accepted are {', '.join(get_args(Level))}")
        if self.level == "before_head" and self.backbone != LITE0:
            raise ArgumentError(f"level is 'before_head', which only {LITE0} has; accepted are last and joined")
        check_most(temporal_layers=(self.temporal_layers, 64))
        if self.temporal_layers < 0 or self.temporal_channels < 1:
            raise ArgumentError(
                f"temporal_layers is {self.temporal_layers} and temporal_channels {self.temporal_channels}; "
                "they must be at least 0 and 1"
            )


class TemporalLayer(nn.Module):
    """A 3 x 1 x 1 convolution over the frames of each place, beside the identity, as which it begins."""

    def __init__(self, channels: int, middle: int) -> None:
        super().__init__()
        self.temporal = TemporalConv(channels, middle)
        self.norm = nn.BatchNorm3d(middle)
        self.relu = nn.ReLU(inplace=True)
        self.project = PointConv(middle, channels, (1, 1, 1))
        initialize(self)
        nn.init.zeros_(self.project.weight)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        return x_BCTHW + self.project(self.relu(self.norm(self.temporal(x_BCTHW))))


class FrameNetwork(FrameEncoder):
    """A backbone for every frame, temporal layers for every clip; T' is T.

    Args:
        config: backbone and layers; the default is EfficientNet-Lite0 with two temporal layers.

    Raises:
        CMACError: a timm backbone without timm, or one that gives no maps of such frames; see `TimmTrunk`.
    """

    def __init__(self, config: FrameNetworkConfig | None = None) -> None:
        super().__init__()
        config = config or FrameNetworkConfig()
        self.config = config
        self.trunk: EfficientNetLite0 | TimmTrunk
        if config.backbone == LITE0:
            self.trunk = EfficientNetLite0(config.level)
        else:
            self.trunk = TimmTrunk(config.backbone.removeprefix(TIMM), config.level == "joined", config.multiple)
        self.channels, self.level_channels = sum(self.trunk.channels), tuple(self.trunk.channels)
        layers = (TemporalLayer(self.channels, config.temporal_channels) for _ in range(config.temporal_layers))
        self.layers = nn.Sequential(*layers)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Gives the trunk the published weights of EfficientNet-Lite0, see `load_lite0`.

        Raises:
            CheckpointError: they are of another network, or the backbone is another one.
        """
        if not isinstance(self.trunk, EfficientNetLite0):
            raise CheckpointError(f"the weights are EfficientNet-Lite0's, and the backbone is {self.config.backbone}")
        load_lite0(self.trunk, state)

    def encode_frames(self, frames_NCHW: Tensor) -> Tensor:
        """Frames -> their maps.

        Args:
            frames_NCHW: (N, 3, H, W) float, normalized RGB as `CMAC.preprocess` makes it; any N.

        Returns:
            (N, C, H', W') float.

        Raises:
            ValueError: the input has not four dimensions or not three channels.
        """
        if frames_NCHW.ndim != 4 or frames_NCHW.shape[1] != 3:
            raise ArgumentError(f"frames have shape {tuple(frames_NCHW.shape)}; expected (N, 3, H, W)")
        return join_levels(self.trunk(frames_NCHW))

    def join_frames(self, features_BCTHW: Tensor) -> Tensor:
        """The frames' maps of each clip (B, C, T, H', W') -> the clip's map, of the same shape."""
        return self.layers(features_BCTHW.contiguous(memory_format=torch.channels_last_3d))


register_encoder("frames", FrameNetworkConfig, FrameNetwork)
