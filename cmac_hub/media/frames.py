"""Frames of a file, upright and at the right times: clock, scaler, full-size frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from cmac_hub.errors import MediaError
from cmac_hub.media.color import RGBConverter, unread_colors
from cmac_hub.media.decode import decode_stream
from cmac_hub.media.info import MediaInfo, as_info
from cmac_hub.media.orientation import frame_orientation
from cmac_hub.media.stamps import LONGEST_GAP
from cmac_hub.media.yuv import YUV, YUVScaler
from cmac_hub.windows import INSTANT


@dataclass(frozen=True)
class Frame:
    """One frame at full size."""

    time: float
    """Seconds on the container's clock."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB as displayed: upright, in BT.709; of HDR as the eye is to see it (`cmac_hub.media.color`)."""
    duration: float | None = None
    """Seconds that it is to be shown, as the file says; None where it does not."""


class Clock:
    """Presentation times of decoded frames, which come in the order of display and therefore always rise.

    A frame's own stamp counts as long as stamps rise and lie where packets do. AVI stores only the order of decoding,
    and FFmpeg's guess at the rest goes back and forth: there, and wherever stamps have fallen, decoding stamps are
    right. A frame without any follows the one before at the stream's rate.
    """

    def __init__(self, info: MediaInfo) -> None:
        self._step = 1 / (info.frame_rate or 25.0)
        self._first, self._timeline = info.start, info.timeline
        self._by_decoding = info.path.suffix.lower() == ".avi"
        self._previous: float | None = None

    def time_of(self, frame: av.VideoFrame) -> float:
        base = float(frame.time_base or 0)
        stamps = (frame.dts, frame.pts) if self._by_decoding else (frame.pts, frame.dts)
        times = [stamp * base for stamp in stamps if stamp is not None and base]
        if self._timeline is not None:
            times = [time for time in times if self._timeline.may_hold(time)]
        if self._previous is not None:
            if times and times[0] <= self._previous:
                self._by_decoding = True
            times = [time for time in times if time > self._previous] + [self._previous + self._step]
        self._previous = times[0] if times else self._first
        return self._previous


def decode_frames(info: MediaInfo, start: float | None = None) -> Iterator[tuple[float, av.VideoFrame]]:
    """(time in seconds, frame as decoded) in order, from the frame on screen at `start` on (default: the first)."""
    clock = Clock(info)
    held: tuple[float, av.VideoFrame] | None = None
    for number, frame in enumerate(decode_stream(info, "video", start)):
        assert isinstance(frame, av.VideoFrame)
        if number == 0 and (colors := unread_colors(frame)) is not None:
            warnings.warn(f"the colors of {info.path} {colors}, which is not read: they may be wrong", stacklevel=2)
        timed = clock.time_of(frame), frame
        if start is not None and timed[0] <= start + INSTANT:
            held = timed
            continue
        if held is not None:
            yield held
            held = None
        yield timed
    if held is not None:
        yield held


def lasting(info: MediaInfo, time: float, frame: av.VideoFrame) -> float | None:
    """Seconds that a frame which comes on screen at `time` is to be shown, as the file says; None where it does not.

    What a broken file says may be absurd: no frame outlasts its file.
    """
    told = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    left = LONGEST_GAP if info.duration is None else info.start + info.duration - time
    return min(told, left) if told > 0 and left > 0 else None


class Scaler:
    """Decoded frame -> (height, width, 3) uint8 BT.709 RGB as displayed, whatever its own size, format and colors.

    One scaler of one thread is reused for a whole stream: a new one a frame is 3 to 15 times slower.

    Args:
        width: pixels, as displayed.
        height: pixels, as displayed.
        highlights: see `cmac_hub.media.color.RGBConverter`, which also says what is raised.
    """

    def __init__(self, width: int, height: int, *, highlights: bool = False) -> None:
        self._size = width, height
        self._to_rgb = RGBConverter(highlights)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        orientation = frame_orientation(frame)
        width, height = self._size[::-1] if orientation.transposed else self._size
        return orientation.apply(self._to_rgb(frame, width, height))


def read_frames(
    media: str | Path | MediaInfo, *, start: float | None = None, stop: float | None = None
) -> Iterator[Frame]:
    """Full-size frames as displayed, in order, with their times; all of one size, as `probe` gives it.

    Args:
        media: a video, or what `probe` said of it.
        start: seconds on the container's clock; the first frame is the one on screen then. Default: all from the first.
        stop: seconds; frames at or after it are left out.

    Raises:
        MediaError: the file cannot be read, has no video stream, or no frame that can be decoded.
    """
    info = _seen(media)
    scaler = Scaler(info.width, info.height, highlights=True)
    return (Frame(time, scaler(frame), lasting(info, time, frame)) for time, frame in _decoded(info, start, stop))


class YUVFrame(NamedTuple):
    """One frame at full size, as H.264 stores it."""

    time: float
    """Seconds on the container's clock."""
    picture: YUV
    """As displayed."""
    duration: float | None
    """Seconds that it is to be shown, as the file says; None where it does not."""


def read_yuv_frames(media: str | Path | MediaInfo, skip: int = 0) -> Iterator[YUVFrame]:
    """As `read_frames`, all frames but the first `skip`, without the way through RGB where there need be none."""
    info = _seen(media)
    scaler = YUVScaler(info.width, info.height)
    decoded = islice(_decoded(info, None, None), skip, None)
    return (YUVFrame(time, scaler(frame), lasting(info, time, frame)) for time, frame in decoded)


def _seen(media: str | Path | MediaInfo) -> MediaInfo:
    info = as_info(media)
    if not info.has_video:
        what = "has a picture of an unknown codec alone" if "picture" in info.undecodable else "has no video stream"
        raise MediaError(f"{info.path} {what}; give a file that shows something")
    return info


def _decoded(info: MediaInfo, start: float | None, stop: float | None) -> Iterator[tuple[float, av.VideoFrame]]:
    empty = True
    for time, frame in decode_frames(info, start):
        empty = False
        if stop is not None and time >= stop:
            return
        yield time, frame
    if empty:
        raise MediaError(f"no frame of {info.path} can be decoded; the video stream is broken")


def read_frame(media: str | Path | MediaInfo, time: float) -> Frame:
    """The frame on screen at a moment: the last one not after it, else the first of all.

    Args:
        media: a video, or what `probe` said of it.
        time: seconds on the container's clock.

    Raises:
        MediaError: as `read_frames`.
    """
    frames = read_frames(media, start=time)
    try:
        return next(frames)
    finally:
        frames.close()  # type: ignore[attr-defined]
