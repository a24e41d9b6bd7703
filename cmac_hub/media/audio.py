"""Sound of a file as one unbroken waveform on the presentation clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from cmac_hub.errors import MediaError
from cmac_hub.media.decode import decode_stream
from cmac_hub.media.info import MediaInfo, as_info

JITTER = 0.02
"""Seconds by which time stamps of sound may stray before a hole is filled or an overlap is cut."""

PREROLL = 0.25
"""Seconds decoded before the wanted start: codecs with memory (AAC, Opus, MP3) need a few packets to be right."""


def read_audio(media: str | Path | MediaInfo, sample_rate: int) -> np.ndarray:
    """A whole file's sound from the file's start on: (n,) float32 mono in [-1, 1], at `sample_rate` hertz.

    It is all in memory; for long files use `windows`.

    Raises:
        MediaError: the file cannot be read, has no sound, or none that can be decoded.
    """
    info = as_info(media)
    if not info.has_audio:
        raise MediaError(f"{info.path} has no audio stream; give a file that has one")
    pieces = [piece[0] for piece in decode_audio(info, sample_rate, info.start)]
    if not pieces:
        raise MediaError(f"no sound of {info.path} can be decoded; the stream is broken")
    return np.clip(np.concatenate(pieces), -1, 1)


def decode_audio(info: MediaInfo, sample_rate: int, origin: float, *, layout: str = "mono") -> Iterator[np.ndarray]:
    """The sound from the time `origin` on as consecutive pieces (channels, n) float32.

    The first sample given lies at `origin`. Sound that starts later is preceded by silence, holes in the time stamps
    are filled with it, overlaps are cut. Nothing comes after the last sample of the file.

    Args:
        info: a file with sound.
        sample_rate: hertz of the result.
        origin: seconds on the container's clock.
        layout: FFmpeg's name of the channels of the result. Mixing down never exceeds full scale: mono of a stereo
            signal is the mean of both sides.
    """
    given = 0
    for due, pieces in _runs(info, sample_rate, origin, layout):
        for piece in pieces:
            if due > given:
                yield from _silence(due - given, len(piece), sample_rate)
                given = due
            fresh = piece[:, max(0, given - due) :]
            due += piece.shape[1]
            if fresh.shape[1]:
                yield fresh
                given += fresh.shape[1]


def _silence(count: int, channels: int, most: int) -> Iterator[np.ndarray]:
    """`count` samples of silence in pieces of at most `most`."""
    for begin in range(0, count, most):
        yield np.zeros((channels, min(most, count - begin)), np.float32)


def _runs(info: MediaInfo, sample_rate: int, origin: float, layout: str) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Stretches of sound without a break: the number of the first sample after `origin`, and the samples in pieces.

    A stretch must be used up before the next one is asked for.
    """
    frames = decode_stream(info.path, "audio", origin - PREROLL if origin > info.start + PREROLL else None)
    frame = next(frames, None)
    time = None
    while frame is not None:
        assert isinstance(frame, av.AudioFrame)
        stamp = _time(frame)
        time = stamp if stamp is not None else info.start if time is None else time
        run = _Run(frame, time)
        yield round((time - origin) * sample_rate), run.resampled(frames, sample_rate, layout, info.path)
        time, frame = run.end, run.next


def _time(frame: av.AudioFrame) -> float | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None or not frame.time_base else float(stamp * frame.time_base)


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _Run:
    """Frames of one kind whose time stamps follow each other, resampled by one resampler.

    The resampler sees no stamps, only a count of samples, or FFmpeg would stretch the sound to follow their jitter.
    """

    def __init__(self, first: av.AudioFrame, time: float) -> None:
        self._first = first
        self.end = time
        """Seconds: where the next frame is due."""
        self.next: av.VideoFrame | av.AudioFrame | None = None
        """The frame that broke the run."""

    def resampled(
        self, frames: Iterator[av.VideoFrame | av.AudioFrame], sample_rate: int, layout: str, path: Path
    ) -> Iterator[np.ndarray]:
        resampler = av.AudioResampler("fltp", layout, sample_rate, options={"rematrix_maxval": "1.0"})
        kind, start, count = _kind(self._first), self.end, 0
        frame: av.VideoFrame | av.AudioFrame | None = self._first
        while frame is not None:
            assert isinstance(frame, av.AudioFrame)
            stamp = _time(frame)
            if _kind(frame) != kind or (stamp is not None and abs(stamp - self.end) > JITTER):
                self.next = frame
                break
            count += frame.samples
            self.end = start + count / kind[2]
            frame.pts = None
            yield from _mixed(resampler, frame, path)
            frame = next(frames, None)
        yield from _mixed(resampler, None, path)


def _mixed(resampler: av.AudioResampler, frame: av.AudioFrame | None, path: Path) -> Iterator[np.ndarray]:
    try:
        mixed = resampler.resample(frame)
    except (av.FFmpegError, ValueError) as error:
        channels = "" if frame is None else f" of {frame.layout.nb_channels} channels"
        reason = str(error).splitlines()[0]
        raise MediaError(f"the sound of {path}{channels} cannot be mixed down ({reason}); convert it first") from error
    for out in mixed:
        yield out.to_ndarray()
