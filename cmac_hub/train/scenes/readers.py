"""Reads a library from whatever folder was given: one of your own (`folder_library.py`) or the collected layout
(`collected_library.py`); without a folder the package draws everything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cmac_hub.train.scenes.collected_library import collected_files, load_collected
from cmac_hub.train.scenes.folder_library import folder_files, is_folder_library, load_folder
from cmac_hub.train.scenes.library import CLIP_SIZE, FEWEST, File, Library, NoThingsError
from cmac_hub.train.scenes.splits import Split


def load_library(
    root: Path | None,
    split: Split,
    which: Literal["known", "new"] = "known",
    *,
    clip_size: int = CLIP_SIZE,
    progress: bool = True,
) -> Library:
    """One split of a folder: "known" things are those of training, "new" ones training never uses. Pictures are kept
    large enough for clips of `clip_size` pixels.

    Raises what either reader does, and NoThingsError for new things without a folder: all drawings are known.
    """
    if root is None:
        if which == "new":
            raise NoThingsError("the package draws no new things; give a folder of pictures and sounds")
        return Library.of_drawings(split)
    load = load_folder if is_folder_library(root) else load_collected
    return load(Path(root), split, which, clip_size=clip_size, progress=progress)


def libraries(root: Path | None, split: Split, clip_size: int = CLIP_SIZE) -> Iterator[tuple[str, Library]]:
    """("known", its library), and ("new", its library) if the folder has enough new things for scenes of their own.

    Raises what `load_library` does, for the known things.
    """
    yield "known", load_library(root, split, "known", clip_size=clip_size)
    try:
        new = load_library(root, split, "new", clip_size=clip_size)
    except NoThingsError:
        return
    if len(new.things) < FEWEST:
        names = ", ".join(thing.name for thing in new.things)
        print(f"cmac_hub.train: the only new things are {names}; at least {FEWEST} are evaluated", file=sys.stderr)
        return
    yield "new", new


def library_files(root: Path) -> list[File]:
    """The files of a folder, each with its kind, thing and split. Raises what reading library.csv does."""
    return folder_files(root) if is_folder_library(root) else collected_files(root)
