"""Whose files are whose: each visitor's lie in a folder of their own, and go when they leave."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

STALE = 10.0
"""Seconds after somebody has left in which what they asked for is no longer done."""

VISITS = "visits"
"""The folder of what is found for visitors, beside those of uploads."""


class LeftError(Exception):
    """The visitor has left: nobody wants the rest."""


class Visits:
    """The files of everybody who has the page open.

    Args:
        root: a folder of the page's own, below which all files lie.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._uploads: dict[str, set[Path]] = {}
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()

    def home(self, visitor: str) -> Path:
        """The folder of a visitor, made when missing. Raises LeftError when they have only just left."""
        with self._lock:
            if time.monotonic() < self._left.get(visitor, 0.0) + STALE:
                raise LeftError
            home = self._home(visitor)
            home.mkdir(parents=True, exist_ok=True)
            return home

    def folder(self, visitor: str) -> Path:
        """A new, empty folder for what is found; of those before, the last one stays, which may be on the screen.

        It is gone as soon as the visitor has left: whoever still writes there may stop. Raises LeftError as `home`.
        """
        home = self.home(visitor)
        former = sorted(home.glob("found-*"), key=lambda folder: folder.stat().st_mtime)
        for folder in former[:-1]:
            shutil.rmtree(folder, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="found-", dir=home))

    def keep(self, visitor: str, upload: Path) -> None:
        """Remembers a file that a visitor has uploaded, in a folder of its own below the root; equal files of several
        visitors are one. What is none is left alone: its name comes from the browser."""
        folder = upload.resolve().parent
        if upload.is_file() and folder.parent == self.root.resolve() and folder.name != VISITS:
            with self._lock:
                self._uploads.setdefault(visitor, set()).add(upload)

    def leave(self, visitor: str) -> None:
        """Removes the files of a visitor. They may come back: a computer that wakes up does."""
        now = time.monotonic()
        with self._lock:
            self._left = {one: since for one, since in self._left.items() if now < since + STALE} | {visitor: now}
            shutil.rmtree(self._home(visitor), ignore_errors=True)
            theirs = self._uploads.pop(visitor, set())
            for upload in theirs.difference(*self._uploads.values()):
                # The folder is of all files with this content, whatever their names.
                with suppress(OSError):
                    upload.unlink()
                    upload.parent.rmdir()

    def _home(self, visitor: str) -> Path:
        # The name comes from the browser: it is no path.
        return self.root / VISITS / hashlib.sha256(visitor.encode()).hexdigest()[:16]
