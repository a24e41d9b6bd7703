"""A library from your own folder of pictures and sounds:

    FOLDER/things/NAME/*.png *.wav    pictures with alpha of a thing, and its sounds (any format FFmpeg reads)
    FOLDER/silent/*.png               pictures with alpha of things that never sound (may be missing)
    FOLDER/backgrounds/*.jpg          photographs

Files are split by a hash of their name: seven in ten train, one validates, two test. So adding a file moves no other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from cmac_hub.cli.files import SUFFIXES
from cmac_hub.errors import CMACError, MediaError
from cmac_hub.train.library import Library, Sound, Thing, load_sound, photograph, prefer, shrink
from cmac_hub.train.splits import Split

PICTURES = {".png", ".webp", ".gif", ".tif", ".tiff"}
PHOTOGRAPHS = PICTURES | {".jpg", ".jpeg", ".bmp"}


def split_of(name: str) -> Split:
    """The split of a file of that name."""
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10
    return "train" if number < 7 else "validation" if number == 7 else "test"


def load_library(
    root: Path, split: Split, which: Literal["known", "new"] = "known", *, progress: bool = True
) -> Library:
    """Your own folder if it holds `things`, else one laid out like `shared/data`. Errors are those of either reader."""
    load = load_own if (Path(root) / "things").is_dir() else Library.load
    return load(Path(root), split, which, progress=progress)


def load_own(root: Path, split: Split, which: Literal["known", "new"] = "known", *, progress: bool = True) -> Library:
    """Reads one split of such a folder.

    Args:
        root: the folder.
        split: whose files; a thing without any there lends those of training.
        which: "known" are things with files for training; "new" are the others.
        progress: show a progress bar on stderr.

    Raises:
        CMACError: no thing has both a picture and a sound, there is no photograph, or a file cannot be read.
    """
    things = []
    folders = sorted(path for path in (root / "things").iterdir() if path.is_dir())
    for folder in tqdm(folders, disable=not progress, desc=f"{split} {which}", unit="thing"):
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        pictures = [(path, split_of(path.name)) for path in files if path.suffix.lower() in PICTURES]
        sounds = [(path, split_of(path.name)) for path in files if path.suffix.lower() in SUFFIXES]
        if (which == "known") != _is_known(pictures, sounds):
            continue
        images = tuple(shrink(_open(path)) for path in prefer(pictures, split))
        waves = tuple(wave for path in prefer(sounds, split) if (wave := _hear(path)) is not None)
        if images and waves:
            things.append(Thing(folder.name, images, waves))
    photos = _files(root / "backgrounds", PHOTOGRAPHS, split)
    if not things or not photos:
        raise CMACError(
            f"{root} gives {len(things)} {which} things and {len(photos)} photographs for {split}; expected "
            "things/NAME/ with .png and sounds, and backgrounds/ with .jpg"
        )
    return Library(
        tuple(things),
        Library.of_drawings(split).things,
        tuple(shrink(_open(path)) for path in _files(root / "silent", PICTURES, split)),
        tuple(photograph(path) for path in photos),
    )


def _is_known(pictures: list[tuple[Path, Split]], sounds: list[tuple[Path, Split]]) -> bool:
    return all("train" in {split for _, split in files} for files in (pictures, sounds))


def _files(folder: Path, suffixes: set[str], split: Split) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return prefer([(path, split_of(path.name)) for path in found if path.suffix.lower() in suffixes], split)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path).convert("RGBA")
    except (UnidentifiedImageError, OSError) as error:
        raise CMACError(f"{path} is no picture that can be read ({error})") from error


def _hear(path: Path) -> Sound | None:
    try:
        return load_sound(path)
    except MediaError as error:
        raise CMACError(f"{path} is no sound that can be read ({error})") from error
