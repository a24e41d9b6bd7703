"""At which values drawing starts and saturates, measured on validation scenes: what `cmac localize` lights up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmac_hub.config import CMACConfig
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.localization import look, make_scenes
from cmac_hub.train.library import Library
from cmac_hub.train.own_library import load_library
from cmac_hub.train.scene_settings import MEDIUM
from cmac_hub.train.scenes import Scene, Scenes


def calibrate(model: CMAC, data: Path, count: int = 300) -> dict[str, tuple[float, float]]:
    """Where drawing starts and saturates, from validation scenes of known things.

    Returns:
        for each map (low, high). Guidance hears: `low` leaves nine tenths of the scenes dark whose source is not in the
        picture. Prediction does not: nine tenths of the places outside of a source lie below its `low`. Half of the
        sources have a peak above `high`, which is at least `low` + 0.02.
    """
    library = load_library(data, "validation", "known")
    scenes = make_scenes(library, model.config, count, 54321)
    graded = look(model, scenes)
    absent = look(model, make_absent(library, model.config, count, 54322))
    lows = {
        "guidance": float(np.quantile(absent.guidance_NHW.max((1, 2)), 0.9)),
        "prediction": float(np.quantile(_outside(graded.prediction_NHW, scenes), 0.9)),
    }
    limits = {}
    for name, heats in (("guidance", graded.guidance_NHW), ("prediction", graded.prediction_NHW)):
        inside = [
            heat[share > 0.3].max(initial=0) or heat.max()
            for heat, share in zip(heats, _shares(heats, scenes), strict=True)
        ]
        low, high = lows[name], float(np.median(inside))
        limits[name] = (round(low, 3), round(max(high, low + 0.02), 3))
    return limits


def make_absent(library: Library, config: CMACConfig, count: int, seed: int) -> list[Scene]:
    """Scenes whose source is not in the picture, with one silent thing so that something could be lit."""
    level = replace(MEDIUM, size=config.visual.size, frames=config.visual.frames, drawn=0.0)
    return list(Scenes(library, [replace(level, offscreen=1.0, distractors=(1, 1))], count, seed))


def _shares(heats_NHW: np.ndarray, scenes: Sequence[Scene]) -> np.ndarray:
    """(N, H, W): the share of each cell of the map that the source covers."""
    rows, columns = heats_NHW.shape[1:]
    found = []
    for scene in scenes:
        height, width = scene.masks_THW.shape[1:]
        whole = scene.masks_THW.mean(0)[: height // rows * rows, : width // columns * columns]
        found.append(whole.reshape(rows, height // rows, columns, width // columns).mean((1, 3)))
    return np.stack(found)


def _outside(heats_NHW: np.ndarray, scenes: Sequence[Scene]) -> np.ndarray:
    return heats_NHW[_shares(heats_NHW, scenes) < 0.05]
