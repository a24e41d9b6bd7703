"""What scenes are made of, in memory: pictures with alpha, sounds, photographs, distractors.

A thing has pictures and sounds. A library holds those of one split: things, which may sound, and pictures of what never
sounds. Pictures are uint8 RGBa with the color premultiplied by alpha, so that resizing leaves no fringe. `readers.py`
reads a library from files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from cmac_hub import demo
from cmac_hub.errors import CMACError
from cmac_hub.media import read_audio
from cmac_hub.preprocessing import resample
from cmac_hub.registry import AudioConfig
from cmac_hub.train.scenes.splits import Split

T = TypeVar("T")

CLIP_SIZE = 96
"""Pixels of the clips for which pictures are kept unless larger ones are asked for."""
BACKGROUND_SIZE = 128
"""Short side of a drawn background, in pixels."""
FEWEST = 3
"""Things of which a scene may need one each: two sources and one distractor."""
SAMPLE_RATE = 16000
"""Hertz of every kept sound."""
FILM_RATE = 8
"""Frames a second of kept footage."""
BLOCK = SAMPLE_RATE // 20
"""Samples of the stretches whose loudness is kept."""


def at_rate(waveform_N: np.ndarray, config: AudioConfig) -> Tensor:
    """What a scene sounds like to a network: (n,) fp32 at `SAMPLE_RATE` -> at the config's rate."""
    if config.sample_rate == SAMPLE_RATE:
        return torch.from_numpy(waveform_N)
    return resample(waveform_N, SAMPLE_RATE, config)


class File(NamedTuple):
    """One file of a collection."""

    kind: str
    """"picture", "sound", "silent" (a distractor's picture) or "background"."""
    thing: str
    """Empty for the last two."""
    path: Path
    split: Split


class NoThingsError(CMACError):
    """A folder has no thing of the kind that was asked for."""


@dataclass(frozen=True)
class Sound:
    """One recording: `samples` (n,) int16 at SAMPLE_RATE, `energy` (n // BLOCK,) fp32 mean squares of its blocks."""

    samples: np.ndarray
    energy: np.ndarray

    @classmethod
    def of(cls, waveform: np.ndarray) -> Sound:
        """From a float waveform in [-1, 1]."""
        samples = np.round(waveform * 32767).astype(np.int16)
        blocks = waveform[: len(waveform) // BLOCK * BLOCK].reshape(-1, BLOCK)
        return cls(samples, np.square(blocks).mean(1).astype(np.float32))


@dataclass(frozen=True)
class Thing:
    """Something that may sound, with its `pictures` (h, w, 4) uint8 premultiplied and its sounds."""

    name: str
    pictures: tuple[np.ndarray, ...]
    sounds: tuple[Sound, ...]
    borrowed: bool = False
    """Whether its pictures or sounds are those of training, because the split has none."""


@dataclass(frozen=True)
class Library:
    """All that a composer of scenes draws from."""

    things: tuple[Thing, ...]
    drawn: tuple[Thing, ...]
    """The package's own drawings with their synthesized sounds (`cmac_hub.demo`)."""
    distractors: tuple[np.ndarray, ...]
    """Pictures of what never sounds."""
    backgrounds: tuple[np.ndarray, ...]
    """(h, w, 3) uint8."""
    films: tuple[np.ndarray, ...] = ()
    """(t, h, w, 3) uint8 at FILM_RATE: real footage as moving backgrounds; the caller adds them."""

    @classmethod
    def of_drawings(cls, split: Split, count: int = 12) -> Library:
        """Drawn shapes with synthesized sounds on drawn backgrounds: needs no data at all."""
        start = {"train": 2000, "validation": 1000, "test": 0}[split]
        rng = np.random.default_rng([start, 7])
        things = []
        for kind in demo.KINDS:
            pictures = [shrink(Image.fromarray(demo.draw_thing(kind, rng, 128))) for _ in range(count)]
            sounds = [Sound.of(demo.synthesize(kind, rng, 3.0, SAMPLE_RATE)) for _ in range(count)]
            things.append(Thing(f"drawn_{kind}", tuple(pictures), tuple(sounds)))
        size = BACKGROUND_SIZE
        backgrounds = [demo.draw_background(rng, size * 3 // 2, size) for _ in range(count)]
        return cls(tuple(things), tuple(things), (), tuple(backgrounds))


def picture_size(clip_size: int) -> int:
    """Longest side of a picture that is kept for clips of that size, in pixels: no thing is drawn larger."""
    return max(CLIP_SIZE, clip_size)


def photograph_size(clip_size: int) -> int:
    """Short side of a photograph that is kept, in pixels: cuts of half of it still have the pixels of a clip."""
    return max(256, 2 * clip_size)


def prefer(files: Sequence[tuple[Path, str]], split: str) -> list[Path]:
    """The files of this split; if a thing has none there, those of training, never those of a later split."""
    return [p for p, s in files if s == split] or [p for p, s in files if s == "train"]


def is_borrowed(files: Sequence[tuple[Path, str]], split: str) -> bool:
    """Whether `prefer` gives files of training in place of the split's."""
    return not any(s == split for _, s in files)


def load_sound(path: Path) -> Sound | None:
    """One recording with a peak of 0.9; None for a file that is all but silent."""
    waveform = read_audio(path, SAMPLE_RATE)
    peak = float(np.abs(waveform).max(initial=0))
    return Sound.of(waveform * (0.9 / peak)) if peak > 1e-3 else None


def load_picture(path: Path, clip_size: int = CLIP_SIZE) -> np.ndarray:
    """One picture, see `shrink`. Raises CMACError for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return shrink(image, picture_size(clip_size))
    except (UnidentifiedImageError, OSError) as error:
        raise CMACError(f"{path} is no picture that can be read ({error})") from error


def shrink(image: Image.Image, longest: int = CLIP_SIZE) -> np.ndarray:
    """A picture cut to what is visible, its longest side at most so many pixels, premultiplied."""
    image = image.convert("RGBA")
    image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > 16)).getbbox() or (0, 0, *image.size))
    scale = longest / max(image.size)
    premultiplied = image.convert("RGBa")
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        premultiplied = premultiplied.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(premultiplied)


def load_photograph(path: Path, clip_size: int = CLIP_SIZE) -> np.ndarray:
    """(h, w, 3) uint8, its short side at `photograph_size`. Raises CMACError for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            scale = photograph_size(clip_size) / min(image.size)
            size = round(image.width * scale), round(image.height * scale)
            image.draft("RGB", size)
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))
    except (UnidentifiedImageError, OSError) as error:
        raise CMACError(f"{path} is no photograph that can be read ({error})") from error


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of them, each as likely."""
    return items[int(rng.integers(len(items)))]
