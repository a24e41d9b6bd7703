"""A whole clip, picture and sound from memory -> a file."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

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
        sound = Path(folder) / "sound.wav"
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
        width, height = size
        with VideoWriter(
            path, width=width, height=height, frame_rate=frame_rate, source=sound, overwrite=overwrite
        ) as writer:
            for index, frame in enumerate(frames):
                writer.write(frame, index / frame_rate)
