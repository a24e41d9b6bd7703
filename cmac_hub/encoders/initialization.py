"""How the weights of our encoders begin."""

from __future__ import annotations

import math

from torch import nn


def initialize(module: nn.Module) -> None:
    """He's initialization for convolutions, by the outputs that one input reaches; ones and zeros for batch norms.

    The paper says nothing of it. What joins the encoders (g, h, the head) keeps PyTorch's own. On the device "meta"
    there is nothing to set, and `normal_` there would import PyTorch's compiler, which takes a second.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv3d | nn.Conv2d):
            if part.weight.is_meta:
                continue
            fan_out = part.out_channels * math.prod(part.kernel_size) // part.groups
            nn.init.normal_(part.weight, 0, math.sqrt(2.0) / math.sqrt(fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm3d | nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
