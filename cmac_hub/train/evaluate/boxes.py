"""Localization on real videos with boxes: boxes of ours on the shots of `clips`, VGG-SS, Flickr-SoundNet, or any csv.

    python -m cmac_hub.train localize --on clips --data DATA
    python -m cmac_hub.train localize --on vggss --data vggss.json --videos FOLDER

Flickr-SoundNet's and VGG-SS's readers follow the official layouts; only VGG-SS's file of boxes could be tried here.
"""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cmac_hub.config import Map
from cmac_hub.errors import CMACError, MediaError
from cmac_hub.media import probe
from cmac_hub.media.find import VIDEO_SUFFIXES
from cmac_hub.model import CMAC
from cmac_hub.moments import observe
from cmac_hub.train.evaluate.toolbox.metrics import Box, BoxScores, box_mask, consensus_mask, rivals, score_maps
from cmac_hub.train.evaluate.toolbox.untrained import random_weights


@dataclass(frozen=True)
class BoxedClip:
    """One moment of one video, with what sounds there."""

    path: Path
    time: float | None
    """Seconds on the container's clock; None is the middle of the file."""
    boxes: tuple[Box, ...]
    consensus: bool = False
    """Whether the boxes are several people's answers, of which two must agree; else all of them count."""


def shot_boxes(data: Path, videos: Path | None = None) -> list[BoxedClip]:
    """The boxes that lie in the package, of shots in `data/clips` of groups that training never uses.

    Raises:
        CMACError: there is no folder `clips`.
    """
    folder = Path(data) / "clips"
    if not folder.is_dir():
        raise CMACError(f"{data} has no folder 'clips'; give the folder that holds clips/clips.csv")
    text = (resources.files("cmac_hub.train.evaluate") / "real_boxes.csv").read_text(encoding="utf-8")
    return _rows_to_clips(csv.DictReader(text.splitlines()), lambda name: folder / name)


def csv_boxes(table: Path, videos: Path) -> list[BoxedClip]:
    """A csv `file,x0,y0,x1,y1`, one box a line, corners as shares of the picture; `time` (seconds) may be missing.

    `file` is a file name in the folder `videos`, with or without its ending.

    Raises:
        CMACError: the csv is missing, has another header, or a corner is no number.
    """
    try:
        with Path(table).open(newline="", encoding="utf-8-sig") as file:
            found = _rows_to_clips(csv.DictReader(file), lambda name: _named(videos, name))
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
        boxes[row["file"], float(row["time"]) if row.get("time") else None].append((x0, y0, x1, y1))
    return [BoxedClip(find(file), time, tuple(found)) for (file, time), found in boxes.items()]


def _named(videos: Path, name: str) -> Path:
    return videos / name if (videos / name).is_file() else _find(videos, name)


def vggss_boxes(annotations: Path, videos: Path) -> list[BoxedClip]:
    """The official `vggss.json` (file, bbox in shares of the picture) with videos named as in it.

    Raises:
        CMACError: the json is missing or of another form.
    """
    try:
        rows = json.loads(Path(annotations).read_text(encoding="utf-8"))
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


def predict_clip(model: CMAC, clip: BoxedClip) -> dict[Map, np.ndarray]:
    """Both maps (H, W) fp32 over the whole displayed picture, of the window around the clip's time.

    Raises:
        MediaError: the file cannot be read or lacks video or audio.
    """
    info = probe(clip.path)
    if not info.has_video or not info.has_audio:
        raise MediaError(f"{clip.path} lacks video or audio")
    window = model.config.window
    time = info.start + (info.duration or window) / 2 if clip.time is None else clip.time
    limits = {"start": time - window / 2, "stop": time + window / 2}
    maps = next(observe(model, info, "guidance", window=window, hop=window, **limits)).attention
    assert maps.visual_guidance is not None and maps.visual_prediction is not None
    guidance, prediction = (one.mean(0).cpu().numpy() for one in (maps.visual_guidance, maps.visual_prediction))
    return {"guidance": guidance, "prediction": prediction}


def evaluate_boxes(model: CMAC, clips: Sequence[BoxedClip], *, progress: bool = True) -> dict[str, Any]:
    """Scores of both maps, of random weights and of the trivial rivals on the same videos.

    Returns:
        {"scores": name -> BoxScores, "missing": names of videos that could not be read}. Missing videos are neither
        hits nor misses.

    Raises:
        CMACError: no video could be read.
    """
    untrained = random_weights(model.config, device=model.device)
    heats: dict[str, list[np.ndarray]] = defaultdict(list)
    truths, missing = [], []
    for clip in tqdm(clips, disable=not progress, unit="clip"):
        try:
            ours, theirs = predict_clip(model, clip), predict_clip(untrained, clip)
        except MediaError:
            missing.append(clip.path.name)
            continue
        for name, heat in ours.items():
            heats[name].append(heat)
        for name, heat in theirs.items():
            heats[f"random weights ({name})"].append(heat)
        truths.append((consensus_mask if clip.consensus else box_mask)(clip.boxes))
    if not truths:
        raise CMACError(
            f"none of the {len(clips)} videos could be read, the first is {clips[0].path if clips else '-'}"
        )
    shift = model.config.require_visual().map_shift
    scores: dict[str, BoxScores] = {name: score_maps(found, truths, shift) for name, found in heats.items()}
    return {"scores": scores | rivals(truths), "missing": missing}
