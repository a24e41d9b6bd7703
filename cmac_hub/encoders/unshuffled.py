"""A convolution of stride 2 as one of stride 1 on a quarter of the positions with four times the channels.

Tensor cores take channels by 8 or 16; with the three of a picture they mostly wait. Here 2 x 2 pixels become 12
channels, zeros make them 16, and the kernel is cut in the same way. The sums are the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmac_hub.encoders.planes import Kernel


def unshuffled_conv(x_NCHW: Tensor, kernel: Kernel, multiple: int) -> Tensor:
    """What `F.conv2d` with this kernel gives.

    Args:
        x_NCHW: (N, C, H, W) float.
        kernel: of stride 2 and k x k weights, k odd, padding k // 2.
        multiple: zeros make the channels a multiple of this many.

    Returns:
        (N, O, ceil(H / 2), ceil(W / 2)) float, in the type of autocast.
    """
    weight_OCKK = kernel.weight
    side, edge = weight_OCKK.shape[2], weight_OCKK.shape[2] // 2
    assert side % 2 and kernel.stride == (2, 2) and kernel.padding == (edge, edge) and kernel.groups == 1
    # The first tap lies `edge` pixels before an even one: `before` pairs, of which one pixel may be too many.
    before = -(-edge // 2)
    front = 2 * before - edge
    pairs = -(-(front + side) // 2)
    weight_OCKK = F.pad(weight_OCKK, (front, 2 * pairs - side - front) * 2)
    weight_OCPP = weight_OCKK.unflatten(3, (pairs, 2)).unflatten(2, (pairs, 2))
    weight_OCPP = weight_OCPP.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
    extra = -weight_OCPP.shape[1] % multiple
    weight_OCPP = F.pad(weight_OCPP, (0, 0, 0, 0, 0, extra))
    x_NCHW = _pairs_as_channels(x_NCHW, before, pairs - 1 - before, extra)
    return F.conv2d(x_NCHW, weight_OCPP.contiguous(memory_format=torch.channels_last))


def _pairs_as_channels(x_NCHW: Tensor, before: int, after: int, extra: int) -> Tensor:
    """(N, 4 C + extra, before + H / 2 + after, ...) channels-last: row, column, channel, then zeros; zeros around."""
    x_NCHW = F.pad(x_NCHW, (0, x_NCHW.shape[3] % 2, 0, x_NCHW.shape[2] % 2))
    x_NHWC = x_NCHW.movedim(1, -1)
    count, height, width, channels = x_NHWC.shape
    rows, columns = height // 2, width // 2
    kind = x_NCHW.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x_NCHW.dtype
    shape = count, before + rows + after, before + columns + after, 4 * channels + extra
    result_NHWC = torch.zeros(shape, dtype=dtype, device=x_NCHW.device)
    inner = result_NHWC[:, before : before + rows, before : before + columns, : 4 * channels]
    pairs = x_NHWC.unflatten(2, (columns, 2)).unflatten(1, (rows, 2)).transpose(2, 3)
    inner.unflatten(3, (2, 2, channels)).copy_(pairs)
    return result_NHWC.movedim(-1, 1)
