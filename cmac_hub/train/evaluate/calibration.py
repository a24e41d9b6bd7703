"""At which values drawing starts and saturates, measured on validation scenes: what `cmac localize` lights up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.localization import look, make_absent, make_scenes, on_source, source_shares
from cmac_hub.train.own_library import load_library


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
    shares_NHW = source_shares(graded.guidance_NHW.shape[1:], scenes)
    lows = {
        "guidance": float(np.quantile(absent.guidance_NHW.max((1, 2)), 0.9)),
        "prediction": float(np.quantile(graded.prediction_NHW[shares_NHW < 0.05], 0.9)),
    }
    limits = {}
    for name, heats_NHW in (("guidance", graded.guidance_NHW), ("prediction", graded.prediction_NHW)):
        inside = [heat[on].max() for heat, on in zip(heats_NHW, on_source(shares_NHW), strict=True)]
        low, high = lows[name], float(np.median(inside))
        limits[name] = (round(low, 3), round(max(high, low + 0.02), 3))
    return limits
