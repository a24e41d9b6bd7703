"""A left and a right side of sound as one."""

from __future__ import annotations

import numpy as np

CANCELED = 0.1
"""Share of the louder side's level below which the mean of both sides says that one is inverted: sides that have
nothing in common give 0.7, a silent one 0.5; 0.1 (-20 dB) takes a correlation below -0.98."""


def mono(sides: np.ndarray) -> tuple[np.ndarray, bool]:
    """What is heard of a left and a right side (2, n): (n,), their mean, or the louder one where they cancel each
    other; and whether they do, the mean having less than `CANCELED` of the louder side's level."""
    mean = sides.mean(0)
    levels = np.sqrt(np.square(sides).mean(1)) if sides.shape[1] else np.zeros(2)
    if np.sqrt(np.square(mean).mean() if len(mean) else 0.0) < CANCELED * levels.max():
        return sides[int(levels.argmax())], True
    return mean, False
