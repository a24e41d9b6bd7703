"""Real shots in memory, a few of which are mixed among the composed scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmac_hub.errors import MediaError
from cmac_hub.media import windows
from cmac_hub.train.scenes.backdrops import cut_film
from cmac_hub.train.scenes.library import FILM_RATE, SAMPLE_RATE
from cmac_hub.train.scenes.real_shots import ShotFile, training_shots
from cmac_hub.train.scenes.settings import Footage, SceneSettings


@dataclass(frozen=True)
class Shot:
    """One real shot in memory at `RATE` frames and 16 000 samples a second, from one instant on."""

    frames_THWC: np.ndarray
    waveform: np.ndarray

    RATE = FILM_RATE


def load_shots(root: Path, size: int, which: Footage = "clips", *, progress: bool = True) -> list[Shot]:
    """The training shots of `root` that have sound, short side a quarter larger than `size`; see `training_shots`."""
    return [shot for _, shot in read_shots(root, size, which, progress=progress)]


def read_shots(
    root: Path, size: int, which: Footage = "clips", *, progress: bool = True
) -> Iterator[tuple[ShotFile, Shot]]:
    """The same one by one, each with its file; none where `root` holds none."""
    for file in tqdm(training_shots(root, which), disable=not progress, desc="real shots", unit="shot"):
        try:
            cut = windows(
                file.path,
                window=0.5,
                hop=0.5,
                frames=Shot.RATE // 2,
                size=size * 5 // 4,
                sample_rate=SAMPLE_RATE,
            )
            parts = [w for w in cut if not w.padded]
        except MediaError:
            continue
        pictures = [w.frames for w in parts if w.frames is not None]
        sounds = [w.waveform for w in parts if w.waveform is not None]
        if len(pictures) >= 2 and len(sounds) == len(pictures) and np.abs(np.concatenate(sounds)).max() > 1e-3:
            yield file, Shot(np.concatenate(pictures), np.concatenate(sounds))


def cut_shot(shot: Shot, rng: np.random.Generator, settings: SceneSettings) -> tuple[np.ndarray, np.ndarray]:
    """A random stretch as long as a scene, square cut, flip and color of one shot: (T, H, W, 3) uint8 and (n,) fp32."""
    seconds, size = settings.seconds, settings.size
    clip, start = cut_film(shot.frames_THWC, rng, size, settings.frames, seconds=seconds, smallest=0.65)
    gain, offset = rng.uniform(0.7, 1.3, 3) * rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    clip = np.clip(clip * gain + offset, 0, 255).astype(np.uint8)
    first = start * SAMPLE_RATE // Shot.RATE
    length = round(seconds * SAMPLE_RATE)
    part = shot.waveform[first : first + length]
    sound = np.pad(part, (0, length - len(part))) * 10 ** (rng.uniform(-12, 3) / 20)
    return clip, np.clip(sound, -1, 1).astype(np.float32)
