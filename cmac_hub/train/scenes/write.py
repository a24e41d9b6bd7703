"""`train scenes`: sounding scenes as files, for whoever wants to grade another network on them.

    python -m cmac_hub.train scenes --data DATA --split test --level hard --count 100 -o scenes/

`scene_00000.mp4` has video and audio; `scene_00000.npz` the truth: `masks` (T, H, W) bool, where the source is in
each frame, `boxes` (T, 4) its x0, y0, x1, y1 there (shares of the picture, NaN where it is not), and `dominance`
(F, S) bool, which time-frequency cells it dominates (the mel bands of `cmac-nano`).
`scenes.csv` names what sounds, how many distractors there are, and the source's box in the middle frame (shares of
the picture).
Without `--data` the package draws everything itself. The same seed gives the same scenes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmac_hub.config import architecture
from cmac_hub.errors import CMACError
from cmac_hub.files import make_folder, replacing
from cmac_hub.media import write_video
from cmac_hub.train.scenes.compose import Scene, Scenes
from cmac_hub.train.scenes.dominance import dominance
from cmac_hub.train.scenes.library import SAMPLE_RATE, Library
from cmac_hub.train.scenes.settings import EASY, HARD, MEDIUM, SceneSettings
from cmac_hub.train.writing import write_json, writing

LEVELS = {"easy": EASY, "medium": MEDIUM, "hard": HARD}

MOST_DISTRACTORS = 8
"""Of a scene, at most."""

FASTEST = 240
"""Frames a second, at most."""

COLUMNS = ["file", "thing", "distractors", "x0", "y0", "x1", "y1"]


def settings_of(
    level: str,
    size: int,
    seconds: float,
    frame_rate: float,
    offscreen: float,
    blur: float,
    distractors: tuple[int, int] | None = None,
    background_level: tuple[float, float] | None = None,
) -> SceneSettings:
    """The settings of a level at another size and length.

    Raises:
        CMACError: an unknown level, a size below 16 pixels, a length or rate that is not positive or too large, a share
            that is none, a range that falls, or too many distractors.
    """
    if level not in LEVELS:
        raise CMACError(f"unknown level {level!r}; accepted are {', '.join(LEVELS)}")
    if size < 16 or not 0.1 <= seconds <= 60 or not 0 < frame_rate <= FASTEST:
        raise CMACError(
            f"size {size}, seconds {seconds:g}, frame rate {frame_rate:g}: accepted are at least 16 pixels, "
            f"0.1 to 60 seconds, and more than 0 to {FASTEST} hertz"
        )
    for name, share in (("offscreen", offscreen), ("blur", blur)):
        if not 0 <= share <= 1:
            raise CMACError(f"{name} is {share:g}; it must be a share of the scenes, from 0 to 1")
    frames = max(1, round(seconds * frame_rate))
    settings = replace(LEVELS[level], size=size, frames=frames, seconds=seconds, offscreen=offscreen, blur=blur)
    if distractors is not None:
        settings = replace(settings, distractors=distractors)
    if background_level is not None:
        settings = replace(settings, background_sound=1.0, background_level=background_level)
    for name in ("distractors", "background_level"):
        low, high = getattr(settings, name)
        if not -math.inf < low <= high < math.inf:
            raise CMACError(f"{name} from {low} to {high}; they must be numbers, the first not the larger")
    if not 0 <= settings.distractors[0] <= settings.distractors[1] <= MOST_DISTRACTORS:
        raise CMACError(
            f"{settings.distractors} distractors; accepted are 0 to {MOST_DISTRACTORS}: more would hide each other"
        )
    return settings


def box_of(mask_HW: np.ndarray) -> tuple[float, float, float, float] | None:
    """x0, y0, x1, y1 as shares of the picture around all that is True; None where nothing is."""
    if not mask_HW.any():
        return None
    rows, columns = np.flatnonzero(mask_HW.any(1)), np.flatnonzero(mask_HW.any(0))
    height, width = mask_HW.shape
    return (
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )


def write_scene(scene: Scene, path: Path, frame_rate: float) -> None:
    """One scene as `path` (.mp4) and its truth beside it (.npz)."""
    height, width = scene.frames_THWC.shape[1:3]
    sound = scene.waveform, SAMPLE_RATE
    write_video(path, scene.frames_THWC, frame_rate, *sound, size=(width, height), overwrite=True)
    boxes_T4 = np.array([box_of(mask) or (np.nan,) * 4 for mask in scene.masks_THW], np.float32)
    truth = {
        "masks": scene.masks_THW,
        "boxes": boxes_T4,
        "dominance": dominance(scene, architecture("cmac-nano").require_audio()),
    }
    with replacing(path.with_suffix(".npz")) as temporary:
        np.savez_compressed(temporary, **truth)  # type: ignore[arg-type]


def write_scenes(
    library: Library, settings: SceneSettings, count: int, folder: Path, seed: int = 0, frame_rate: float = 8.0
) -> Path:
    """Writes scenes, their table and `settings.json`; scenes of the same settings that are there already stay.

    Returns:
        the table's path.

    Raises:
        CMACError: the folder holds scenes of other settings, things or seed.
    """
    make_folder(folder)
    things = [thing.name for thing in library.things]
    given = {"seed": seed, "frame_rate": frame_rate, "things": things, "library": _contents(library)}
    given |= json.loads(json.dumps(asdict(settings)))
    kept = folder / "settings.json"
    if kept.exists() and json.loads(kept.read_text(encoding="utf-8")) != given:
        raise CMACError(f"{folder} holds scenes of other settings, pictures or sounds; choose another folder")
    write_json(kept, given)
    table = folder / "scenes.csv"
    with writing(table) as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for index, scene in enumerate(tqdm(Scenes(library, [settings], count, seed), unit="scene", disable=None)):
            path = folder / f"scene_{index:05d}.mp4"
            if not path.exists() or not path.with_suffix(".npz").exists():
                write_scene(scene, path, frame_rate)
            box = box_of(scene.masks_THW[len(scene.masks_THW) // 2])
            corners = [f"{v:.4f}" for v in box] if box else [""] * 4
            rows.writerow([path.name, scene.thing, scene.distractors, *corners])
    return table


def _contents(library: Library) -> str:
    """Twelve hexadecimal digits of all pictures and sounds: another split has the same names."""
    digest = hashlib.sha256()
    for thing in library.things:
        for part in (*thing.pictures, *(sound.samples for sound in thing.sounds)):
            digest.update(np.ascontiguousarray(part).tobytes())
    for picture in (*library.distractors, *library.backgrounds):
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:12]
