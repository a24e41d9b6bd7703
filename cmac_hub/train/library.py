"""What scenes are made of, in memory: pictures with alpha, sounds, photographs, silent things.

A thing has pictures and sounds. A library holds those of one split (`splits.csv`): its sources, which may sound, and
what else may be seen. Pictures are uint8 RGBa with the colour premultiplied by alpha, so that resizing leaves no
fringe.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from cmac_hub import demo
from cmac_hub.errors import CMACError
from cmac_hub.media import read_sound
from cmac_hub.train.splits import Split, Splits, load_splits

T = TypeVar("T")

PICTURE_SIZE = 96
"""Longest side of a kept picture, in pixels."""
BACKGROUND_SIZE = 128
"""Short side of a drawn background, in pixels."""
PHOTOGRAPH_SIZE = 256
"""Short side of a kept photograph, in pixels: cuts of half of it still have the pixels of a clip."""
FEWEST = 3
"""Things of which a scene may need one each: two that sound and one that is silent."""
SAMPLE_RATE = 16000
"""Hertz of every kept sound."""
FILM_RATE = 16
"""Frames a second of kept footage."""
BLOCK = SAMPLE_RATE // 20
"""Samples of the stretches whose loudness is kept."""


class File(NamedTuple):
    """One file of a collection."""

    kind: str
    """picture, sound, silent or background."""
    thing: str
    """Empty for the last two."""
    path: Path
    split: Split


class NoThings(CMACError):
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
    lent: bool = False
    """Whether its pictures or sounds are those of training, because the split has none."""


@dataclass(frozen=True)
class Library:
    """All that a composer of scenes draws from."""

    things: tuple[Thing, ...]
    drawn: tuple[Thing, ...]
    """The package's own drawings with their synthesised sounds (`cmac_hub.demo`)."""
    silent: tuple[np.ndarray, ...]
    """Pictures of things that never sound."""
    backgrounds: tuple[np.ndarray, ...]
    """(h, w, 3) uint8."""
    films: tuple[np.ndarray, ...] = ()
    """(t, h, w, 3) uint8 at FILM_RATE: real footage as moving backgrounds; the caller adds them."""

    @classmethod
    def of_drawings(cls, split: Split, count: int = 12) -> Library:
        """Drawn shapes with synthesised sounds on drawn backgrounds: needs no data at all."""
        start = {"train": 2000, "validation": 1000, "test": 0}[split]
        rng = np.random.default_rng([start, 7])
        things = []
        for kind in demo.KINDS:
            pictures = [shrink(Image.fromarray(demo.draw_thing(kind, rng, 128))) for _ in range(count)]
            sounds = [Sound.of(demo.synthesise(kind, rng, 3.0, SAMPLE_RATE)) for _ in range(count)]
            things.append(Thing(f"drawn_{kind}", tuple(pictures), tuple(sounds)))
        size = BACKGROUND_SIZE
        backgrounds = [demo.draw_background(rng, size * 3 // 2, size) for _ in range(count)]
        return cls(tuple(things), tuple(things), (), tuple(backgrounds))

    @classmethod
    def load(
        cls, root: Path, split: Split, which: Literal["known", "new"] = "known", *, progress: bool = True
    ) -> Library:
        """Reads one split of a folder laid out like `shared/data` (scenes, esc50, urbansound8k).

        Args:
            root: the folder.
            split: whose pictures, sounds, photographs and silent things.
            which: "known" takes the things of training, with pictures and sounds of `split` wherever a thing has
                some; "new" takes the things that belong to `split` altogether.
            progress: show a progress bar on stderr.

        Raises:
            CMACError: the folder has no `scenes`.
            NoThings: it has no such things.
        """
        scenes = Path(root) / "scenes"
        if not scenes.is_dir():
            raise CMACError(f"{root} has no folder 'scenes' or 'things'; see python -m cmac_hub.train pretrain --help")
        splits = load_splits()
        pictures = _pictures(scenes, splits)
        sounds = _sounds(Path(root), splits)
        wanted = "train" if which == "known" else split
        drawn = cls.of_drawings(split)
        things = []
        rows = [row.name for row in splits.rows("thing") if row.split == wanted]
        for name in tqdm(rows, disable=not progress, desc=f"{split} {which}", unit="thing"):
            seen = prefer(pictures[name], split)
            heard = prefer(sounds[name], split)
            if not seen or not heard:
                continue
            images = tuple(shrink(Image.open(path)) for path in seen)
            waves = tuple(wave for wave in map(load_sound, heard) if wave is not None)
            if waves:
                things.append(Thing(name, images, waves, lent(pictures[name], split) or lent(sounds[name], split)))
        if not things:
            raise NoThings(f"{root} gives no {which} things for {split}; see python -m cmac_hub.train pretrain --help")
        silent = [r.name for r in splits.rows("distractor") if r.split == split]
        photos = [r.name for r in splits.rows("background") if r.split == split]
        return cls(
            tuple(things),
            drawn.things,
            tuple(shrink(Image.open(scenes / "distractors" / name)) for name in silent),
            tuple(photograph(scenes / "backgrounds" / name) for name in photos),
        )


def shared_files(root: Path) -> list[File]:
    """What a folder laid out like `shared/data` holds, with the splits of `splits.csv`."""
    splits, scenes = load_splits(), Path(root) / "scenes"
    found = [File("picture", row.thing, scenes / row.name, cast(Split, row.split)) for row in splits.rows("picture")]
    for thing, files in _sounds(Path(root), splits).items():
        found += [File("sound", thing, path, cast(Split, split)) for path, split in files]
    for kind, name, folder in (("silent", "distractor", "distractors"), ("background", "background", "backgrounds")):
        found += [File(kind, "", scenes / folder / r.name, cast(Split, r.split)) for r in splits.rows(name)]
    return found


Candidates = defaultdict[str, list[tuple[Path, str]]]
"""Thing -> files of it, each with its split."""


def _pictures(scenes: Path, splits: Splits) -> Candidates:
    found: Candidates = defaultdict(list)
    for row in splits.rows("picture"):
        found[row.thing].append((scenes / row.name, row.split))
    return found


def _sounds(root: Path, splits: Splits) -> Candidates:
    found: Candidates = defaultdict(list)
    for row in splits.rows("recording"):
        if row.name.startswith("pairs/"):
            found[row.thing].append((root / "scenes" / row.name, row.split))
    for path, label, recording in _labelled_recordings(root):
        found[splits.thing_of("label", label)].append((path, splits.split_of("recording", recording)))
    return found


def _labelled_recordings(root: Path) -> Iterator[tuple[Path, str, str]]:
    """(file, label, Freesound id) of every clip of ESC-50 and UrbanSound8K that is there."""
    esc = root / "esc50"
    if (esc / "esc50.csv").exists():
        for row in csv.DictReader((esc / "esc50.csv").open(newline="")):
            yield esc / "audio" / row["filename"], f"esc50/{row['category']}", row["src_file"]
    urban = root / "urbansound8k"
    if (urban / "urbansound8k.csv").exists():
        for row in csv.DictReader((urban / "urbansound8k.csv").open(newline="")):
            yield urban / row["filename"], f"urbansound8k/{row['category']}", row["freesound_id"]


def prefer(files: Sequence[tuple[Path, str]], split: str) -> list[Path]:
    """The files of this split; if a thing has none there, those of training, never those of a later split."""
    return [p for p, s in files if s == split] or [p for p, s in files if s == "train"]


def lent(files: Sequence[tuple[Path, str]], split: str) -> bool:
    """Whether `prefer` gives files of another split."""
    return not any(s == split for _, s in files)


def load_sound(path: Path) -> Sound | None:
    """None where a file is all but silent."""
    waveform = read_sound(path, SAMPLE_RATE)
    peak = float(np.abs(waveform).max(initial=0))
    return Sound.of(waveform * (0.9 / peak)) if peak > 1e-3 else None


def shrink(image: Image.Image) -> np.ndarray:
    """A picture cut to what is visible, its longest side at most PICTURE_SIZE, premultiplied."""
    image = image.convert("RGBA")
    image = image.crop(image.getchannel("A").point(lambda a: 255 * (a > 16)).getbbox() or (0, 0, *image.size))
    scale = PICTURE_SIZE / max(image.size)
    premultiplied = image.convert("RGBa")
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        premultiplied = premultiplied.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(premultiplied)


def photograph(path: Path) -> np.ndarray:
    """(h, w, 3) uint8, its short side at PHOTOGRAPH_SIZE. Raises CMACError for a file that cannot be read."""
    try:
        image = Image.open(path)
        scale = PHOTOGRAPH_SIZE / min(image.size)
        size = round(image.width * scale), round(image.height * scale)
        image.draft("RGB", size)
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))
    except (UnidentifiedImageError, OSError) as error:
        raise CMACError(f"{path} is no photograph that can be read ({error})") from error


def pick(rng: np.random.Generator, items: Sequence[T]) -> T:
    """One of them, each as likely."""
    return items[int(rng.integers(len(items)))]
