"""How collections name their videos: folders and lists, Kinetics-400, AudioSet -> what there is to index."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cmac_hub.media.find import find_inputs
from cmac_hub.train.videos.manifest import ManifestError


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


def find_candidates(source: Path, videos: Path | None = None) -> list[Candidate]:
    """What a source names.

    Args:
        source: a folder (searched; a file's parent folder is its label), a .txt with one path a line, or the official
            csv of Kinetics (`label,youtube_id,time_start,time_end,...`) or AudioSet (`YTID, start, end, labels`,
            comments with #).
        videos: the folder that is searched for the files of a csv.

    Raises:
        ManifestError: the source is none of these, or a csv without its folder.
    """
    if source.is_dir():
        return [
            Candidate(i.path, str(i.relative), "" if i.relative.parent == Path() else i.relative.parent.name)
            for i in find_inputs([str(source)])
        ]
    if not source.is_file():
        raise ManifestError(f"there is no folder or file {source}; give a folder of videos, a .txt list, or a .csv")
    if source.suffix == ".txt":
        lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()]
        return [Candidate(source.parent / line, line) for line in lines if line]
    if source.suffix != ".csv":
        raise ManifestError(f"{source} ends in {source.suffix!r}; accepted are folders, .txt lists and .csv files")
    if videos is None or not videos.is_dir():
        raise ManifestError(f"{source} names videos by id; say where they lie: --videos FOLDER")
    files = {one.path.stem: one.path for one in find_inputs([str(videos)])}
    with source.open(newline="", encoding="utf-8") as file:
        first = file.readline()
        file.seek(0)
        try:
            if "youtube_id" in first:
                return list(_kinetics(file, files))
            if first.startswith("#") or first.count(",") >= 3:
                return list(_audioset(file, files))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ManifestError(f"{source} has a line without an id and two times in seconds ({error})") from error
    raise ManifestError(
        f"{source} begins with {first.strip()[:60]!r}; expected Kinetics' (label,youtube_id,time_start,time_end) "
        "or AudioSet's (YTID, start_seconds, end_seconds, positive_labels) csv"
    )


def _kinetics(lines: Iterator[str], files: dict[str, Path]) -> Iterator[Candidate]:
    for row in csv.DictReader(lines):
        name, start, end = row["youtube_id"], float(row["time_start"]), float(row["time_end"])
        label = row.get("label", "")
        # Cut files carry their range in the name; a file of the bare id may be the cut or the whole video.
        cut = files.get(f"{name}_{int(start):06d}_{int(end):06d}")
        if cut is not None:
            yield Candidate(cut, cut.stem, label)
        else:
            yield Candidate(files.get(name), name, label, start, end)


def _audioset(lines: Iterator[str], files: dict[str, Path]) -> Iterator[Candidate]:
    for row in csv.reader(lines, skipinitialspace=True):
        if not row or row[0].startswith("#"):
            continue
        name, start, end, label = row[0], float(row[1]), float(row[2]), row[3] if len(row) > 3 else ""
        spans = f"{int(start)}", f"{int(start)}_{int(end)}", f"{int(start * 1000)}_{int(end * 1000)}"
        cuts = [files[stem] for span in spans for stem in (f"{name}_{span}", f"Y{name}_{span}") if stem in files]
        if cuts:
            yield Candidate(cuts[0], cuts[0].stem, label)
        else:
            yield Candidate(files.get(name) or files.get(f"Y{name}"), name, label, start, end)
