"""Writing a file whole: it grows under a hidden name beside its own and is moved there when it is complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cmac_hub.errors import CMACError, OutputError, too_long


def hidden_name(path: Path) -> Path:
    """A new name in the same folder with the same suffix; short, as the file's own may be as long as a name can be."""
    return path.with_name(f".cmac-{os.urandom(4).hex()}.part{path.suffix}")


def check_output(path: Path, overwrite: bool, source: Path | None = None) -> None:
    """Whether a file may be written there.

    Args:
        path: of the output.
        overwrite: whether an existing file may be replaced.
        source: the file that the output is made from, which is never replaced.

    Raises:
        OutputError: the output is a folder, is the source, exists, or its folder is missing or not writable.
    """
    try:
        folder = path.is_dir()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(too_long(path)) from error
        raise
    if folder:
        raise OutputError(f"{path} is a folder; give a file name")
    if path.exists():
        if source is not None and source.exists() and os.path.samefile(path, source):
            raise OutputError(f"{path} is the input itself; choose another output")
        if not overwrite:
            raise OutputError(f"{path} exists already; choose another output or pass overwrite=True (--overwrite)")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another output")


@contextmanager
def replacing(path: Path, overwrite: bool = True, source: Path | None = None) -> Iterator[Path]:
    """A hidden name to write to, moved onto `path` when all went well and removed otherwise.

    Raises:
        OutputError: see `check_output`; or the file could not be written; one that was there before is as it was.
        OSError: of other files, as it was raised inside.
    """
    check_output(path, overwrite, source)
    temporary = hidden_name(path)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        # What safetensors wrote nobody but its owner could read.
        temporary.chmod(mode)
        os.replace(temporary, path)
    except CMACError:
        raise
    except (OSError, SafetensorError) as error:
        if not _is_of(error, temporary, path):
            raise
        raise OutputError(f"{path} could not be written: {explain(error)}; nothing half-written was kept") from error
    finally:
        temporary.unlink(missing_ok=True)


def _is_of(error: Exception, *paths: Path) -> bool:
    """Whether an error names one of these files, or none as a full disk's does; else something else was read."""
    name = getattr(error, "filename", None)
    return not isinstance(name, str | bytes | os.PathLike) or Path(os.fsdecode(name)) in paths


def explain(error: Exception) -> str:
    """What an error of writing says, in a few words."""
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full"
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def make_folder(path: Path) -> Path:
    """Makes a folder for outputs, and those above it. Raises OutputError when that fails or it is not writable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(too_long(path)) from error
        raise OutputError(f"the folder {path} could not be made: {error.strerror or error}") from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"the folder {path} is not writable; choose another output")
    return path
