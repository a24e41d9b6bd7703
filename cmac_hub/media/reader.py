"""Streaming: a file -> windows of synchronous picture and sound, by presentation time, with flat memory.

Which frames will be wanted is known beforehand: each window asks for the frames nearest to its even instants. A decoded
frame is therefore resized and kept only when one of these instants is nearer to it than to its neighbours.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from cmac_hub.errors import MediaError
from cmac_hub.media.picture import INSTANT, Scaler, decode_picture, fit_size
from cmac_hub.media.probe import MediaInfo, probe
from cmac_hub.media.sound import decode_sound


@dataclass(frozen=True)
class Window:
    """A stretch of a file."""

    time: float
    """Seconds on the container's clock: its centre."""
    frames: np.ndarray | None
    """(T, H, W, 3) uint8 RGB as displayed; None without a picture stream."""
    waveform: np.ndarray | None
    """(n,) float32 mono in [-1, 1], n = round(window * sample_rate); None without a sound stream, zeros in silence."""
    padded: bool
    """Whether some of it lay outside of the file, and is filled with silence and the nearest frame."""


def windows(
    path: str | Path,
    *,
    window: float = 1.0,
    hop: float = 1.0,
    frames: int,
    size: int,
    multiple: int = 1,
    sample_rate: int,
    start: float | None = None,
    stop: float | None = None,
    picture: bool = True,
    sound: bool = True,
) -> Iterator[Window]:
    """Windows k = 0, 1, ... over [start + k hop, start + k hop + window), in order, with flat memory.

    A window is given when its centre lies within the file, and the first always is; what is missing is padded.

    Args:
        path: any media file that FFmpeg reads.
        window: seconds.
        hop: seconds.
        frames: how many, nearest by time stamp to the instants begin + (i + 0.5) / frames * window.
        size: short side of a frame in pixels, see `fit_size`.
        multiple: see `fit_size`.
        sample_rate: hertz of the waveform.
        start: seconds on the container's clock; the default is the file's start.
        stop: seconds at which the file counts as ended; the default is its end.
        picture: decode the picture.
        sound: decode the sound.

    Raises:
        MediaError: the file cannot be read, or nothing of it can be decoded.
        ValueError: a window, hop, number of frames, size or rate that is not positive; a stop before the start.
    """
    for name, value in (("window", window), ("hop", hop), ("sample_rate", sample_rate)):
        if not value > 0 or not math.isfinite(value):
            raise ValueError(f"{name} is {value}; it must be a positive number")
    for name, whole in (("frames", frames), ("size", size), ("multiple", multiple)):
        if whole < 1 or whole != int(whole):
            raise ValueError(f"{name} is {whole}; it must be a whole number from 1 on")
    if start is not None and stop is not None and stop <= start:
        raise ValueError(f"stop is {stop} s, start is {start} s; stop must come after start")
    info = probe(path)
    eyes_open, ears_open = picture and info.has_picture, sound and info.has_sound
    if not eyes_open and not ears_open:
        raise MediaError(f"{path} has no {'picture' if picture else 'sound'} stream, which was asked for")
    grid = Grid(info.start if start is None else start, window, hop, frames)
    eyes = Eyes(info, grid, fit_size(info.width, info.height, size, multiple), start, stop) if eyes_open else None
    ears = Ears(info, sample_rate, grid.origin, stop) if ears_open else None
    return _windows(info, grid, eyes, ears, stop)


@dataclass(frozen=True)
class Grid:
    """The instants at which windows want frames."""

    origin: float
    window: float
    hop: float
    frames: int

    def begin(self, k: int) -> float:
        """Seconds: where window k begins."""
        return self.origin + k * self.hop

    def instants(self, k: int) -> np.ndarray:
        """(T,) float64 seconds."""
        return self.begin(k) + (np.arange(self.frames) + 0.5) / self.frames * self.window

    def wanted(self, low: float, high: float) -> bool:
        """Whether an instant of any window lies in [low, high]."""
        step = self.window / self.frames
        first = max(0, math.floor((low - self.origin - self.window) / self.hop))
        last = math.floor((high - self.origin) / self.hop)
        for k in range(first, last + 1):
            begin = self.begin(k)
            lowest = max(0, math.ceil((low - begin) / step - 0.5))
            if lowest <= min(self.frames - 1, math.floor((high - begin) / step - 0.5)):
                return True
        return False


def _windows(info: MediaInfo, grid: Grid, eyes: Eyes | None, ears: Ears | None, stop: float | None) -> Iterator[Window]:
    streams = [stream for stream in (eyes, ears) if stream is not None]
    k = 0
    try:
        while True:
            begin = grid.begin(k)
            finish, centre = begin + grid.window, begin + grid.window / 2
            for stream in streams:
                stream.read_until(finish)
            ends = [stream.end for stream in streams if stream.end is not None]
            if not ends:
                where = f" from {grid.origin:g} s on" if grid.origin > info.start else ""
                raise MediaError(f"nothing of {info.path} can be decoded{where}; it may be broken")
            end = max(ends) if stop is None else min(stop, max(ends))
            if k and centre >= end - INSTANT:
                return
            yield Window(
                time=centre,
                frames=None if eyes is None else eyes.nearest(grid.instants(k)),
                waveform=None if ears is None else ears.cut(begin, grid.window),
                padded=begin < info.start - INSTANT or finish > end + 1e-3,
            )
            k += 1
            for stream in streams:
                stream.forget_before(grid.begin(k))
    finally:
        for stream in streams:
            stream.close()


class Eyes:
    """The picture of one file: the small frames that the present and later windows want."""

    def __init__(
        self, info: MediaInfo, grid: Grid, size: tuple[int, int], start: float | None, stop: float | None
    ) -> None:
        self._decoded = decode_picture(info, start)
        self._grid, self._scaler = grid, Scaler(*size)
        self._stop = math.inf if stop is None else stop
        self._step = 1 / (info.frame_rate or 25.0)
        self._done = False
        self._last: float | None = None
        self._waiting: av.VideoFrame | None = None
        """The last decoded frame, while it is not known whether it will be wanted."""
        self._kept: deque[tuple[float, np.ndarray]] = deque()
        self.end: float | None = None
        """Seconds: where the last frame so far leaves the screen."""

    def read_until(self, time: float) -> None:
        """Decodes up to the first frame at or after `time`."""
        while not self._done and (self._last is None or self._last < time):
            timed = next(self._decoded, None)
            if timed is None or (timed[0] >= self._stop and self._last is not None):
                self._done = True
                self._keep_waiting()
                return
            self._take(*timed)

    def _take(self, time: float, frame: av.VideoFrame) -> None:
        nearest_from = -math.inf
        if self._last is not None:
            nearest_from = (self._last + time) / 2
            if self._grid.wanted(self._last - INSTANT, nearest_from + INSTANT):
                self._keep_waiting()
            self._step = time - self._last
        first = self._last is None
        self._last, self._waiting = time, frame
        if first or self._grid.wanted(nearest_from - INSTANT, time + INSTANT):
            self._keep_waiting()
        lasting = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self._step
        self.end = time + lasting

    def _keep_waiting(self) -> None:
        if self._waiting is not None and self._last is not None:
            self._kept.append((self._last, self._scaler(self._waiting)))
            self._waiting = None

    def nearest(self, instants: np.ndarray) -> np.ndarray | None:
        """(T, H, W, 3) uint8: the frame nearest to each instant; None if no frame at all could be decoded."""
        if not self._kept:
            return None
        times = np.array([time for time, _ in self._kept])
        return np.stack([self._kept[i][1] for i in np.abs(times[None] - instants[:, None]).argmin(1)])

    def forget_before(self, time: float) -> None:
        """Drops frames that no instant from `time` on can be nearest to."""
        while len(self._kept) > 1 and self._kept[1][0] <= time:
            self._kept.popleft()

    def close(self) -> None:
        self._decoded.close()  # type: ignore[attr-defined]


class Ears:
    """The sound of one file as one mono waveform from `origin` on, with a buffer of about one window."""

    def __init__(self, info: MediaInfo, sample_rate: int, origin: float, stop: float | None) -> None:
        self._pieces = decode_sound(info, sample_rate, origin)
        self._rate, self._origin = sample_rate, origin
        self._most = math.inf if stop is None else self._number(stop)
        self._buffer = np.zeros(0, np.float32)
        self._first = 0
        self._done = False
        self.end: float | None = None
        """Seconds: the end of the sound decoded so far."""

    def _number(self, time: float) -> int:
        """The sample at a time, counted from the origin."""
        return round((time - self._origin) * self._rate)

    def read_until(self, time: float) -> None:
        """Decodes until the sound before `time` is there."""
        parts, have = [self._buffer], self._first + len(self._buffer)
        while not self._done and have < min(self._number(time), self._most):
            piece = next(self._pieces, None)
            if piece is None:
                self._done = True
                break
            parts.append(piece[0, : int(min(self._most - have, piece.shape[1]))])
            have += len(parts[-1])
            self.end = self._origin + have / self._rate
        if len(parts) > 1:
            self._buffer = np.concatenate(parts)

    def cut(self, begin: float, window: float) -> np.ndarray:
        """(round(window * rate),) float32 from the time `begin` on; silence where there is none."""
        length = round(window * self._rate)
        part = self._buffer[max(0, self._number(begin) - self._first) :][:length]
        waveform = np.zeros(length, np.float32)
        np.clip(part, -1, 1, out=waveform[: len(part)])
        return waveform

    def forget_before(self, time: float) -> None:
        drop = min(len(self._buffer), max(0, self._number(time) - self._first))
        self._buffer = self._buffer[drop:]
        self._first += drop

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]
