"""The two factors of a (2+1)D convolution in one go: where `Winograd` makes what lies between them, band by band.

It is the largest map, above 32 MiB for clips of 32 x 128 x 128. What is so large glibc returns to the system when it is
freed, which hands it out anew page by zeroed page: a sixth of the time of R(2+1)D-18.
"""

from __future__ import annotations

from torch import Tensor, nn

from cmac_hub.encoders.lean import Factors
from cmac_hub.encoders.onednn import fits
from cmac_hub.encoders.packed import PackedConv
from cmac_hub.encoders.planes import SpatialConv
from cmac_hub.encoders.winograd import Rows, Winograd, join


class PackedPair(nn.Module):
    """A packed convolution over space, then one over time, which asks for no rows but its own.

    Args:
        space: of a `SpatialConv`.
        time: of a `TemporalConv`.
    """

    def __init__(self, space: PackedConv, time: PackedConv) -> None:
        super().__init__()
        self.space, self.time = space, time

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """As space and time in a row."""
        conv = self.space.conv
        if fits(x_BCTHW) and isinstance(conv, SpatialConv):
            planes_NCHW, convolve = self.space.laid_out(x_BCTHW)
            if isinstance(convolve, Winograd):
                parts = (Rows(row, self.time(conv.restore(maps, x_BCTHW))) for row, maps in convolve(planes_NCHW))
                return join(parts, convolve.height)
        maps_BCTHW: Tensor = self.time(self.space(x_BCTHW))
        return maps_BCTHW


def pack_pairs(network: nn.Module) -> None:
    """Puts a `PackedPair` in the place of the packed convolutions of every `Factors` of a network."""
    for factors in network.modules():
        if isinstance(factors, Factors):
            space, norm, activation, time, *_ = factors
            between = isinstance(norm, nn.Identity) and isinstance(activation, nn.Identity)
            if between and isinstance(space, PackedConv) and isinstance(time, PackedConv):
                factors[0], factors[3] = PackedPair(space, time), nn.Identity()
