"""Streaming: a file -> windows of synchronous picture and sound, or full-size frames, by presentation time.

Picture and sound are decoded from two openings of the file, so neither waits in memory for the other. Only what the
present window needs is kept: small frames and resampled sound.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from cmac_hub.errors import MediaError
from cmac_hub.media.probe import MediaInfo, frame_rotation, open_media, picture_stream, probe, sound_stream

JITTER = 0.02
"""Seconds by which time stamps of sound may stray before a hole is filled or an overlap is cut."""

MOST_BROKEN = 500
"""Packets in a row that may fail to decode before a stream counts as ended."""


@dataclass(frozen=True)
class Window:
    """A stretch of a file."""

    time: float
    """Seconds on the container's clock: its centre."""
    frames: np.ndarray | None
    """(T, H, W, 3) uint8 RGB as displayed; None without a picture stream."""
    waveform: np.ndarray | None
    """(n,) fp32 mono in [-1, 1]; None without a sound stream."""
    padded: bool
    """Whether some of it lay outside of the file, and is filled with silence and the nearest frame."""


@dataclass(frozen=True)
class Frame:
    """One frame at full size."""

    time: float
    """Seconds on the container's clock."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB as displayed."""


def fit_size(width: int, height: int, size: int, multiple: int = 1) -> tuple[int, int]:
    """(width, height) with the short side at `size` and the aspect kept, at most 2.5 times as long as short; both are
    rounded to a multiple of `multiple`."""
    scale = size / min(width, height)
    longest = 2.5 * size

    def fit(side: int) -> int:
        return max(1, round(min(side * scale, longest) / multiple)) * multiple

    return fit(width), fit(height)


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
        frames: how many, nearest by time stamp to even instants of the window.
        size: short side of a frame in pixels, see `fit_size`.
        multiple: see `fit_size`.
        sample_rate: hertz of the waveform.
        start: seconds on the container's clock; the default is the file's start.
        stop: seconds at which the file counts as ended; the default is its end.
        picture: decode the picture.
        sound: decode the sound.

    Raises:
        MediaError: the file cannot be read, or nothing of it can be decoded.
        ValueError: a window, hop, number of frames, size or rate that is not positive.
    """
    for name, value in (("window", window), ("hop", hop), ("frames", frames), ("size", size), ("rate", sample_rate)):
        if not value > 0 or not math.isfinite(value):
            raise ValueError(f"{name} is {value}; it must be positive")
    return _windows(probe(path), window, hop, frames, size, multiple, sample_rate, start, stop, picture, sound)


def _windows(
    info: MediaInfo,
    window: float,
    hop: float,
    frames: int,
    size: int,
    multiple: int,
    sample_rate: int,
    start: float | None,
    stop: float | None,
    picture: bool,
    sound: bool,
) -> Iterator[Window]:
    origin = info.start if start is None else start
    eyes = _Eyes(info, size, multiple, start, window) if picture and info.has_picture else None
    ears = _Ears(info, sample_rate, origin) if sound and info.has_sound else None
    if eyes is None and ears is None:
        raise MediaError(f"{info.path} has no stream of the kind that was asked for")
    length = round(window * sample_rate)
    given = 0
    try:
        while True:
            begin = origin + given * hop
            if eyes is not None:
                eyes.read_until(begin + window)
            if ears is not None:
                ears.read_until(given * hop + window)
            ends = [stream.end for stream in (eyes, ears) if stream is not None]
            if all(end is None for end in ends):
                raise MediaError(f"nothing of {info.path} could be decoded")
            end = max(end for end in ends if end is not None)
            if stop is not None:
                end = min(end, stop)
            if given and begin + window / 2 >= end - 1e-6:
                return
            instants = begin + (np.arange(frames) + 0.5) / frames * window
            yield Window(
                time=begin + window / 2,
                frames=None if eyes is None else eyes.nearest(instants),
                waveform=None if ears is None else ears.cut(round(given * hop * sample_rate), length),
                padded=begin < info.start - 1e-6 or begin + window > end + 1e-3,
            )
            given += 1
            if eyes is not None:
                eyes.forget_before(origin + given * hop)
            if ears is not None:
                ears.forget_before(round(given * hop * sample_rate))
    finally:
        for stream in (eyes, ears):
            if stream is not None:
                stream.close()


class _Eyes:
    """The picture of one file, small, with a buffer of about one window."""

    def __init__(self, info: MediaInfo, size: int, multiple: int, start: float | None, window: float) -> None:
        self._frames = _decode_picture(info, start, size, multiple)
        self._times: deque[float] = deque()
        self._images: deque[np.ndarray] = deque()
        self._step = 1 / (info.frame_rate or 25.0)
        self._done = False
        self.end: float | None = None
        self.shape: tuple[int, ...] | None = None

    def read_until(self, time: float) -> None:
        """Decodes up to the first frame at or after `time`."""
        while not self._done and (not self._times or self._times[-1] < time):
            frame = next(self._frames, None)
            if frame is None:
                self._done = True
                return
            if self._times:
                self._step = frame.time - self._times[-1]
            self._times.append(frame.time)
            self._images.append(frame.image)
            self.end = frame.time + self._step

    def nearest(self, instants: np.ndarray) -> np.ndarray | None:
        """(T, H, W, 3): the frame nearest to each instant; None before the first frame could be decoded."""
        if not self._times:
            return None
        times = np.array(self._times)
        picked = np.abs(times[None] - instants[:, None]).argmin(1)
        images = [self._images[i] for i in picked]
        shape = images[0].shape
        # A change of size in the middle of a stream: the window keeps the shape of its first frame.
        return np.stack([i if i.shape == shape else _stretch(i, shape) for i in images])

    def forget_before(self, time: float) -> None:
        """Drops frames that no later instant can be nearest to."""
        while len(self._times) > 1 and self._times[1] <= time:
            self._times.popleft()
            self._images.popleft()

    def close(self) -> None:
        self._frames.close()


def _stretch(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows = np.arange(shape[0]) * image.shape[0] // shape[0]
    columns = np.arange(shape[1]) * image.shape[1] // shape[1]
    return image[rows][:, columns]


class _Ears:
    """The sound of one file as one mono waveform from `origin` on, with a buffer of about one window."""

    def __init__(self, info: MediaInfo, sample_rate: int, origin: float) -> None:
        self._pieces = decode_sound(info.path, sample_rate, origin)
        self._rate, self._origin = sample_rate, origin
        self._buffer = np.zeros(0, np.float32)
        self._first = 0
        self._done = False
        self.end: float | None = None

    def read_until(self, seconds: float) -> None:
        """Decodes until `seconds` after the origin are there."""
        needed = round(seconds * self._rate)
        parts, have = [self._buffer], self._first + len(self._buffer)
        while not self._done and have < needed:
            piece = next(self._pieces, None)
            if piece is None:
                self._done = True
            else:
                parts.append(piece)
                have += len(piece)
                self.end = self._origin + have / self._rate
        self._buffer = np.concatenate(parts)

    def cut(self, first: int, length: int) -> np.ndarray:
        """(length,) samples from number `first` after the origin; silence where there are none."""
        part = self._buffer[max(0, first - self._first) :][:length]
        return np.clip(np.pad(part, (0, length - len(part))), -1, 1).astype(np.float32, copy=False)

    def forget_before(self, first: int) -> None:
        drop = min(len(self._buffer), max(0, first - self._first))
        self._buffer = self._buffer[drop:]
        self._first += drop

    def close(self) -> None:
        self._pieces.close()


def read_frames(path: str | Path, *, start: float | None = None, stop: float | None = None) -> Iterator[Frame]:
    """Full-size frames as displayed, in order, with their times.

    Args:
        path: a video.
        start: seconds on the container's clock; the default is the first frame.
        stop: seconds; frames at or after it are left out.

    Raises:
        MediaError: the file cannot be read or has no picture.
    """
    info = probe(path)
    if not info.has_picture:
        raise MediaError(f"{path} has no picture")
    for frame in _decode_picture(info, start, None, 1):
        if stop is not None and frame.time >= stop:
            return
        yield frame


def read_frame(path: str | Path, time: float) -> Frame:
    """The frame on screen at a moment, in seconds on the container's clock. Raises MediaError as `read_frames` does."""
    shown: Frame | None = None
    for frame in read_frames(path, start=time):
        if frame.time > time + 1e-6 and shown is not None:
            break
        shown = frame
        if frame.time > time:
            break
    if shown is None:
        for shown in read_frames(path):  # noqa: B007  (a file that cannot seek near its end: take its last frame)
            pass
    if shown is None:
        raise MediaError(f"no frame of {path} could be decoded")
    return shown


def read_sound(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file's sound: (n,) fp32 mono in [-1, 1]; for long files use `windows`. Raises MediaError without sound."""
    info = probe(path)
    if not info.has_sound:
        raise MediaError(f"{path} has no sound")
    return np.concatenate([np.zeros(0, np.float32), *decode_sound(path, sample_rate, info.start)])


def _decode_picture(info: MediaInfo, start: float | None, size: int | None, multiple: int) -> Iterator[Frame]:
    """Frames as displayed from the one on screen at `start` on; resized by FFmpeg when `size` is given."""
    with open_media(info.path) as container:
        stream = picture_stream(container)
        assert stream is not None and stream.time_base is not None
        # One thread a core gains nothing on small pictures and delays the first frame.
        stream.thread_type = "AUTO" if info.width * info.height >= 640 * 360 else "NONE"
        if start is not None and start > info.start:
            _seek(container, stream, start)
        reformatter = VideoReformatter()
        clock = _Clock(container, stream, info.frame_rate)
        held: av.VideoFrame | None = None
        for frame in _decode(container, stream):
            time = clock.time_of(frame)
            if start is not None and time < start:
                # The last frame before `start` is the one on screen then.
                held, held_time = frame, time
                continue
            if held is not None and time > start + 1e-6:  # type: ignore[operator]
                yield Frame(held_time, _pixels(held, reformatter, size, multiple))
            held = None
            yield Frame(time, _pixels(frame, reformatter, size, multiple))
        if held is not None:
            yield Frame(held_time, _pixels(held, reformatter, size, multiple))


class _Clock:
    """Presentation times of decoded frames, which come in the order of display.

    A frame's own stamp counts as long as stamps rise. AVI stores only the order of decoding, and FFmpeg's guess at the
    rest goes back and forth: there, and wherever stamps have fallen, decoding stamps are right. A frame without any
    follows the one before at the stream's rate.
    """

    def __init__(self, container: InputContainer, stream: av.VideoStream, rate: float | None) -> None:
        self._base, self._step = float(stream.time_base or 1), 1 / (rate or 25.0)
        self._by_decoding = container.format.name == "avi"
        self._previous: float | None = None

    def time_of(self, frame: av.VideoFrame) -> float:
        stamps = (frame.dts, frame.pts) if self._by_decoding else (frame.pts, frame.dts)
        times = [stamp * self._base for stamp in stamps if stamp is not None]
        if self._previous is not None:
            if times and times[0] <= self._previous:
                self._by_decoding = True
            times = [time for time in times if time > self._previous] + [self._previous + self._step]
        self._previous = times[0] if times else 0.0
        return self._previous


def _seek(container: InputContainer, stream: av.stream.Stream, time: float) -> None:
    """To the key frame at or before a time; a file that cannot seek is decoded from its start."""
    assert stream.time_base is not None
    try:
        container.seek(int(time / stream.time_base), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)


def _decode(container: InputContainer, stream: av.stream.Stream) -> Iterator[av.VideoFrame]:
    """What can be decoded of a stream: a broken packet is skipped, a file that breaks off ends."""
    broken = 0
    packets = container.demux(stream)
    while broken < MOST_BROKEN:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            decoded = packet.decode()
        except av.FFmpegError:
            broken += 1
            continue
        broken = 0
        yield from decoded  # type: ignore[misc]


def _pixels(frame: av.VideoFrame, reformatter: VideoReformatter, size: int | None, multiple: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB as displayed. One reused scaler with one thread: a new one a frame is 3 to 15 times slower."""
    width, height = frame.width, frame.height
    turn = frame_rotation(frame)
    if size is not None:
        if turn in (90, 270):
            height, width = fit_size(height, width, size, multiple)
        else:
            width, height = fit_size(width, height, size, multiple)
    rgb = reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
    image = rgb.to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turn // 90)) if turn else image


def decode_sound(path: str | Path, sample_rate: int, origin: float) -> Iterator[np.ndarray]:
    """The sound from the time `origin` on as consecutive pieces (n,) fp32 mono: holes are silence, overlaps are cut."""
    with open_media(path) as container:
        stream = sound_stream(container)
        assert stream is not None and stream.time_base is not None
        first = float(stream.start_time * stream.time_base) if stream.start_time is not None else origin
        if origin > first + 0.5:
            _seek(container, stream, origin)
        resampler = av.AudioResampler("flt", "mono", sample_rate)
        given = 0
        for piece, time in _resampled(container, stream, resampler):
            if time is None:
                due = given
            else:
                due = round((time - origin) * sample_rate)
                if abs(due - given) <= JITTER * sample_rate and given:
                    due = given
            if due > given:
                for _ in range((due - given) // sample_rate):
                    yield np.zeros(sample_rate, np.float32)
                yield np.zeros((due - given) % sample_rate, np.float32)
                given = due
            elif due < given:
                piece = piece[given - due :]
            if len(piece):
                yield piece
                given += len(piece)


def _resampled(
    container: InputContainer, stream: av.AudioStream, resampler: av.AudioResampler
) -> Iterator[tuple[np.ndarray, float | None]]:
    """Mono pieces with the time of their first sample. The resampler sees an unbroken count of samples of its own; the
    container's stamps are carried beside it, so that FFmpeg does not stretch the sound to follow them."""
    count = 0
    for frame in _decode(container, stream):
        time = frame.time
        frame.pts = None
        for out in resampler.resample(frame):  # type: ignore[arg-type]
            yield out.to_ndarray()[0], time
            time = None
        count += 1
    if count:
        for out in resampler.resample(None):
            yield out.to_ndarray()[0], None
