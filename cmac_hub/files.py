"""Writing a file whole: it grows under a hidden name beside its own and is moved there when it is complete."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from cmac_hub.errors import CMACError, OutputError, too_long

WRITERS = 64
"""Processes at most that write one output at once under names that are found again."""

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""A hidden name is known beforehand: a link that somebody laid there is not followed."""


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
        path.stat()
    except OSError as error:
        # `is_dir` says so, too, but only before Python 3.14.
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(too_long(path)) from error
    if path.is_dir():
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
def replacing(path: Path, overwrite: bool = True, source: Path | None = None, *, synced: bool = True) -> Iterator[Path]:
    """A hidden file to write into, moved onto `path` when all went well and removed otherwise.

    What a killed process left of the same output is written over. Several processes may write one output at once; the
    last one that ends stands.

    Args:
        path: of the output.
        overwrite: see `check_output`.
        source: see `check_output`.
        synced: wait until the disk has it, so that after a power cut `path` is the new file or the old one, never a cut
            one. Many small files that are easily made again need not wait.

    Raises:
        OutputError: see `check_output`; or the file could not be written; one that was there before is as it was.
        OSError: of other files, as it was raised inside.
    """
    check_output(path, overwrite, source)
    with ExitStack() as lock:
        try:
            temporary = _claim(path, lock)
        except OSError as error:
            raise OutputError(f"{path} could not be written: {explain(error)}") from error
        try:
            yield temporary
            if synced:
                _sync(temporary)
            os.replace(temporary, path)
        except BaseException as error:
            # While it is locked, or the name might be another process's by now.
            with suppress(OSError):
                temporary.unlink()
            if isinstance(error, CMACError) or not isinstance(error, OSError | SafetensorError):
                raise
            if not _is_of(error, temporary, path):
                raise
            raise OutputError(
                f"{path} could not be written: {explain(error)}; nothing half-written was kept"
            ) from error
    if synced:
        try:
            _sync(path.parent)
        except OSError as error:
            # Not every file system syncs folders, and not every folder can be read.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
                raise OutputError(f"{path} is written, but a power cut may undo it: {explain(error)}") from error


def remove_left_over(folder: Path) -> None:
    """Removes what killed processes left half-written in a folder and those below it; what still grows stays."""
    for path in folder.rglob(".cmac-*.part*"):
        with suppress(OSError, ImportError), ExitStack() as lock:
            descriptor = os.open(path, os.O_RDWR | NO_LINK)
            lock.callback(os.close, descriptor)
            if _lock(descriptor, path):
                path.unlink()


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Processes that do this for one folder wait for each other, where its file system has such locks."""
    with ExitStack() as lock:
        with suppress(OSError, ImportError):
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY)
            lock.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def is_hidden(name: str) -> bool:
    """Whether a file of this name is one that grows, or that a killed process left."""
    return name.startswith(".cmac-") and ".part" in name


def _claim(path: Path, lock: ExitStack) -> Path:
    """An empty hidden file beside `path`, locked until `lock` is closed.

    Its name comes from that of `path`, so that what a killed process left is found without a search; short, as the
    file's own may be as long as a name can be. A lock ends with its process: where it is held, another process writes
    the same output just now, and the next name is tried.
    """
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    for number in range(WRITERS):
        found = path.with_name(f".cmac-{digest}-{number}.part{path.suffix}")
        try:
            descriptor = os.open(found, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        except PermissionError:
            break  # Another user's killed process left it.
        with ExitStack() as opened:
            opened.callback(os.close, descriptor)
            try:
                if _lock(descriptor, found):
                    os.ftruncate(descriptor, 0)
                    lock.push(opened.pop_all())
                    return found
            except (OSError, ImportError):
                # A file system, or a system, without locks.
                opened.close()
                found.unlink(missing_ok=True)
                break
            except BaseException:
                # Ctrl-C, just now.
                with suppress(OSError, ImportError):
                    if _lock(descriptor, found):
                        found.unlink()
                raise
    found = path.with_name(f".cmac-{os.urandom(4).hex()}.part{path.suffix}")
    os.close(os.open(found, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return found


def _lock(descriptor: int, path: Path) -> bool:
    """Locks an open file without waiting; False where another process holds it, or `path` is another file by now."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def _sync(path: Path) -> None:
    """Waits until the disk has all of a file, or the names of a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_of(error: Exception, *paths: Path) -> bool:
    """Whether an error names one of these files, or none as a full disk's does; else something else was read."""
    name = getattr(error, "filename", None)
    return not isinstance(name, str | bytes | os.PathLike) or Path(os.fsdecode(name)) in paths


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of a file that grows line by line become an OutputError that names it."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} could not be written: {explain(error)}") from error


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
