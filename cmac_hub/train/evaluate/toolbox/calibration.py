"""What a released network is drawn with, measured on validation scenes: where drawing starts and saturates, and how far
its visual maps lie off."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from cmac_hub.config import HEARING
from cmac_hub.drawing import VISIBLE
from cmac_hub.geometry import Shift
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.scene_maps import (
    ScenePredictions,
    make_absent,
    make_scenes,
    on_source,
    predict_scenes,
    source_shares,
)
from cmac_hub.train.scenes.compose import Scene
from cmac_hub.train.scenes.dominance import dominance
from cmac_hub.train.scenes.library import Library

SHIFTS = np.linspace(-0.8, 0.8, 65)
"""Cells by which a map may lie off."""

FEWEST_CELLS = 6
"""Along an axis; on fewer nothing is left to compare once both borders are out."""

Limits = tuple[float, float]

NARROWEST = 0.02
"""By how much `high` is above `low`, at least."""

LIT = 0.95
"""Share of the real validation shots that are to light up, so that four in five of others do: with thirty shots that is
a margin of two standard errors. Where it asks for a lower limit than scenes do, it is taken."""


def calibrate(
    model: CMAC, library: Library, shots: Mapping[str, Sequence[np.ndarray]] | None = None, count: int = 300
) -> dict[str, Limits]:
    """Where drawing starts and saturates.

    Args:
        model: in eval mode.
        library: of known things of the validation split.
        shots: name of a visual map -> (H, W) of each real validation shot, if there are any.
        count: scenes with the source in the picture, and as many without.

    Returns:
        for each field of `DisplayConfig` that has limits (low, high). Guidance and joint compare both streams: `low`
        leaves nine tenths of the scenes dark whose source is not in the picture. Prediction does not: nine tenths of
        the places outside of a source (of the cells that it does not dominate) lie below its `low`. Half of the sources
        have a peak above `high`, which is at least `low` + `NARROWEST`. With real shots the `high` of visual maps that
        compare both is the median of their peaks, and `low` is low enough for `LIT` of them to be seen; prediction's
        `high` is the mean of both medians.
    """
    scenes = make_scenes(library, model.config, count, 54321)
    found = predict_scenes(model, scenes)
    absent = predict_scenes(model, make_absent(library, model.config, count, 54322))
    visual_NHW = source_shares(found.visual_strength_NHW.shape[1:], scenes, found.shift)
    audio_NFS = dominated_shares(model, found.audio_strength_NFS.shape[1:], scenes)
    limits = {}
    for modality, there, off_screen, shares in (
        ("visual", found.visual_NHW, absent.visual_NHW, visual_NHW),
        ("audio", found.audio_NFS, absent.audio_NFS, audio_NFS),
    ):
        for which, maps in there.items():
            must_be_dark = off_screen[which].max((1, 2)) if which in HEARING else maps[shares < 0.05]
            peaks = [one[on].max() for one, on in zip(maps, on_source(shares), strict=True)]
            low, high = float(np.quantile(must_be_dark, 0.9)), float(np.median(peaks))
            if shots is not None and modality == "visual":
                reached = [float(one.max()) for one in shots[which]]
                if which in HEARING:
                    seen, high = (float(value) for value in np.quantile(reached, [1 - LIT, 0.5]))
                    # Or what `NARROWEST` adds to `high` would come on top of what `low` is reckoned from.
                    high = max(high, seen + NARROWEST * (255 - VISIBLE) / 255)
                    # So much below the quantile that its strength is the least that is seen.
                    low = min(low, seen - (high - seen) * VISIBLE / (255 - VISIBLE))
                else:
                    high = (high + float(np.median(reached))) / 2
            limits[f"{modality}_{which}"] = (round(low, 3), round(max(high, low + NARROWEST), 3))
    return limits


def dominated_shares(model: CMAC, cells: tuple[int, ...], scenes: Sequence[Scene]) -> np.ndarray:
    """(N, F', S'): the share of each cell of the audio maps that the source dominates."""
    rows, columns = cells
    config = model.config.require_audio()
    masks = (Image.fromarray(dominance(scene, config).astype(np.float32)) for scene in scenes)
    return np.stack([np.asarray(mask.resize((columns, rows), Image.Resampling.BOX)) for mask in masks])


def measure_map_shift(model: CMAC, library: Library, count: int = 300) -> Shift:
    """By how much visual maps lie below and right of what they describe, from scenes and their mirror images.

    A map that lies off by d to the right does so for the mirror image, too; mirrored back, the second map lies off by d
    to the left. d is where the two agree best.

    Args:
        model: in eval mode.
        library: of known things of the validation split.
        count: scenes.

    Returns:
        (rows, columns) in cells; the mean over guidance and prediction. 0 along an axis of fewer than `FEWEST_CELLS`,
        and where the two agree best at the end of `SHIFTS`, which is said: such maps do not mirror at all.
    """
    scenes = make_scenes(library, model.config, count, 54323)
    found = predict_scenes(model, scenes)
    shifts = []
    for axis in (1, 2):
        mirrored = _flipped(predict_scenes(model, [_mirrored(scene, axis) for scene in scenes]), axis)
        pairs = zip(_encoders_own(found), mirrored, strict=True)
        shifts.append(float(np.mean([best_shift(one, other, axis) for one, other in pairs])))
    return round(shifts[0], 3), round(shifts[1], 3)


def _mirrored(scene: Scene, axis: int) -> Scene:
    return replace(scene, frames_THWC=np.ascontiguousarray(np.flip(scene.frames_THWC, axis)))


def _encoders_own(found: ScenePredictions) -> tuple[np.ndarray, np.ndarray]:
    """The maps that come before the joint one is mixed."""
    return found.visual_NHW["guidance"], found.visual_NHW["prediction"]


def _flipped(found: ScenePredictions, axis: int) -> list[np.ndarray]:
    return [np.flip(maps_NHW, axis) for maps_NHW in _encoders_own(found)]


def best_shift(maps_NHW: np.ndarray, mirrored_NHW: np.ndarray, axis: int) -> float:
    """The d of SHIFTS (refined by a parabola) for which maps that are moved back by d, and those of the mirror image
    moved by as much the other way, correlate best; 0 where that cannot be told, see `measure_map_shift`."""
    if maps_NHW.shape[axis] < FEWEST_CELLS:
        return 0.0
    scores = np.array([_agreement(_moved(maps_NHW, d, axis), _moved(mirrored_NHW, -d, axis), axis) for d in SHIFTS])
    i = int(scores.argmax())
    if i in (0, len(SHIFTS) - 1):
        print("maps of mirrored scenes do not mirror: map_shift stays 0 along that axis", file=sys.stderr)
        return 0.0
    low, middle, high = scores[i - 1 : i + 2]
    bend = low - 2 * middle + high
    return float(SHIFTS[i] + (0.5 * (low - high) / bend if bend < 0 else 0.0) * (SHIFTS[1] - SHIFTS[0]))


def _moved(maps_NHW: np.ndarray, shift: float, axis: int) -> np.ndarray:
    """Cell i has the value, interpolated linearly, that was at i + shift."""
    maps = np.moveaxis(maps_NHW, axis, -1)
    places = np.clip(np.arange(maps.shape[-1]) + shift, 0, maps.shape[-1] - 1)
    low = np.minimum(places.astype(int), maps.shape[-1] - 2)
    share = places - low
    return np.moveaxis(maps[..., low] * (1 - share) + maps[..., low + 1] * share, -1, axis)


def _agreement(one_NHW: np.ndarray, other_NHW: np.ndarray, axis: int) -> float:
    """Mean correlation over the maps, without the two cells at each end, where nothing can be moved in from outside."""
    inner = [slice(None)] * 3
    inner[axis] = slice(2, -2)
    one, other = (maps[tuple(inner)] - maps[tuple(inner)].mean((1, 2), keepdims=True) for maps in (one_NHW, other_NHW))
    length = np.sqrt((one**2).sum((1, 2)) * (other**2).sum((1, 2)))
    return float(np.mean((one * other).sum((1, 2)) / np.maximum(1e-12, length)))
