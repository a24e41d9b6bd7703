"""Sound of a file as one unbroken waveform on the presentation clock."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from cmac_hub.errors import MediaError
from cmac_hub.media.decode import Decoded, decode_stream
from cmac_hub.media.heard import Mixer
from cmac_hub.media.info import MediaInfo, as_info
from cmac_hub.sides import mono

JITTER = 0.02
"""Seconds by which time stamps of sound may stray before a hole is filled or an overlap is cut."""

PREROLL = 0.25
"""Seconds decoded before the wanted start: codecs with memory (AAC, Opus, MP3) need a few packets to be right."""


def read_audio(media: str | Path | MediaInfo, sample_rate: int, audio_track: int | None = None) -> np.ndarray:
    """A whole file's sound from the file's start on: (n,) float32 mono in [-1, 1], at `sample_rate` hertz.

    It is all in memory; for long files use `windows`.

    Args:
        media: a file, or what `probe` said of it.
        sample_rate: hertz.
        audio_track: see `probe`.

    Raises:
        MediaError: the file cannot be read, has no sound or not that track.
        UndecodableError: nothing of the sound can be decoded.
    """
    info = as_info(media, audio_track)
    if not info.has_audio:
        what = "has sound of an unknown codec alone" if "sound" in info.undecodable else "has no audio stream"
        raise MediaError(f"{info.path} {what}; give a file that can be heard")
    pieces = list(decode_audio(info, sample_rate, info.start))
    if not pieces:
        raise MediaError(f"no sound of {info.path} can be decoded; the stream is broken or empty")
    waveform, cancel = mono(np.concatenate(pieces, axis=1))
    if cancel:
        say_canceled(info)
    return np.clip(waveform, -1, 1)


def say_canceled(info: MediaInfo) -> None:
    """Warns that `mono` took one side alone."""
    warnings.warn(f"both sides of the sound of {info.path} cancel, one is inverted: the louder is heard", stacklevel=2)


def decode_audio(info: MediaInfo, sample_rate: int, origin: float) -> Iterator[np.ndarray]:
    """The sound from the time `origin` on as consecutive pieces (2, n) float32, left and right, see `heard.Mixer`.

    The first sample given lies at `origin`. Sound that starts later is preceded by silence, holes in the time stamps
    are filled with it, overlaps are cut. Nothing comes after the last sample of the file.

    Args:
        info: a file with sound.
        sample_rate: hertz of the result.
        origin: seconds on the container's clock.
    """
    given = 0
    for due, pieces in _runs(info, sample_rate, origin):
        for piece in pieces:
            if due > given:
                yield from _silence(due - given, sample_rate)
                given = due
            fresh = piece[:, max(0, given - due) :]
            due += piece.shape[1]
            if fresh.shape[1]:
                yield fresh
                given += fresh.shape[1]


def _silence(count: int, most: int) -> Iterator[np.ndarray]:
    """`count` samples of silence in pieces of at most `most`."""
    for begin in range(0, count, most):
        yield np.zeros((2, min(most, count - begin)), np.float32)


def _runs(info: MediaInfo, sample_rate: int, origin: float) -> Iterator[tuple[int, Iterator[np.ndarray]]]:
    """Stretches of sound without a break: the number of the first sample after `origin`, and the samples in pieces.

    A stretch must be used up before the next one is asked for.
    """
    frames = decode_stream(info, "audio", origin - PREROLL if origin > info.start + PREROLL else None)
    frame = next(frames, None)
    time = None
    while frame is not None:
        assert isinstance(frame, av.AudioFrame)
        stamp = _time(frame, info)
        time = stamp if stamp is not None else info.start if time is None else time
        run = _Run(frame, time, info)
        yield round((time - origin) * sample_rate), run.mixed(frames, sample_rate)
        time, frame = run.end, run.next


def _time(frame: av.AudioFrame, info: MediaInfo) -> float | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    time = None if stamp is None or not frame.time_base else float(stamp * frame.time_base)
    return time if time is None or info.timeline is None or info.timeline.may_hold(time) else None


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _Run:
    """Frames of one kind whose time stamps follow each other, mixed by one mixer."""

    def __init__(self, first: av.AudioFrame, time: float, info: MediaInfo) -> None:
        self._first, self._info = first, info
        self.end = time
        """Seconds: where the next frame is due."""
        self.next: Decoded | None = None
        """The frame that broke the run."""

    def mixed(self, frames: Iterator[Decoded], sample_rate: int) -> Iterator[np.ndarray]:
        mixer = Mixer(self._info.path, self._first, sample_rate)
        kind, start, count = _kind(self._first), self.end, 0
        frame: Decoded | None = self._first
        while frame is not None:
            assert isinstance(frame, av.AudioFrame)
            stamp = _time(frame, self._info)
            if _kind(frame) != kind or (stamp is not None and abs(stamp - self.end) > JITTER):
                self.next = frame
                break
            count += frame.samples
            self.end = start + count / kind[2]
            yield from mixer(frame)
            frame = next(frames, None)
        yield from mixer(None)
