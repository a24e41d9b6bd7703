"""A small copy of a stretch of a video for training: few pixels, a key frame every second, the sound that is heard.

What a random second of a file costs is the way from a key frame to the wanted one, the size of every frame on it, and
the mixing down of the sound. Key frames alone were tried: they gain nothing more and take twice the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cmac_hub.media.audio import decode_audio
from cmac_hub.media.frames import Scaler, decode_frames, lasting
from cmac_hub.media.info import MediaInfo
from cmac_hub.media.remux import AAC_RATES, Timed
from cmac_hub.media.writer import VideoWriter
from cmac_hub.sides import mono
from cmac_hub.windows import fit_size

KEY_EVERY = 1.0
"""Seconds from one key frame to the next."""

SAMPLE_RATE = 24000
"""Hertz at most of the sound: the paper's; the released networks hear less."""

BIT_RATE = 64000
"""Bits a second of the sound."""


def cut_video(info: MediaInfo, path: Path, *, size: int, start: float, stop: float) -> None:
    """Writes the stretch [start, stop) of a video as H.264 whose clock begins at zero; an existing file is replaced.

    Frames keep their times and look as the network is to see them (BT.709, upright); sound becomes AAC, mono as
    `cmac_hub.media.windows` gives it, at 24000 hertz or less.

    Args:
        info: what `probe` said of the video.
        path: .mp4.
        size: short side in pixels, see `cmac_hub.windows.fit_size`; smaller pictures stay as they are.
        start: seconds on the source's clock.
        stop: seconds.

    Raises:
        MediaError: the video cannot be read, or shows no frame there.
        OutputError: the file cannot be written.
    """
    width, height = fit_size(info.width, info.height, min(size, info.width, info.height), 2)
    scaler = Scaler(width, height)
    with _CutWriter(path, info, (width, height), start, stop) as writer:
        for time, frame in decode_frames(info, start):
            if time >= stop:
                break
            # The first may have come on screen before.
            shown = max(time, start)
            told = lasting(info, time, frame)
            writer.write(scaler(frame), shown, told and min(told, stop - shown))


class _CutWriter(VideoWriter):
    """Writes small pictures that are quick to decode and to seek in, beside the sound of a stretch.

    Args:
        path: .mp4.
        info: of the source.
        size: width and height in pixels.
        start: seconds on the source's clock.
        stop: seconds.
    """

    def __init__(self, path: Path, info: MediaInfo, size: tuple[int, int], start: float, stop: float) -> None:
        self._info, self._begin, self._length = info, start, stop - start
        rate = info.frame_rate or 25.0
        super().__init__(path, width=size[0], height=size[1], frame_rate=rate, source=info, overwrite=True)

    def _open(self, temporary: Path) -> None:
        super()._open(temporary)
        every = max(1, round(KEY_EVERY * (self._info.frame_rate or 25.0)))
        self._stream.options = {"preset": "superfast", "crf": "20", "tune": "fastdecode", "g": str(every)}

    def _copy_audio(self, source: str | Path | MediaInfo) -> None:
        self._start = self._begin
        if self._info.has_audio:
            own = self._info.sample_rate or SAMPLE_RATE
            rate = max(known for known in AAC_RATES if known <= max(min(own, SAMPLE_RATE), AAC_RATES[0]))
            track = self._container.add_stream("aac", rate=rate, layout="mono")
            assert isinstance(track, av.AudioStream)
            track.bit_rate = BIT_RATE
            track.codec_context.time_base = Fraction(1, rate)
            self._audio = self._encoded(track, rate)
            self._advance_audio()

    def _encoded(self, track: av.AudioStream, rate: int) -> Iterator[Timed]:
        given = 0
        for sides in _seconds(decode_audio(self._info, rate, self._begin), rate, round(self._length * rate)):
            waveform, _ = mono(sides)
            part = np.ascontiguousarray(waveform.clip(-1, 1)[None], np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, given, Fraction(1, rate)
            given += len(waveform)
            yield from _timed(track.encode(frame))
        if given:
            yield from _timed(track.encode(None))


def _seconds(pieces: Iterator[np.ndarray], rate: int, most: int) -> Iterator[np.ndarray]:
    """Sound (2, n) in pieces of a second, `most` samples in all."""
    held = np.zeros((2, 0), np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece], axis=1)[:, :most]
        if held.shape[1] >= min(rate, most):
            yield held
            most -= held.shape[1]
            held = held[:, :0]
            if most <= 0:
                return
    if held.shape[1]:
        yield held


def _timed(packets: list[av.Packet]) -> Iterator[Timed]:
    for packet in packets:
        if packet.pts is not None:
            yield float(packet.pts * packet.time_base), packet
