"""Frames as H.264 stores them: BT.709 brightness and color of limited range.

Most videos are stored so already; what is drawn on as such need be converted neither to RGB nor back.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from cmac_hub.media.color import RGBConverter, is_standard, reformat
from cmac_hub.media.orientation import frame_orientation

FORMATS = {True: "yuv420p", False: "yuv444p"}
"""FFmpeg's name by whether color has half the resolution."""


class YUV(NamedTuple):
    """A picture of three planes, uint8; they may be views of a decoder's memory, and are never written to."""

    y: np.ndarray
    """(H, W), 16 (black) to 235 (white)."""
    u: np.ndarray
    """(h, w), 16 to 240, 128 where there is no color; h, w are half of H, W where both are even, else the same."""
    v: np.ndarray
    """(h, w), as `u`."""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """The planes of a frame in one of `FORMATS`."""
        return cls(*(_view(plane) for plane in frame.planes))

    @property
    def pixels(self) -> str:
        """Which of `FORMATS` they are stored in."""
        return FORMATS[self.u.shape != self.y.shape]

    @property
    def bytes(self) -> int:
        """That its planes take."""
        return sum(plane.nbytes for plane in self)

    def to_frame(self) -> av.VideoFrame:
        """A frame of its own memory, tagged as what it is."""
        height, width = self.y.shape
        frame = tagged(av.VideoFrame(width, height, self.pixels))
        for plane, values in zip(frame.planes, self, strict=True):
            _view(plane)[...] = values
        return frame


def _view(plane: av.video.plane.VideoPlane) -> np.ndarray:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def tagged(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame, with what every player must know of its colors."""
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return frame


def format_of(width: int, height: int) -> str:
    """How a picture of that size is stored: with full color resolution where a side is odd."""
    return FORMATS[width % 2 == 0 and height % 2 == 0]


class ToYUV:
    """RGB images -> `YUV`; one is reused for a stream."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, image_HWC: np.ndarray, pixels: str | None = None) -> YUV:
        """(H, W, 3) uint8 BT.709 RGB of full range -> its planes, in one of `FORMATS`, by default the usual one."""
        height, width = image_HWC.shape[:2]
        return YUV.of(self.convert(image_HWC, pixels or format_of(width, height)))

    def convert(self, image_HWC: np.ndarray, pixels: str) -> av.VideoFrame:
        """The same as a frame in a format of FFmpeg's."""
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HWC), format="rgb24"),
            format=pixels,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        return tagged(frame)


class YUVScaler:
    """Decoded frame -> its planes as displayed, of one size, whatever its own size, format and colors; as `Scaler`.

    Args:
        width: pixels, as displayed.
        height: pixels, as displayed.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size, self._format = (width, height), format_of(width, height)
        self._reformatter, self._to_rgb, self._to_yuv = VideoReformatter(), RGBConverter(highlights=True), ToYUV()

    def __call__(self, frame: av.VideoFrame) -> YUV:
        """Raises MediaError for a pixel format that FFmpeg cannot convert."""
        orientation = frame_orientation(frame)
        width, height = self._size[::-1] if orientation.transposed else self._size
        if not is_standard(frame):
            return self._to_yuv(orientation.apply(self._to_rgb(frame, width, height)))
        if (frame.width, frame.height, frame.format.name) == (width, height, self._format) and _is_bt709(frame):
            return YUV(*(orientation.apply(plane) for plane in YUV.of(frame)))
        to = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
        converted = reformat(self._reformatter, frame, width, height, self._format, **to)
        return YUV(*(orientation.apply(plane) for plane in YUV.of(converted)))


def _is_bt709(frame: av.VideoFrame) -> bool:
    """Whether a standard frame is tagged as BT.709 and limited, as all are limited that say nothing of it."""
    return frame.colorspace == Colorspace.ITU709 and frame.color_range in (ColorRange.MPEG, ColorRange.UNSPECIFIED)
