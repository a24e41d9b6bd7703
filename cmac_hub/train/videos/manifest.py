"""A manifest: the videos of a training set in one csv, `path,start,end,label,group`, times in seconds.

In memory a million lines are a few flat arrays, which worker processes share instead of copying.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmac_hub.errors import CMACError
from cmac_hub.text import AS_BYTES, Table, legible, named_file

COLUMNS = ["path", "start", "end", "label", "group"]


class ManifestError(CMACError, ValueError):
    """A manifest that is missing, empty, or has a line that cannot be understood."""


class Segment(NamedTuple):
    """One line: a stretch of one video."""

    path: str
    start: float
    """Seconds on the container's clock."""
    end: float
    label: str
    group: str
    video: int
    """The same for all segments of one file."""


class Texts:
    """A list of texts in one buffer: reading it touches no Python object that a forked worker would copy."""

    def __init__(self, texts: list[str]) -> None:
        encoded = [text.encode("utf-8", AS_BYTES) for text in texts]
        self._bytes = np.frombuffer(b"".join(encoded), np.uint8)
        self._ends = np.cumsum([0] + [len(one) for one in encoded], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        return self._bytes[self._ends[index] : self._ends[index + 1]].tobytes().decode("utf-8", AS_BYTES)


class Manifest:
    """Segments by number. Paths that are relative start at the manifest's folder."""

    def __init__(self, segments: list[tuple[str, float, float, str, str]]) -> None:
        numbers: dict[str, int] = {}
        self._video = np.array([numbers.setdefault(row[0], len(numbers)) for row in segments], np.int64)
        self._paths = Texts(list(numbers))
        self._times = np.array([(row[1], row[2]) for row in segments], np.float64).reshape(-1, 2)
        self._labels, self._groups = Texts([row[3] for row in segments]), Texts([row[4] for row in segments])

    def __len__(self) -> int:
        return len(self._video)

    def hash(self) -> str:
        """Twelve hexadecimal digits that tell one list of segments from another, wherever the videos lie."""
        digest = hashlib.sha256()
        for part in (self._video, self._times):
            digest.update(part.tobytes())
        for index in range(len(self._paths)):
            digest.update(Path(self._paths[index]).name.encode("utf-8", AS_BYTES) + b"/")
        return digest.hexdigest()[:12]

    def path(self, video: int) -> str:
        """The file of that number, see `Segment.video`."""
        return self._paths[video]

    def __getitem__(self, index: int) -> Segment:
        video = int(self._video[index])
        start, end = (float(time) for time in self._times[index])
        return Segment(self._paths[video], start, end, self._labels[index], self._groups[index], video)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Reads a csv of any encoding that `cmac_hub.text` knows.

        Raises:
            ManifestError: there is no such file, a column is missing, a time is no number, or no line is left.
        """
        if not path.is_file():
            raise ManifestError(
                f"there is no manifest {path}; make one: python -m cmac_hub.train index FOLDER -o {path}"
            )
        rows, table = [], Table(path)
        if missing := [name for name in COLUMNS[:3] if name not in table.columns]:
            raise ManifestError(f"{path} has no column {', '.join(missing)}; expected {','.join(COLUMNS)}")
        for row in table:
            try:
                start, end = float(row["start"]), float(row["end"])
            except (TypeError, ValueError):
                raise ManifestError(
                    f"{path}, line {table.line}: start {row['start']!r}, end {row['end']!r}; expected seconds"
                ) from None
            if not 0 <= end - start < float("inf"):
                raise ManifestError(f"{path}, line {table.line}: the end {end} comes before the start {start}")
            video = str(named_file(path.parent / row["path"]))
            rows.append((video, start, end, legible(row.get("label") or ""), legible(row.get("group") or "")))
        if not rows:
            raise ManifestError(f"{path} lists no video; make one: python -m cmac_hub.train index FOLDER -o {path}")
        return cls(rows)
