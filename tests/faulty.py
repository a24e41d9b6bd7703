"""Commands whose file operations fail, one after the other: every operation on files below one folder is a point at
which the disk is full, permission is lost, a call is interrupted, the process is killed or the power goes.

What libraries write by themselves is wrapped where they are called (`torch.save`, PyAV's containers);
`test_faults_outside.py` meets their own system calls.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import torch

Tree = dict[str, bytes | None]
"""The files of a folder by relative path; None is a folder."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What stays so until somebody makes room."""

GROWING = {"open", "write", "flush", "mkdir", "fsync", "mux", "close", "torch.save"}
"""What needs room."""


class Operations:
    """Counts the operations on files below a folder while `patched`, and lets one of them fail.

    Args:
        root: of the files.
        fail_at: the number of the operation that fails, from 1 on; 0 for none.
        error: an errno, or the class of an exception.
        look: called before every operation, with its name.
    """

    def __init__(
        self,
        root: Path,
        fail_at: int = 0,
        error: int | type[BaseException] = errno.ENOSPC,
        look: Callable[[str], None] | None = None,
    ) -> None:
        self.root, self.fail_at, self.error, self.look = os.path.realpath(root), fail_at, error, look
        self.seen: list[str] = []
        self.failed = self._looking = False
        self.synced = Synced(root)

    def inside(self, what: Any) -> bool:
        """Whether a path or a descriptor is of a file below the folder; of none while somebody looks at them."""
        if self._looking:
            return False
        try:
            path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.fsdecode(what)
        except (OSError, TypeError):
            return False
        return (os.path.abspath(path) + "/").startswith(self.root + "/")

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """What is done inside is no operation of the command."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False

    def point(self, name: str, path: Any = None) -> None:
        """One operation is about to begin. Raises what it fails with."""
        if self.look is not None:
            with self.looking():
                self.look(name)
        self.seen.append(name)
        again = self.failed and self.error in FULL and name in GROWING
        if len(self.seen) != self.fail_at and not again:
            return
        self.failed = True
        if not isinstance(self.error, int):
            raise self.error
        named = [] if path is None or isinstance(path, int) else [os.fspath(path)]
        if name in ("mux", "av.open"):
            av.error.err_check(-self.error, *named)
        if name == "torch.save":
            raise RuntimeError(f"[enforce fail at inline_container.cc:603] . {os.strerror(self.error)}\nframe #0")
        raise OSError(self.error, os.strerror(self.error), *named)

    @contextlib.contextmanager
    def patched(self) -> Iterator[Operations]:
        """Operations are counted inside of it."""
        before = [(module, name, getattr(module, name)) for module, name in PATCHED]
        for module, name, original in before:
            setattr(module, name, WRAPPERS.get(name, _plain)(self, name, original))
        io.open = builtins.open  # type: ignore[misc]
        try:
            yield self
        finally:
            for module, name, original in before:
                setattr(module, name, original)
            io.open = builtins.open  # type: ignore[misc]


PATCHED: list[tuple[Any, str]] = [
    *[(os, name) for name in ("open", "replace", "rename", "unlink", "mkdir", "fsync", "ftruncate", "scandir")],
    (fcntl, "flock"), (builtins, "open"), (torch, "save"), (av, "open"),
]  # fmt: skip


def _plain(operations: Operations, name: str, original: Any) -> Any:
    def call(*given: Any, **how: Any) -> Any:
        what = given[0] if given else "."
        if operations.inside(what):
            operations.point(name, what)
        return original(*given, **how)

    return call


def _open(operations: Operations, name: str, original: Any) -> Any:
    """`open`, `os.open` and `av.open`: what they give is watched too, where it is written to."""

    def call(path: Any, mode: Any = "r", *rest: Any, **how: Any) -> Any:
        if isinstance(path, int) or not operations.inside(path):
            return original(path, mode, *rest, **how)
        library = original.__module__.startswith("av.")
        operations.point("av.open" if library else "open", path)
        new = not os.path.exists(path)
        opened = original(path, mode, *rest, **how)
        if new:
            with operations.looking():
                operations.synced.made(path)
        return opened if isinstance(mode, int) or mode in ("r", "rb") else Watched(operations, opened, library)

    return call


def _fsync(operations: Operations, name: str, original: Any) -> Any:
    def call(descriptor: int) -> None:
        if operations.inside(descriptor):
            operations.point(name)
            with operations.looking():
                operations.synced.fsync(descriptor)
        original(descriptor)

    return call


def _save(operations: Operations, name: str, original: Any) -> Any:
    """`torch.save`, which leaves half of the file where it fails."""

    def call(values: Any, path: Any) -> None:
        if operations.inside(path):
            try:
                operations.point("torch.save")
            except BaseException:
                whole = io.BytesIO()
                original(values, whole)
                Path(path).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
                raise
        original(values, path)

    return call


WRAPPERS = {"open": _open, "fsync": _fsync, "save": _save}


class Watched:
    """A file, or a container of PyAV, that is written to."""

    def __init__(self, operations: Operations, file: Any, library: bool) -> None:
        self._operations, self._file, self._library = operations, file, library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: Any) -> int:
        """Half of the data, where it fails."""
        try:
            self._operations.point("write")
        except BaseException:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise
        return int(self._file.write(data))

    def flush(self) -> None:
        self._operations.point("flush")
        self._file.flush()

    def mux(self, packets: Any) -> None:
        self._operations.point("mux")
        self._file.mux(packets)

    def close(self) -> None:
        try:
            self._operations.point("mux" if self._library else "close")
        finally:
            self._file.close()


class Synced:
    """What of a folder a power cut leaves: the names at the last sync of a folder or those of now, and of each file
    what it held when it was synced. All that was there at first is on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._number: dict[int, int] = {}
        """Inode -> a number that is never used again, as inodes are."""
        self._content: dict[int, bytes] = {}
        self._next = 0
        for path in _walk(root):
            if path.is_file():
                self._content[self._new(path.stat().st_ino)] = path.read_bytes()
        self._names = self._now()

    def _new(self, inode: int) -> int:
        self._next += 1
        self._number[inode] = self._next
        return self._next

    def _now(self) -> dict[str, int | None]:
        names: dict[str, int | None] = {}
        for path in _walk(self.root):
            found = path.stat()
            number = None
            if path.is_file():
                number = self._number.get(found.st_ino) or self._new(found.st_ino)
            names[str(path.relative_to(self.root))] = number
        return names

    def made(self, path: Any) -> None:
        """A new file."""
        self._new(os.stat(path).st_ino)

    def fsync(self, descriptor: int) -> None:
        """A file or a folder reaches the disk."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._names = self._now()
            return
        inode = os.fstat(descriptor).st_ino
        number = self._number.get(inode) or self._new(inode)
        self._content[number] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def trees(self) -> list[Tree]:
        """What a power cut leaves at this moment: the names of the last sync, and those of now."""
        return [
            {name: None if number is None else self._content.get(number, b"") for name, number in names.items()}
            for names in (self._names, self._now())
        ]


def _walk(root: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(root):
        found += [Path(folder) / name for name in (*folders, *files)]
    return sorted(found)


def tree_of(root: Path) -> Tree:
    """What a killed process leaves at this moment."""
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in _walk(root)}


def lay(tree: Tree, root: Path) -> None:
    """Makes a folder hold just these files."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name, content in tree.items():
        if content is None:
            (root / name).mkdir(parents=True, exist_ok=True)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)


def hidden(root: Path) -> list[str]:
    """Half-written files, ours and those of libraries."""
    return [name for name in tree_of(root) if Path(name).name.startswith(".")]
