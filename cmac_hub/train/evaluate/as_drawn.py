"""What people see of a map: which pictures light up at all, and whether on what sounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cmac_hub.drawing import VISIBLE, strength
from cmac_hub.geometry import CENTERED, Shift, over_frame
from cmac_hub.train.evaluate.toolbox.metrics import SIDE, points_at


class Drawn(NamedTuple):
    """Shares of the pictures; `right`, `wrong` and `dark` make 1."""

    right: float
    """Lit, and brightest on a source."""
    wrong: float
    """Lit, and brightest elsewhere."""
    dark: float
    """Nowhere lit."""
    area: float
    """Median share of the picture that is lit, of those that are lit; 0 where none is."""


def grade_drawn(
    heats: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    limits: tuple[float, float],
    shift: Shift = CENTERED,
) -> Drawn:
    """Maps as `localize` draws them at the scale "absolute".

    Args:
        heats: (H, W) each.
        truths: (SIDE, SIDE) each, above 0 where the source is.
        limits: of the config, see `DisplayConfig`.
        shift: how far the maps lie off, see `cmac_hub.geometry`.
    """
    drawn = (over_frame(strength(heat, limits), SIDE, SIDE, shift) for heat in heats)
    areas = np.array([(one >= VISIBLE).mean() for one in drawn])
    on = np.array([points_at(heat, truth, shift) for heat, truth in zip(heats, truths, strict=True)])
    lit = areas > 0
    area = float(np.median(areas[lit])) if lit.any() else 0.0
    return Drawn(float((lit & on).mean()), float((lit & ~on).mean()), float((~lit).mean()), area)
