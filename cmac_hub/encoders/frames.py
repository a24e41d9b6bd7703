"""Visual encoders in two steps: every frame by itself, then all frames of a clip together."""

from __future__ import annotations

from torch import Tensor, nn

from cmac_hub.encoders.inputs import check_clips


class FrameEncoder(nn.Module):
    """Base of a visual encoder that looks at each frame before it joins them.

    A frame's features depend on nothing but the frame, so windows that overlap may share them: `encode_frames` once for
    each frame, `join_frames` once for each window. `forward` is both.
    """

    channels: int
    """C of the feature map."""

    def encode_frames(self, frames_NCHW: Tensor) -> Tensor:
        """(N, 3, H, W) normalized RGB -> (N, c, h, w), whatever clips the frames are from."""
        raise NotImplementedError

    def join_frames(self, features_BCTHW: Tensor) -> Tensor:
        """The frames' features of each clip (B, c, T, h, w) -> (B, C, T', H', W')."""
        raise NotImplementedError

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W), normalized -> (B, C, T', H', W'). Raises ValueError for another shape."""
        check_clips(clips_BCTHW)
        b, _, t, _, _ = clips_BCTHW.shape
        features_NCHW = self.encode_frames(clips_BCTHW.transpose(1, 2).flatten(0, 1))
        return self.join_frames(features_NCHW.unflatten(0, (b, t)).transpose(1, 2))
