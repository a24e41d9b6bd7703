"""A library from your own folder of pictures and sounds:

    FOLDER/things/NAME/*.png *.wav    pictures with alpha of a thing, and its sounds (any format FFmpeg reads)
    FOLDER/silent/*.png               pictures with alpha of things that never sound (may be missing)
    FOLDER/backgrounds/*.jpg          photographs

Files are split by a hash of their name: seven in ten train, one validates, two test. So adding a file moves no other.

Where the files lie elsewhere, FOLDER/library.csv names them instead:

    kind,thing,file,split
    picture,dog,/data/dogs/rex.png,train

`kind` is picture, sound, silent or background; `thing` is empty for the last two; `file` is relative to FOLDER; an
empty `split` is the hash's.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, cast, get_args

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.media.suffixes import SOUNDS, VIDEOS
from cmac_hub.train.library import (
    FEWEST,
    File,
    Library,
    NoThings,
    Sound,
    Thing,
    lent,
    load_sound,
    photograph,
    prefer,
    shrink,
)
from cmac_hub.train.splits import Split

PICTURES = {".png", ".webp", ".gif", ".tif", ".tiff"}
PHOTOGRAPHS = PICTURES | {".jpg", ".jpeg", ".bmp"}


def split_of(name: str) -> Split:
    """The split of a file of that name."""
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10
    return "train" if number < 7 else "validation" if number == 7 else "test"


def load_library(
    root: Path | None, split: Split, which: Literal["known", "new"] = "known", *, progress: bool = True
) -> Library:
    """Your own folder if it holds `things` or `library.csv`, else one laid out like `shared/data`; None draws all.

    Raises what either reader does, and NoThings for new things without a folder: all drawings are known.
    """
    if root is None:
        if which == "new":
            raise NoThings("the package draws no things that training never sees; give a folder of pictures and sounds")
        return Library.of_drawings(split)
    load = load_own if is_own(root) else Library.load
    return load(Path(root), split, which, progress=progress)


def libraries(root: Path | None, split: Split) -> Iterator[tuple[str, Library]]:
    """("known", its library), and ("new", its library) if the folder has enough things that training never sees.

    Raises what `load_library` does, for the known things.
    """
    yield "known", load_library(root, split, "known")
    try:
        new = load_library(root, split, "new")
    except NoThings:
        return
    if len(new.things) < FEWEST:
        names = ", ".join(thing.name for thing in new.things)
        print(f"cmac_hub.train: never seen are {names} alone, too few to grade by themselves", file=sys.stderr)
        return
    yield "new", new


def own_files(root: Path) -> list[File]:
    """What such a folder holds. Raises what reading library.csv does."""
    return _listed(root / "library.csv") if (root / "library.csv").is_file() else _lying(root)


def is_own(root: Path) -> bool:
    """Whether a folder is laid out so, and not like `shared/data`."""
    return any((Path(root) / name).exists() for name in ("things", "library.csv"))


def load_own(root: Path, split: Split, which: Literal["known", "new"] = "known", *, progress: bool = True) -> Library:
    """Reads one split of such a folder.

    Args:
        root: the folder.
        split: whose files; a thing without any there lends those of training.
        which: "known" are things with files for training; "new" are the others.
        progress: show on stderr a progress bar, and which things training leaves out.

    Raises:
        NoThings: no such thing has both a picture and a sound, or there is no photograph.
        CMACError: a file cannot be read.
    """
    files = own_files(root)
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
        images = tuple(shrink(_open(path)) for path in prefer(pictures, split))
        waves = tuple(wave for path in prefer(sounds, split) if (wave := _hear(path)) is not None)
        if images and waves:
            things.append(
                Thing(name, images, waves, which == "known" and (lent(pictures, split) or lent(sounds, split)))
            )
    if progress and others and (split, which) == ("train", "known"):
        told = f"{len(others)} of {len(names)} things have no picture or no sound for training: {', '.join(others)}"
        print(f"cmac_hub.train: {told}; library.csv can say so otherwise", file=sys.stderr)
    silent, photos = (
        prefer([(one.path, one.split) for one in files if one.kind == kind], split) for kind in ("silent", "background")
    )
    if not things or not photos:
        raise NoThings(
            f"{root} gives {len(things)} {which} things and {len(photos)} photographs for {split}; expected "
            "things/NAME/ with .png and sounds, and backgrounds/ with .jpg, or library.csv"
        )
    return Library(
        tuple(things),
        Library.of_drawings(split).things,
        tuple(shrink(_open(path)) for path in silent),
        tuple(photograph(path) for path in photos),
    )


COLUMNS = ("kind", "thing", "file", "split")
KINDS = ("picture", "sound", "silent", "background")


def _lying(root: Path) -> list[File]:
    """The files of the folders above."""
    found = []
    for folder in sorted(path for path in (root / "things").iterdir() if path.is_dir()):
        for kind, suffixes in (("picture", PICTURES), ("sound", SOUNDS | VIDEOS)):
            found += [File(kind, folder.name, path, split_of(path.name)) for path in _files(folder, suffixes)]
    for kind, name, suffixes in (("silent", "silent", PICTURES), ("background", "backgrounds", PHOTOGRAPHS)):
        found += [File(kind, "", path, split_of(path.name)) for path in _files(root / name, suffixes)]
    return found


def _listed(table: Path) -> list[File]:
    """The files that library.csv names. Raises CMACError for another header, kind or split, or a missing file."""
    found = []
    # A spreadsheet puts a mark before the first column; what is no UTF-8 becomes a name that is not there.
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        missing = [name for name in ("kind", "thing", "file") if name not in (rows.fieldnames or [])]
        if missing:
            raise CMACError(f"{table} has no column {', '.join(missing)}; expected kind,thing,file,split")
        for row in rows:
            path = table.parent / (row["file"] or "")
            split = row.get("split") or split_of(path.name)
            nameless = row["kind"] in ("picture", "sound") and not row["thing"]
            if nameless or row["kind"] not in KINDS or split not in get_args(Split) or not path.is_file():
                told = ", ".join(f"{name} {row[name]!r}" for name in ("kind", "thing", "file"))
                raise CMACError(
                    f"{table} line {rows.line_num}: {told}, split {split!r}; accepted are {', '.join(KINDS)}; a name "
                    f"for what is seen or heard; a file that is there; {', '.join(get_args(Split))}"
                )
            found.append(File(row["kind"], row["thing"] or "", path, cast(Split, split)))
    return found


def _is_known(pictures: list[tuple[Path, Split]], sounds: list[tuple[Path, Split]]) -> bool:
    return all("train" in {split for _, split in files} for files in (pictures, sounds))


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")]


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
