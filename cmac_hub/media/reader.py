"""Streaming: a file -> windows of synchronous frames and sound, by presentation time, with flat memory.

Which instants will be looked at is known beforehand (`WindowGrid`). A decoded frame is therefore resized and kept only
when one of them falls between its own time and the next frame's.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from cmac_hub.checks import check_positive, check_whole
from cmac_hub.errors import ArgumentError, MediaError, UndecodableError
from cmac_hub.media.audio import decode_audio, say_canceled
from cmac_hub.media.frames import Scaler, decode_frames, lasting
from cmac_hub.media.info import MediaInfo, as_info
from cmac_hub.sides import mono
from cmac_hub.windows import INSTANT, Window, WindowGrid, fit_size, on_screen


def windows(
    media: str | Path | MediaInfo,
    *,
    window: float = 1.0,
    hop: float = 1.0,
    frames: int,
    size: int,
    multiple: int = 1,
    sample_rate: int,
    start: float | None = None,
    stop: float | None = None,
    video: bool = True,
    audio: bool = True,
    audio_track: int | None = None,
    decoded: Iterator[tuple[float, av.VideoFrame]] | None = None,
) -> Iterator[Window]:
    """Windows k = 0, 1, ... over [start + k hop, start + k hop + window), in order, with flat memory.

    A window is given when its center lies within the file, and the first always is; what is missing is padded.

    Args:
        media: any media file that FFmpeg reads, or what `probe` said of it.
        window: seconds.
        hop: seconds.
        frames: how many a window holds: those on screen at its even instants, see `cmac_hub.windows`.
        size: short side of a frame in pixels, see `fit_size`.
        multiple: see `fit_size`.
        sample_rate: hertz of the waveform.
        start: seconds on the container's clock; the default is the file's start.
        stop: seconds at which the file counts as ended; the default is its end.
        video: decode the frames.
        audio: decode the sound.
        audio_track: see `probe`.
        decoded: the file's frames from the first one on, decoded elsewhere (`cmac_hub.media.tee`); closed at the end.

    Where nothing of one stream can be decoded, that is said in a warning, and windows are as without that stream.

    Raises:
        MediaError: the file cannot be read, has no such track, or nothing of it can be decoded.
        ValueError: a window, hop, number of frames, size or rate that is not positive; a stop before the start.
    """
    check_positive(window=window, hop=hop, sample_rate=sample_rate)
    check_whole(frames=frames, size=size, multiple=multiple)
    if start is not None and stop is not None and stop <= start:
        raise ArgumentError(f"stop is {stop} s, start is {start} s; stop must come after start")
    info = as_info(media, audio_track)
    use_video, use_audio = video and info.has_video, audio and info.has_audio
    if not use_video and not use_audio:
        raise MediaError(f"{info.path} has no {'video' if video else 'audio'} stream, which was asked for")
    for name in ("picture",) * video + ("sound",) * audio:
        if name in info.undecodable:
            _say_lost(f"the {name} of {info.path} cannot be decoded: this FFmpeg does not know its codec")
    grid = WindowGrid(info.start if start is None else start, window, hop, frames)
    resized = fit_size(info.width, info.height, size, multiple) if use_video else (0, 0)
    return _windows(
        info,
        grid,
        FrameBuffer(info, grid, resized, decoded or decode_frames(info, start), stop) if use_video else None,
        AudioBuffer(info, sample_rate, grid.origin, stop) if use_audio else None,
        stop,
    )


def _say_lost(reason: str) -> None:
    warnings.warn(f"{reason}; the rest is used without it", stacklevel=3)


def _windows(
    info: MediaInfo, grid: WindowGrid, frames: FrameBuffer | None, audio: AudioBuffer | None, stop: float | None
) -> Iterator[Window]:
    streams: list[FrameBuffer | AudioBuffer] = [stream for stream in (frames, audio) if stream is not None]
    told: list[FrameBuffer | AudioBuffer] = []
    k = 0
    try:
        while True:
            begin = grid.begin(k)
            finish = begin + grid.window
            for stream in streams:
                stream.read_until(finish)
            ends = [stream.end for stream in streams if stream.end is not None]
            lost = [stream.lost for stream in streams if stream.lost and stream not in told]
            if not ends and lost:
                raise UndecodableError("; ".join(lost))
            for reason in lost:
                _say_lost(reason)
            told += [stream for stream in streams if stream.lost]
            if not ends:
                where = f" from {grid.origin:g} s on" if grid.origin > info.start else ""
                raise MediaError(f"nothing of {info.path} can be decoded{where}; it may be broken")
            end = max(ends) if stop is None else min(stop, max(ends))
            if not grid.includes(k, end):
                return
            times, images = (None, None) if frames is None else frames.at(grid.instants(k))
            yield Window(
                time=begin + grid.window / 2,
                frames=images,
                frame_times=times,
                waveform=None if audio is None else audio.cut(begin, grid.window),
                padded=begin < info.start - INSTANT or finish > end + 1e-3,
            )
            k += 1
            for stream in streams:
                stream.forget_before(grid.begin(k))
    finally:
        for stream in streams:
            stream.close()


class FrameBuffer:
    """The frames of one file, resized: those that the present and later windows look at."""

    def __init__(
        self,
        info: MediaInfo,
        grid: WindowGrid,
        size: tuple[int, int],
        decoded: Iterator[tuple[float, av.VideoFrame]],
        stop: float | None,
    ) -> None:
        self._decoded = decoded
        self._grid, self._scaler = grid, Scaler(*size)
        self._stop = math.inf if stop is None else stop
        self._step = 1 / (info.frame_rate or 25.0)
        self._done = False
        self._latest: tuple[float, av.VideoFrame] | None = None
        """The last decoded frame, while it is not known how long it is on screen."""
        self._kept: deque[tuple[float, np.ndarray]] = deque()
        self._info = info
        self.lost = ""
        """Why nothing of it can be decoded."""
        self.end: float | None = None
        """Seconds: where the last frame so far leaves the screen."""

    def read_until(self, time: float) -> None:
        """Decodes up to the first frame at or after `time`."""
        while not self._done and (self._latest is None or self._latest[0] < time):
            try:
                following = next(self._decoded, None)
            except UndecodableError as error:
                following, self.lost = None, str(error)
            if following is None or (following[0] >= self._stop and self._latest is not None):
                self._done = True
                # The last frame stands for all that comes after it.
                self._keep_latest()
                return
            if self._latest is not None:
                self._step = following[0] - self._latest[0]
                if not self._kept or self._grid.wanted(self._latest[0], following[0]):
                    self._keep_latest()
            self._latest = following
            time_shown, frame = following
            self.end = time_shown + (lasting(self._info, time_shown, frame) or self._step)

    def _keep_latest(self) -> None:
        if self._latest is not None and (not self._kept or self._kept[-1][0] < self._latest[0]):
            self._kept.append((self._latest[0], self._scaler(self._latest[1])))

    def at(self, instants: np.ndarray) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """The frame on screen at each instant: (T,) float64 times and (T, H, W, 3) uint8; None if no frame at all could
        be decoded."""
        if not self._kept:
            # The first frame is taken for all that lies before it.
            self._keep_latest()
        if not self._kept:
            return None, None
        times = np.array([time for time, _ in self._kept])
        shown = on_screen(times, instants)
        return times[shown], np.stack([self._kept[i][1] for i in shown])

    def forget_before(self, time: float) -> None:
        """Drops frames that have left the screen by `time`."""
        while len(self._kept) > 1 and self._kept[1][0] <= time:
            self._kept.popleft()

    def close(self) -> None:
        """Ends the decoding."""
        self._decoded.close()  # type: ignore[attr-defined]


class AudioBuffer:
    """The sound of one file as a left and a right side from `origin` on, of which about one window is kept."""

    def __init__(self, info: MediaInfo, sample_rate: int, origin: float, stop: float | None) -> None:
        self._pieces = decode_audio(info, sample_rate, origin)
        self._rate, self._origin = sample_rate, origin
        self._most = math.inf if stop is None else self._number(stop)
        self._buffer = np.zeros((2, 0), np.float32)
        self._first = self._wanted = 0
        """Numbers of the first sample that is kept, and of the first that is still asked for."""
        self._info = info
        self.lost = ""
        """Why nothing of it, or nothing more, can be decoded."""
        self._done = False
        self.end: float | None = None
        """Seconds: the end of the sound decoded so far."""

    def _number(self, time: float) -> int:
        """The sample at a time, counted from the origin."""
        return round((time - self._origin) * self._rate)

    def read_until(self, time: float) -> None:
        """Decodes until the sound before `time` is there."""
        parts, have = [self._buffer], self._first + self._buffer.shape[1]
        while not self._done and have < min(self._number(time), self._most):
            try:
                piece = next(self._pieces, None)
            except UndecodableError as error:
                piece, self.lost = None, str(error)
            if piece is None:
                self._done = True
                break
            parts.append(piece[:, : int(min(self._most - have, piece.shape[1]))])
            have += parts[-1].shape[1]
            self.end = self._origin + have / self._rate
            if have <= self._wanted:
                # Nobody asks for it any more; of two empty parts the buffer is made anew below.
                parts, self._first = [self._buffer[:, :0], self._buffer[:, :0]], have
        if len(parts) > 1:
            self._buffer = np.concatenate(parts, axis=1)

    def cut(self, begin: float, window: float) -> np.ndarray | None:
        """(round(window * rate),) float32 from the time `begin` on; silence where there is none; None if nothing of all
        the sound can be decoded."""
        if self.lost and self.end is None:
            return None
        length, at = round(window * self._rate), max(0, self._number(begin) - self._first)
        part, cancel = mono(self._buffer[:, at : at + length])
        if cancel:
            say_canceled(self._info)
        waveform = np.zeros(length, np.float32)
        np.clip(part, -1, 1, out=waveform[: len(part)])
        return waveform

    def forget_before(self, time: float) -> None:
        """Drops the sound before `time`, also what is still to be decoded."""
        self._wanted = max(self._wanted, self._number(time))
        drop = min(self._buffer.shape[1], max(0, self._number(time) - self._first))
        self._buffer = self._buffer[:, drop:]
        self._first += drop

    def close(self) -> None:
        """Ends the decoding."""
        self._pieces.close()  # type: ignore[attr-defined]
