"""Which files are media: by suffix in folders that are searched; a file that is named is taken whatever its suffix."""

from __future__ import annotations

import os
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


def find_inputs(
    names: list[str],
    suffixes: frozenset[str] = VIDEO_SUFFIXES | AUDIO_SUFFIXES,
    drawn: bool = True,
    output: str | Path | None = None,
) -> list[Input]:
    """Files as they are, folders searched for media in order of name; hidden ones are passed over, a file that is named
    twice, by a link as well, comes once.

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
        if path.is_dir():
            inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in suffixes and p.is_file()]
            inside = [p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)]
            if output is not None and path.resolve() in (made := Path(output).resolve()).parents:
                within = path / made.relative_to(path.resolve())
                inside = [p for p in inside if within not in p.parents]
            if not drawn:
                inside = [p for p in inside if not is_drawn(p)]
            if not inside:
                raise MediaError(f"the folder {path} holds no media file; looked for {' '.join(sorted(suffixes))}")
            inputs = [Input(p, p.relative_to(path)) for p in inside]
        else:
            inputs = [Input(path, Path(path.name))]
        for one in inputs:
            # A link to a file is that file; `realpath` ends at a link that leads in a circle, `resolve` fails there.
            found.setdefault(os.path.realpath(one.path), one)
    return list(found.values())
