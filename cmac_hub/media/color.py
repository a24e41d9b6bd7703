"""Decoded frames -> BT.709 RGB: the right matrix and range, wide gamuts narrowed, HDR tone-mapped, all in one place.

A frame of standard range and gamut is converted by FFmpeg alone, with the matrix and range that it is tagged with.
Without a matrix it is read as players do: BT.709 from 720 lines or 1280 columns on, BT.601 below; without a range the
numbers are limited (16 to 235), except in the formats that are full by name (yuvj420p).

Everything else goes on from 10-bit RGB, after scaling (a small frame costs little): to linear light (HLG, PQ, or a
screen's power of 2.4), from its primaries to BT.709's, HDR to standard range, and back to a screen's code values, with
out-of-gamut colors clipped. To the eye HDR is shown through Hable's curve, exactly as by FFmpeg's
`zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv`. That is
darker than the same scene in standard range, which is what networks have learned from: they are given its exposure,
with reference white (203 cd/m2, ITU-R BT.2408) as white and what is brighter clipped, and one color for two columns.
"""

from __future__ import annotations

import struct

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from cmac_hub.errors import MediaError
from cmac_hub.media.orientation import side_data
from cmac_hub.media.tone import XY, Table

HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
"""Transfers of high dynamic range: PQ and HLG."""

PEAK = 10.0
"""The brightest light of an HDR video that does not tell it, in units of 100 candela a square meter."""

MATRICES = {1, 4, 5, 6, 7, 9}
"""ISO/IEC 23091-4 numbers of the YUV matrices that FFmpeg's scaler knows; any other one counts as not tagged."""

CONSTANT_LUMINANCE = 10
"""The number of BT.2020's rarer matrix, which is taken for the usual one, 9."""

UNREAD_MATRICES = {8: "YCgCo", 11: "SMPTE ST 2085", 12: "a derived matrix", 13: "a derived matrix", 14: "ICtCp"}
"""Further numbers, which videos really have."""

UNREADABLE = {"yaf32le", "yaf32be"}
"""Pixel formats at which FFmpeg's scaler ends the process."""


class RGBConverter:
    """Decoded frame -> RGB of any size; one of one thread is reused for a stream, a new one a frame is slow.

    Args:
        highlights: show those of HDR, through Hable's curve, as for the eye; else clip them, as for a network.
    """

    def __init__(self, highlights: bool) -> None:
        self._reformatter, self._to_pairs, self._from_pairs = (VideoReformatter() for _ in range(3))
        self._peak = PEAK if highlights else None
        """The brightest that the stream told last."""
        self._table: tuple[tuple[int | None, int, float | None], Table] | None = None
        """What it was made of, and the table."""

    def __call__(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 BT.709 RGB, full range, not turned.

        Raises:
            MediaError: a pixel format that FFmpeg cannot convert.
        """
        primaries = _primaries(frame)
        hdr = frame.color_trc in HDR
        if not hdr and primaries == ColorPrimaries.BT709:
            image: np.ndarray = reformat(self._reformatter, frame, width, height, "rgb24").to_ndarray()
            return image
        if hdr and self._peak is not None:
            self._peak = _told_peak(frame) or self._peak
        key = frame.color_trc if hdr else None, primaries, self._peak
        if self._table is None or self._table[0] != key:
            self._table = key, Table(*key)
        image = self._table[1](reformat(self._reformatter, frame, width, height, "gbrp10le"))
        return self._in_pairs(image) if hdr and self._peak is None else image

    def _in_pairs(self, image: np.ndarray) -> np.ndarray:
        """The image with one color for two columns, as FFmpeg makes RGB of YUV: so a network is given the colored edges
        of HDR as those of standard range."""
        height, width = image.shape[:2]
        matrix, limited, full = Colorspace.ITU709, ColorRange.MPEG, ColorRange.JPEG
        how = {"src_color_range": full, "dst_color_range": limited, "dst_colorspace": matrix}
        paired = reformat(self._to_pairs, av.VideoFrame.from_ndarray(image), width, height, "yuv422p", **how)
        how = {"src_color_range": limited, "src_colorspace": matrix}
        found: np.ndarray = reformat(self._from_pairs, paired, width, height, "rgb24", **how).to_ndarray()
        return found


def reformat(
    reformatter: VideoReformatter, frame: av.VideoFrame, width: int, height: int, pixels: str, **to: int
) -> av.VideoFrame:
    """A frame in another size and pixel format by FFmpeg, its numbers read as the rules above say.

    Args:
        reformatter: of one thread, reused for a stream.
        frame: as decoded.
        width: pixels.
        height: pixels.
        pixels: FFmpeg's name of the format.
        to: more of PyAV's arguments, in the place of the rules: `dst_colorspace` and `dst_color_range` of YUV, ranges.

    Raises:
        MediaError: a pixel format that FFmpeg cannot convert.
    """
    if frame.format.name in UNREADABLE:
        raise MediaError(_refusal(frame))
    how = {"src_colorspace": matrix_of(frame), "src_color_range": frame.color_range, "threads": 1, **to}
    try:
        return reformatter.reformat(frame, width=width, height=height, format=pixels, **how)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(_refusal(frame)) from error


def is_standard(frame: av.VideoFrame) -> bool:
    """Whether a frame is YUV of BT.709's gamut and standard range, so that FFmpeg alone converts it rightly."""
    narrow = frame.color_trc not in HDR and _primaries(frame) == ColorPrimaries.BT709
    return narrow and not frame.format.is_rgb and frame.format.name.startswith("yuv")


def _refusal(frame: av.VideoFrame) -> str:
    shape = f"{frame.width}x{frame.height}, {frame.format.name}"
    return f"a frame ({shape}) cannot be converted to RGB; convert the video first: ffmpeg -i IN -pix_fmt yuv420p OUT"


def matrix_of(frame: av.VideoFrame) -> int | None:
    """What the numbers are to be read with; None: as they are tagged."""
    if frame.colorspace in MATRICES or frame.format.is_rgb:
        return None
    if frame.colorspace == CONSTANT_LUMINANCE or frame.color_trc in HDR:
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.height >= 720 or frame.width >= 1280 else Colorspace.ITU601


def unread_colors(frame: av.VideoFrame) -> str | None:
    """What is said of colors that cannot be read as they are meant; None for all others."""
    if frame.color_trc not in HDR and side_data(frame, "DOVI_METADATA") is not None:
        return "are those of Dolby Vision alone"
    if frame.colorspace in UNREAD_MATRICES and not frame.format.is_rgb:
        return f"are those of {UNREAD_MATRICES[frame.colorspace]}"
    return None


def _primaries(frame: av.VideoFrame) -> int:
    """Of `XY`: as tagged, else BT.2020's where matrix or transfer belong to it, else BT.709's."""
    tagged: int = frame.color_primaries
    if tagged in XY:
        return tagged
    wide = frame.colorspace in (Colorspace.BT2020, CONSTANT_LUMINANCE) or frame.color_trc in HDR
    return ColorPrimaries.BT2020 if wide and tagged == ColorPrimaries.UNSPECIFIED else ColorPrimaries.BT709


def _told_peak(frame: av.VideoFrame) -> float | None:
    """The brightest light, of content or else of the mastering display, in units of 100 cd/m2; None if not told."""
    light = 0.0
    if (level := side_data(frame, "CONTENT_LIGHT_LEVEL")) is not None:
        light = struct.unpack_from("=I", level)[0] / 100
    if not light and (display := side_data(frame, "MASTERING_DISPLAY_METADATA")) is not None:
        # Eight chromaticities and the darkest light come before, each a fraction of two whole numbers.
        *_, above, below, _, has_luminance = struct.unpack_from("=22i", display)
        light = above / below / 100 if has_luminance and below > 0 else 0.0
    return min(max(light, 1.0), 100.0) if light > 0 else None
