"""Which files are media: by suffix in folders that are searched; a file that is named is taken whatever its suffix."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

from cmac_hub.errors import MediaError

VIDEO_SUFFIXES = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()
)
AUDIO_SUFFIXES = frozenset(".aac .aif .aiff .flac .m4a .mp3 .oga .ogg .opus .wav .wma".split())


class Input(NamedTuple):
    """A file, and its place relative to the folder it was found in."""

    path: Path
    relative: Path


DRAWN = "_attention"
"""Ends the name of a video that `cmac localize` drew beside its source."""


def is_drawn(path: Path) -> bool:
    """Whether a file is such a video: dog_attention.mp4 beside dog.mp4 or dog.avi."""
    source = path.stem.removesuffix(DRAWN)
    # A few names are looked up instead of the whole folder, which may hold thousands of such videos.
    names = [source + ending for suffix in VIDEO_SUFFIXES for ending in (suffix, suffix.upper())]
    return source != path.stem and any(path.with_name(name).is_file() for name in names)


def walk(root: Path) -> list[Path]:
    """The files of a folder and of those in it, in order of name; hidden ones are passed over.

    Links to folders are entered, and every folder once: under its own name, else by the first link that leads there, so
    that a circle of links ends. A folder that may not be read is left out with a warning.
    """
    found: list[Path] = []
    seen: set[str] = set()
    waiting, linked = [root], list[Path]()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        # `realpath` ends at a link that leads in a circle, `resolve` fails there.
        if (own := os.path.realpath(folder)) in seen:
            continue
        seen.add(own)
        try:
            inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            warnings.warn(f"the folder {folder} is left out: {error.strerror or error}", stacklevel=3)
            continue
        for path in inside:
            if os.path.isdir(path):
                (linked if path.is_symlink() else waiting).append(path)
            elif os.path.isfile(path):
                found.append(path)
        linked.sort()
    return sorted(found)


def find_inputs(
    names: list[str],
    suffixes: frozenset[str] = VIDEO_SUFFIXES | AUDIO_SUFFIXES,
    drawn: bool = True,
    output: str | Path | None = None,
) -> list[Input]:
    """Files as they are, folders searched for media in order of name (`walk`: links are followed). A file that is
    reached twice comes once: as it was named first, and in a folder under its own name rather than a link's.

    Args:
        names: files and folders.
        suffixes: what folders are searched for.
        drawn: whether folders are searched for what `is_drawn`, too.
        output: the folder of the outputs, left out where it lies in a folder that is searched.

    Raises:
        MediaError: a folder without any such file.
    """
    found: dict[str, Input] = {}
    for name in names:
        path = Path(name)
        inputs = _search(path, suffixes, drawn, output) if path.is_dir() else [Input(path, Path(path.name))]
        for one in inputs:
            found.setdefault(os.path.realpath(one.path), one)
    return list(found.values())


def _search(folder: Path, suffixes: frozenset[str], drawn: bool, output: str | Path | None) -> list[Input]:
    root = Path(os.path.realpath(folder))
    made = None if output is None else Path(os.path.realpath(output))
    if made == root or (made is not None and made in root.parents):
        made = None
    owners: dict[str, Path] = {}
    for path in walk(folder):
        if path.suffix.lower() not in suffixes or (not drawn and is_drawn(path)):
            continue
        real, within = os.path.realpath(path), path.relative_to(folder)
        if made is not None and (made in Path(real).parents or made in (root / within).parents):
            continue
        if real not in owners or os.fspath(root / within) == real:
            owners[real] = path
    if not owners:
        raise MediaError(f"the folder {folder} holds no media file; looked for {' '.join(sorted(suffixes))}")
    return [Input(path, path.relative_to(folder)) for path in sorted(owners.values())]
