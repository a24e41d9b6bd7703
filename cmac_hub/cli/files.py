"""Which files a command works on, where their outputs go, and how failures are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError

from cmac_hub.errors import CMACError, MediaError, OutputError, one_line
from cmac_hub.media.suffixes import SOUNDS, VIDEOS
from cmac_hub.media.writer import hidden_name


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
    names = [source + ending for suffix in VIDEOS for ending in (suffix, suffix.upper())]
    return source != path.stem and any(path.with_name(name).is_file() for name in names)


def find_inputs(
    names: list[str],
    suffixes: frozenset[str] = VIDEOS | SOUNDS,
    drawn: bool = True,
    output: str | Path | None = None,
) -> list[Input]:
    """Files as they are, folders searched for media in order of name.

    Args:
        names: files and folders.
        suffixes: what folders are searched for.
        drawn: whether folders are searched for what `is_drawn`, too.
        output: the folder of the outputs, left out where it lies in a folder that is searched.

    Raises:
        MediaError: a folder without any such file.
    """
    found: list[Input] = []
    for name in names:
        path = Path(name)
        if not path.is_dir():
            found.append(Input(path, Path(path.name)))
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        inside = [p for p in inside if not p.name.startswith(".")]
        if output is not None and path.resolve() in (made := Path(output).resolve()).parents:
            within = path / made.relative_to(path.resolve())
            inside = [p for p in inside if within not in p.parents]
        if not drawn:
            inside = [p for p in inside if not is_drawn(p)]
        if not inside:
            raise MediaError(f"the folder {path} holds no media file; looked for {' '.join(sorted(suffixes))}")
        found += [Input(p, p.relative_to(path)) for p in inside]
    return found


def run_all(inputs: list[Input], work: Callable[[Input], None]) -> int:
    """Works on every file; one that fails is reported at once and again at the end, and does not stop the others.

    Returns:
        the exit code.
    """
    failed: list[str] = []
    for one in inputs:
        try:
            work(one)
        except (CMACError, OSError, ValueError, RuntimeError) as error:
            line = one_line(error)
            if len(inputs) == 1:
                raise
            failed.append(f"{one.path}: {line}" if str(one.path) not in line else line)
            print(f"cmac: {failed[-1]}", file=sys.stderr)
    if failed:
        print(f"cmac: {len(failed)} of {len(inputs)} files failed, the others are done:", file=sys.stderr)
        for line in failed:
            print(f"  {line}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def replacing(path: Path, overwrite: bool, source: Path | None = None) -> Iterator[Path]:
    """A temporary name in the folder of `path`, moved onto it when all went well and removed otherwise.

    Raises:
        OutputError: the output exists, is the input itself, or its folder is missing or not writable.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file name")
    if path.exists():
        if source is not None and source.exists() and os.path.samefile(path, source):
            raise OutputError(f"{path} is the input itself; choose another output")
        if not overwrite:
            raise OutputError(f"{path} exists already; choose another output or pass --overwrite")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it first")
    temporary = hidden_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        if isinstance(error, CMACError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} could not be written: {reason}; nothing half-written was kept") from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> Path:
    """Makes a folder where outputs go. Raises OutputError when that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {path} could not be made: {error.strerror or error}") from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"the folder {path} is not writable; choose another output")
    return path
