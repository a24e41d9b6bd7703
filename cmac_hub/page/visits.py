"""Whose files are whose: each visitor's lie in a folder of their own, and go when they leave."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from pathlib import Path


class Visits:
    """The files of everybody who has the page open.

    Args:
        root: a folder of the page's own, below which all files lie.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._uploads: dict[str, set[Path]] = {}
        self._lock = threading.Lock()

    def folder(self, visitor: str, use: str) -> Path:
        """A new, empty folder; what the visitor had for the same use goes.

        It is gone as soon as the visitor has left: whoever still writes there may stop.
        """
        home = self._home(visitor)
        home.mkdir(parents=True, exist_ok=True)
        for former in home.glob(f"{use}-*"):
            shutil.rmtree(former, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f"{use}-", dir=home))

    def keep(self, visitor: str, upload: Path) -> None:
        """Remembers a file that a visitor has uploaded; equal files of several visitors are one."""
        if upload.resolve().is_relative_to(self.root.resolve()):
            with self._lock:
                self._uploads.setdefault(visitor, set()).add(upload)

    def leave(self, visitor: str) -> None:
        """Removes the files of a visitor."""
        shutil.rmtree(self._home(visitor), ignore_errors=True)
        with self._lock:
            theirs = self._uploads.pop(visitor, set())
            for upload in theirs.difference(*self._uploads.values()):
                shutil.rmtree(upload.parent, ignore_errors=True)

    def _home(self, visitor: str) -> Path:
        # The name comes from the browser: it is no path.
        return self.root / "visits" / hashlib.sha256(visitor.encode()).hexdigest()[:16]
