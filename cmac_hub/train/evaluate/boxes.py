"""Boxes around what sounds in real videos: of VGG-SS, of Flickr-SoundNet, of any csv, or our own.

    python -m cmac_hub.train localize --on vggss --data vggss.json --videos FOLDER

Flickr-SoundNet's and VGG-SS's readers follow the official layouts; only VGG-SS's file of boxes could be tried here.
"""

from __future__ import annotations

import csv
import math
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from cmac_hub.errors import CMACError
from cmac_hub.media.find import VIDEO_SUFFIXES
from cmac_hub.text import Table, legible, named_file, read_json
from cmac_hub.train.evaluate.toolbox.metrics import Box, box_mask, consensus_mask
from cmac_hub.train.scenes.real_shots import held_out_shots
from cmac_hub.train.scenes.splits import Split

SHOT_BOXES = {"clips": "real_boxes.csv", "clips_more": "real_boxes_more.csv"}
"""Folder of real shots -> our boxes of them, beside this file."""


@dataclass(frozen=True)
class BoxedClip:
    """One moment of one video, with what sounds there."""

    path: Path
    time: float | None
    """Seconds on the container's clock; None is the middle of the file."""
    boxes: tuple[Box, ...]
    consensus: bool = False
    """Whether the boxes are several people's answers, of which two must agree; else all of them count."""

    def truth(self) -> np.ndarray:
        """(SIDE, SIDE), above 0 where they are, see `metrics.py`."""
        return (consensus_mask if self.consensus else box_mask)(self.boxes)


def shot_boxes(data: Path, split: Split = "test") -> dict[str, list[BoxedClip]]:
    """Our own boxes of the real shots of a split, by folder; a folder that is not there is left out.

    Raises:
        CMACError: see `held_out_shots`.
    """
    found = {}
    for folder, table in SHOT_BOXES.items():
        shots = {shot.path.name: shot.path for shot in held_out_shots(data, split) if shot.folder == folder}
        text = (resources.files("cmac_hub.train.evaluate") / table).read_text(encoding="utf-8")
        rows = [row for row in csv.DictReader(text.splitlines()) if row["file"] in shots]
        found[folder] = _rows_to_clips(rows, shots.__getitem__)
    return {folder: clips for folder, clips in found.items() if clips}


def csv_boxes(table: Path, videos: Path) -> list[BoxedClip]:
    """A csv `file,x0,y0,x1,y1`, one box a line, corners as shares of the picture; `time` (seconds) may be missing.

    `file` is a file name in the folder `videos`, with or without its ending.

    Raises:
        CMACError: the csv is missing, has another header, or a corner is no number.
    """
    try:
        found = _rows_to_clips(Table(Path(table)), lambda name: _named(videos, name))
        if not found:
            raise ValueError("no line with a box")
        return found
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CMACError(f"{table} is no csv of file,x0,y0,x1,y1 in shares of the picture ({error!r})") from error


def _rows_to_clips(rows: Iterable[dict[str, str]], find: Callable[[str], Path]) -> list[BoxedClip]:
    boxes: dict[tuple[str, float | None], list[Box]] = defaultdict(list)
    for row in rows:
        x0, y0, x1, y1 = (float(row[name]) for name in ("x0", "y0", "x1", "y1"))
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise ValueError(f"{row['file']} has the corners {x0:g}, {y0:g}, {x1:g}, {y1:g}")
        if row.get("time") and not math.isfinite(float(row["time"])):
            raise ValueError(f"{row['file']} has the time {row['time']}")
        boxes[row["file"], float(row["time"]) if row.get("time") else None].append((x0, y0, x1, y1))
    return [BoxedClip(find(file), time, tuple(found)) for (file, time), found in boxes.items()]


def _named(videos: Path, name: str) -> Path:
    file = named_file(videos / name)
    return file if file.is_file() else _find(videos, legible(name))


def vggss_boxes(annotations: Path, videos: Path) -> list[BoxedClip]:
    """The official `vggss.json` (file, bbox in shares of the picture) with videos named as in it.

    Raises:
        CMACError: the json is missing or of another form.
    """
    try:
        rows = read_json(Path(annotations))
        return [BoxedClip(_find(videos, row["file"]), None, tuple(map(tuple, row["bbox"]))) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CMACError(f"{annotations} is not VGG-SS's json of 'file' and 'bbox' ({error})") from error


def flickr_boxes(annotations: Path, videos: Path) -> list[BoxedClip]:
    """The official folder of xml files, one a video, boxes of three annotators in pixels of 256 x 256, of
    whom two must agree; or a csv.

    Raises:
        CMACError: the folder holds no xml, or one of another form; see also `csv_boxes`.
    """
    if Path(annotations).suffix == ".csv":
        return csv_boxes(annotations, videos)
    files = sorted(Path(annotations).glob("*.xml"))
    if not files:
        raise CMACError(f"{annotations} holds no .xml; give Flickr-SoundNet's folder of annotations")
    clips = []
    for file in files:
        try:
            found = []
            for box in ElementTree.parse(file).getroot().iter("bbox"):
                # The first child names the box, the four after it are its corners.
                found.append(tuple(int(child.text or "") / 256 for child in list(box)[-4:]))
            boxes: tuple[Box, ...] = tuple(found)  # type: ignore[arg-type]
            clips.append(BoxedClip(_find(videos, file.stem), None, boxes, consensus=True))
        except (ElementTree.ParseError, ValueError) as error:
            raise CMACError(f"{file} is no annotation of Flickr-SoundNet ({error})") from error
    return clips


def _find(folder: Path, name: str) -> Path:
    found = [path for suffix in sorted(VIDEO_SUFFIXES) if (path := folder / f"{name}{suffix}").exists()]
    return found[0] if found else folder / f"{name}.mp4"
