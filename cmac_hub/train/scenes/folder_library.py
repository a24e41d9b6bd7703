"""A library from a folder of your own, laid out as `layout.LAYOUT` says."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Literal, cast, get_args

from tqdm import tqdm

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.media.find import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from cmac_hub.text import AS_BYTES, Table, legible, named_file
from cmac_hub.train.scenes.layout import SEE_LAYOUT
from cmac_hub.train.scenes.library import (
    CLIP_SIZE,
    File,
    Library,
    NoThingsError,
    Sound,
    Thing,
    is_borrowed,
    load_photograph,
    load_picture,
    load_sound,
    prefer,
)
from cmac_hub.train.scenes.splits import Split

PICTURES = {".png", ".webp", ".gif", ".tif", ".tiff"}
PHOTOGRAPHS = PICTURES | {".jpg", ".jpeg", ".bmp"}


def split_of(name: str) -> Split:
    """The split of a file of that name."""
    number = int(hashlib.sha256(name.encode("utf-8", AS_BYTES)).hexdigest(), 16) % 10
    return "train" if number < 7 else "validation" if number == 7 else "test"


def folder_files(root: Path) -> list[File]:
    """What such a folder holds. Raises CMACError for a library.csv that cannot be understood."""
    return _listed_files(root / "library.csv") if (root / "library.csv").is_file() else _found_files(root)


def is_folder_library(root: Path) -> bool:
    """Whether a folder has this layout."""
    return any((Path(root) / name).exists() for name in ("things", "library.csv"))


def load_folder(
    root: Path,
    split: Split,
    which: Literal["known", "new"] = "known",
    *,
    clip_size: int = CLIP_SIZE,
    progress: bool = True,
) -> Library:
    """Reads one split of such a folder.

    Args:
        root: the folder.
        split: whose files; a thing without any there borrows those of training.
        which: "known" are things with files for training; "new" are the others.
        clip_size: pixels of the clips that scenes will have.
        progress: show on stderr a progress bar, and which things training leaves out.

    Raises:
        NoThingsError: no such thing has both a picture and a sound, or there is no photograph.
        CMACError: a file cannot be read.
    """
    files = folder_files(root)
    things, others = [], []
    names = sorted({one.thing for one in files if one.kind in ("picture", "sound")})
    for name in tqdm(names, disable=not progress, desc=f"{split} {which}", unit="thing"):
        pictures, sounds = (
            [(one.path, one.split) for one in files if (one.kind, one.thing) == (kind, name)]
            for kind in ("picture", "sound")
        )
        if (which == "known") != _is_known(pictures, sounds):
            others.append(name)
            continue
        images = tuple(load_picture(path, clip_size) for path in prefer(pictures, split))
        recordings = tuple(sound for path in prefer(sounds, split) if (sound := _load_sound(path)) is not None)
        if images and recordings:
            borrowed = which == "known" and (is_borrowed(pictures, split) or is_borrowed(sounds, split))
            things.append(Thing(name, images, recordings, borrowed))
    if progress and others and (split, which) == ("train", "known"):
        print(
            f"cmac_hub.train: {len(others)} of {len(names)} things have no picture or no sound for training: "
            f"{', '.join(others)}; library.csv can set other splits",
            file=sys.stderr,
        )
    distractors, photographs = (
        prefer([(one.path, one.split) for one in files if one.kind == kind], split) for kind in ("silent", "background")
    )
    if not things or not photographs:
        raise NoThingsError(
            f"{root} gives {len(things)} {which} things and {len(photographs)} photographs for {split}; expected "
            f"things/NAME/ with .png and sounds, and backgrounds/ with .jpg, or library.csv; {SEE_LAYOUT}"
        )
    return Library(
        tuple(things),
        Library.of_drawings(split).things,
        tuple(load_picture(path, clip_size) for path in distractors),
        tuple(load_photograph(path, clip_size) for path in photographs),
    )


COLUMNS = ("kind", "thing", "file", "split")
KINDS = ("picture", "sound", "silent", "background")


def _found_files(root: Path) -> list[File]:
    """The files of the folders."""
    found = []
    for folder in sorted(path for path in (root / "things").iterdir() if path.is_dir()):
        for kind, suffixes in (("picture", PICTURES), ("sound", AUDIO_SUFFIXES | VIDEO_SUFFIXES)):
            found += [File(kind, folder.name, path, split_of(path.name)) for path in _files(folder, suffixes)]
    for kind, name, suffixes in (("silent", "silent", PICTURES), ("background", "backgrounds", PHOTOGRAPHS)):
        found += [File(kind, "", path, split_of(path.name)) for path in _files(root / name, suffixes)]
    return found


def _listed_files(table: Path) -> list[File]:
    """The files that library.csv names. Raises CMACError for another header, kind or split, or a missing file."""
    found, rows = [], Table(table)
    if missing := [name for name in ("kind", "thing", "file") if name not in rows.columns]:
        raise CMACError(f"{table} has no column {', '.join(missing)}; expected {','.join(COLUMNS)}; {SEE_LAYOUT}")
    for row in rows:
        path = named_file(table.parent / (row["file"] or ""))
        split = row.get("split") or split_of(path.name)
        nameless = row["kind"] in ("picture", "sound") and not row["thing"]
        if nameless or row["kind"] not in KINDS or split not in get_args(Split) or not path.is_file():
            given = ", ".join(f"{name} {legible(row[name] or '')!r}" for name in ("kind", "thing", "file"))
            raise CMACError(
                f"{table} line {rows.line}: {given}, split {split!r}; accepted are {', '.join(KINDS)}; a thing "
                f"for pictures and sounds; a file that is there; {', '.join(get_args(Split))}; {SEE_LAYOUT}"
            )
        found.append(File(row["kind"], legible(row["thing"] or ""), path, cast(Split, split)))
    return found


def _is_known(pictures: list[tuple[Path, Split]], sounds: list[tuple[Path, Split]]) -> bool:
    return all("train" in {split for _, split in files} for files in (pictures, sounds))


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")]


def _load_sound(path: Path) -> Sound | None:
    try:
        return load_sound(path)
    except MediaError as error:
        raise CMACError(f"{path} is no sound that can be read ({error})") from error
