"""Labelled sounds for the linear probe: ESC-50, UrbanSound8K, DCASE 2013 and 2014, or any csv `file,label,fold`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmac_hub.errors import CMACError


@dataclass(frozen=True)
class LabelledSound:
    """One recording."""

    path: Path
    label: str
    fold: str
    """Recordings of one fold are tested together; "train" is never tested."""


@dataclass(frozen=True)
class Protocol:
    """How a set is cut (paper, section 4.2)."""

    crops: int
    """Crops of a recording, evenly over it; their scores are averaged."""
    seconds: float


PROTOCOLS = {
    "esc50": Protocol(10, 2.0),
    "urbansound8k": Protocol(10, 2.0),
    "dcase2013": Protocol(60, 1.0),
    "dcase2014": Protocol(60, 1.0),
    "csv": Protocol(10, 2.0),
}


def find_sounds(name: str, root: Path) -> list[LabelledSound]:
    """The recordings of a set.

    Args:
        name: "esc50", "urbansound8k" (the folds that are there), "dcase2013", "dcase2014", or "csv".
        root: the set's folder in its official layout; for ESC-50 and UrbanSound8K also `shared/data`'s; for "csv" the
            csv itself. The readers of DCASE follow the official layout and could not be tried on the real files.

    Raises:
        CMACError: a missing folder or file, a csv with another header, or a set without any recording.
    """
    readers = {"esc50": _esc50, "urbansound8k": _urbansound8k, "csv": _generic}
    if name.startswith("dcase"):
        found = list(_dcase(root))
    elif name in readers:
        found = list(readers[name](root))
    else:
        raise CMACError(f"unknown set {name!r}; accepted are {', '.join(PROTOCOLS)}")
    if not found:
        raise CMACError(f"{root} holds no recording of {name}; give the set's own folder")
    gone = [one.path for one in found if not one.path.exists()]
    if gone:
        raise CMACError(f"{len(gone)} of {len(found)} recordings of {name} are missing, the first is {gone[0]}")
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise CMACError(f"there is no file {path}; give the set's own folder")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or [])]
        if missing:
            raise CMACError(f"{path} has no column {', '.join(missing)}; found {', '.join(reader.fieldnames or [])}")
        yield from reader


def _esc50(root: Path) -> Iterator[LabelledSound]:
    official = root / "meta" / "esc50.csv"
    for row in _rows(official if official.exists() else root / "esc50.csv", ("filename", "fold", "category")):
        yield LabelledSound(root / "audio" / row["filename"], row["category"], row["fold"])


def _urbansound8k(root: Path) -> Iterator[LabelledSound]:
    official = root / "metadata" / "UrbanSound8K.csv"
    if official.exists():
        for row in _rows(official, ("slice_file_name", "fold", "class")):
            folder = root / "audio" / f"fold{row['fold']}"
            yield LabelledSound(folder / row["slice_file_name"], row["class"], row["fold"])
        return
    for row in _rows(root / "urbansound8k.csv", ("filename", "fold", "category")):
        yield LabelledSound(root / row["filename"], row["category"], row["fold"])


def _dcase(root: Path) -> Iterator[LabelledSound]:
    """scenes_stereo/ trains and scenes_stereo_testset/ tests; files are LABEL + number.wav."""
    for folder, fold in (("scenes_stereo", "train"), ("scenes_stereo_testset", "test")):
        for path in sorted((root / folder).glob("*.wav")):
            yield LabelledSound(path, path.stem.rstrip("0123456789").rstrip("_"), fold)


def _generic(table: Path) -> Iterator[LabelledSound]:
    for row in _rows(table, ("file", "label", "fold")):
        yield LabelledSound(table.parent / row["file"], row["label"], row["fold"])
