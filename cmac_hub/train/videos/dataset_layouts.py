"""How collections name their videos: folders and lists, Kinetics, AudioSet, VGG-Sound -> what there is to index."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cmac_hub.media.find import VIDEO_SUFFIXES, find_inputs
from cmac_hub.text import legible, lines_of, named_file, read_text
from cmac_hub.train.videos.manifest import ManifestError

CUT = 10.0
"""Seconds of a cut of VGG-Sound, whose csv names its start alone."""


class Candidate(NamedTuple):
    """A video that a collection names; `path` is None where its file was not found."""

    path: Path | None
    name: str
    label: str = ""
    start: float | None = None
    """Seconds of the stretch that the collection means, if the file holds more than it."""
    end: float | None = None

    @property
    def key(self) -> str:
        """Tells it from the others of its collection, which may mean several stretches of one video."""
        return self.name if self.start is None else f"{self.name} {self.start:g}-{self.end:g}"


@dataclass(frozen=True)
class _Named:
    """A line of a csv."""

    id: str
    start: float
    end: float
    label: str
    split: str = ""

    def __post_init__(self) -> None:
        if not (self.id and 0 <= self.start < self.end < float("inf")):
            raise ValueError(f"{self.id!r} from {self.start} to {self.end}")


def find_candidates(source: Path, videos: Path | None = None, split: str | None = None) -> list[Candidate]:
    """What a source names.

    Args:
        source: a folder (searched; a file's parent folder is its label), a .txt with one path a line, or the official
            csv of Kinetics (`label,youtube_id,time_start,time_end,split`), AudioSet (`YTID, start, end, labels`,
            comments with #) or VGG-Sound (`id,start,label,split`, ten seconds each); of any encoding that
            `cmac_hub.text` knows.
        videos: the folder that is searched for the files of a csv. A video is taken before a sound of the same name,
            the first in order of path before others.
        split: of the csv; None takes all of them, with a warning where it names several.

    Raises:
        ManifestError: the source is none of these, or a csv without its folder, or without that split.
    """
    if source.is_dir():
        return [
            Candidate(i.path, str(i.relative), "" if i.relative.parent == Path() else legible(i.relative.parent.name))
            for i in find_inputs([str(source)])
        ]
    if not source.is_file():
        raise ManifestError(f"there is no folder or file {source}; give a folder of videos, a .txt list, or a .csv")
    if source.suffix == ".txt":
        return [Candidate(named_file(source.parent / line), line) for line in lines_of(source)]
    if source.suffix != ".csv":
        raise ManifestError(f"{source} ends in {source.suffix!r}; accepted are folders, .txt lists and .csv files")
    if videos is None or not videos.is_dir():
        raise ManifestError(f"{source} names videos by id; say where they lie: --videos FOLDER")
    named = _of_split(_read(source), source, split)
    files: dict[str, Path] = {}
    for one in sorted(find_inputs([str(videos)]), key=lambda one: one.path.suffix.lower() not in VIDEO_SUFFIXES):
        files.setdefault(one.path.stem, one.path)
    return [_find(one, files) for one in named]


def _read(source: Path) -> list[_Named]:
    text = read_text(source)
    lines = [line for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("#")), "")
    # Some spreadsheets put other signs between cells.
    delimiter = max(",;\t", key=first.count)
    try:
        if "youtube_id" in first:
            return [
                _Named(
                    row["youtube_id"], float(row["time_start"]), float(row["time_end"]),
                    legible(row.get("label") or ""), row.get("split") or "",
                )
                for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
            ]  # fmt: skip
        if lines[:1] != [first] or first.count(delimiter) >= 3:
            return list(_without_header(csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)))
    except (csv.Error, ValueError, KeyError, IndexError, TypeError) as error:
        raise ManifestError(
            f"{source} has a line without an id and two times in seconds, or a start, a label and a split ({error})"
        ) from error
    raise ManifestError(
        f"{source} begins with {legible(first.strip()[:60])!r}; expected the csv of Kinetics "
        "(label,youtube_id,time_start,time_end), AudioSet (YTID, start_seconds, end_seconds, positive_labels) or "
        "VGG-Sound (id,start,label,split)"
    )


def _without_header(rows: Iterator[list[str]]) -> Iterator[_Named]:
    """AudioSet and VGG-Sound: the third cell is the end, or the label."""
    for row in rows:
        if not row or row[0].startswith("#"):
            continue
        name, start = row[0], float(row[1])
        if (end := _number(row[2])) is not None:
            yield _Named(name, start, end, legible(row[3]) if len(row) > 3 else "")
        else:
            yield _Named(name, start, start + CUT, legible(row[2]), row[3])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _of_split(named: list[_Named], source: Path, split: str | None) -> list[_Named]:
    splits = sorted({one.split for one in named} - {""})
    if split is None:
        if len(splits) > 1:
            warnings.warn(
                f"{source} has the splits {', '.join(splits)}: all are taken; for one of them say --split NAME",
                stacklevel=3,
            )
        return named
    if split not in splits:
        raise ManifestError(f"{source} has no split {split!r}; it has {', '.join(splits) or 'none'}")
    return [one for one in named if one.split == split]


def _find(one: _Named, files: dict[str, Path]) -> Candidate:
    """Cut files carry their range in the name; a file of the bare id may be the cut or the whole video."""
    start, end = int(one.start), int(one.end)
    spans = (
        f"{start:06d}_{end:06d}", f"{start:06d}", f"{start}_{end}", f"{start}", f"{start * 1000}_{end * 1000}",
    )  # fmt: skip
    names = [f"{letter}{name}" for name in dict.fromkeys((one.id, legible(one.id))) for letter in ("", "Y")]
    for name in names:
        for span in spans:
            if cut := files.get(f"{name}_{span}"):
                return Candidate(cut, cut.stem, one.label)
    whole = next((files[name] for name in names if name in files), None)
    return Candidate(whole, one.id, one.label, one.start, one.end)
