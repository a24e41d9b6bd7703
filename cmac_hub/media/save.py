"""A whole clip or waveform from memory -> a file."""

from __future__ import annotations

import os
import wave
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from cmac_hub.errors import OutputError
from cmac_hub.files import explain, replacing
from cmac_hub.media.writer import VideoWriter


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    frame_rate: float,
    waveform: np.ndarray,
    sample_rate: int,
    *,
    size: tuple[int, int],
    overwrite: bool = False,
) -> None:
    """Writes frames at an even rate, and a waveform as their sound.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        frames: (H, W, 3) uint8 RGB each.
        frame_rate: hertz.
        waveform: (n,) float in [-1, 1].
        sample_rate: hertz.
        size: width and height of the frames in pixels.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file may not or cannot be written; nothing half-written stays.
    """
    with TemporaryDirectory() as folder:
        audio = Path(folder) / "audio.wav"
        with wave.open(str(audio), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
        width, height = size
        with VideoWriter(
            path, width=width, height=height, frame_rate=frame_rate, source=audio, overwrite=overwrite
        ) as writer:
            for index, frame in enumerate(frames):
                writer.write(frame, index / frame_rate)


def write_audio(path: Path, waveform: np.ndarray, sample_rate: int, bit_rate: int = 24000) -> None:
    """Writes a waveform as Opus; an existing file is replaced when the new one is complete.

    Args:
        path: .opus.
        waveform: (n,) float in [-1, 1].
        sample_rate: hertz; 8000, 12000, 16000, 24000 or 48000.
        bit_rate: bits a second.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing(path) as temporary:
        try:
            _write_opus(temporary, waveform, sample_rate, bit_rate)
        except av.FFmpegError as error:
            raise OutputError(f"{path} could not be written: {explain(error)}") from error


def _write_opus(path: Path, waveform: np.ndarray, sample_rate: int, bit_rate: int) -> None:
    with av.open(os.path.join(".", path), "w", format="ogg") as container:
        track = container.add_stream("libopus", rate=sample_rate, layout="mono", options={"application": "audio"})
        track.bit_rate = bit_rate
        samples = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = sample_rate
        for part in av.AudioResampler("s16", "mono", sample_rate, frame_size=sample_rate // 50).resample(frame):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
