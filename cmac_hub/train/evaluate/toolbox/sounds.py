"""Labeled sounds for the linear probe: ESC-50, UrbanSound8K, DCASE 2013 and 2014, or any csv `file,label,fold`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cmac_hub.errors import CMACError
from cmac_hub.text import Table, legible, named_file
from cmac_hub.train.evaluate.sets import find_set


@dataclass(frozen=True)
class LabeledSound:
    """One recording."""

    path: Path
    label: str
    fold: str
    """Recordings of one fold are tested together; "train" is never tested."""


def find_sounds(name: str, root: Path) -> list[LabeledSound]:
    """The recordings of a set of the probe.

    Args:
        name: of `cmac_hub.train.evaluate.sets`.
        root: the set's folder in its official layout, or in the collected one; for "csv" the csv itself.

    Raises:
        CMACError: a missing folder or file, a csv with another header, or a set without any recording.
    """
    found = list(find_set("probe", name).function()(root))
    if not found:
        raise CMACError(f"{root} holds no recording of {name}; give the set's own folder")
    gone = [one.path for one in found if not one.path.exists()]
    if gone:
        raise CMACError(f"{len(gone)} of {len(found)} recordings of {name} are missing, the first is {gone[0]}")
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise CMACError(f"there is no file {path}; give the set's own folder")
    table = Table(path)
    if missing := [name for name in columns if name not in table.columns]:
        raise CMACError(f"{path} has no column {', '.join(missing)}; found {legible(', '.join(table.columns))}")
    for row in table:
        if any(row[name] is None for name in columns):
            raise CMACError(f"{path}, line {table.line} is shorter than the header; expected {','.join(columns)}")
        yield row


def read_esc50(root: Path) -> Iterator[LabeledSound]:
    """audio/ with meta/esc50.csv, or esc50.csv beside it."""
    official = root / "meta" / "esc50.csv"
    for row in _rows(official if official.exists() else root / "esc50.csv", ("filename", "fold", "category")):
        yield LabeledSound(root / "audio" / row["filename"], row["category"], row["fold"])


def read_urbansound8k(root: Path) -> Iterator[LabeledSound]:
    """audio/foldN/ with metadata/UrbanSound8K.csv, or files beside urbansound8k.csv."""
    official = root / "metadata" / "UrbanSound8K.csv"
    if official.exists():
        for row in _rows(official, ("slice_file_name", "fold", "class")):
            folder = root / "audio" / f"fold{row['fold']}"
            yield LabeledSound(folder / row["slice_file_name"], row["class"], row["fold"])
        return
    for row in _rows(root / "urbansound8k.csv", ("filename", "fold", "category")):
        yield LabeledSound(root / row["filename"], row["category"], row["fold"])


def read_dcase(root: Path) -> Iterator[LabeledSound]:
    """scenes_stereo/ trains and scenes_stereo_testset/ tests; files are LABEL + number.wav.

    As the official layout says; it could not be tried on the real files.
    """
    for folder, fold in (("scenes_stereo", "train"), ("scenes_stereo_testset", "test")):
        for path in sorted((root / folder).glob("*.wav")):
            yield LabeledSound(path, path.stem.rstrip("0123456789").rstrip("_"), fold)


def read_csv(table: Path) -> Iterator[LabeledSound]:
    """A csv file,label,fold; files are relative to it."""
    for row in _rows(table, ("file", "label", "fold")):
        yield LabeledSound(named_file(table.parent / row["file"]), legible(row["label"]), row["fold"])
