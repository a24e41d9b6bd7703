"""The lit region as a box: what an overlay lights around the highest place of a map."""

from __future__ import annotations

import math

import numpy as np

from cmac_hub.drawing import VISIBLE
from cmac_hub.geometry import CENTERED, Shift, over_frame, reach

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the displayed frame; pixels left and top are inside, right and bottom not."""

FINEST = 320
"""Pixels a side at which regions are looked at; boxes of larger frames are rounded outward to such steps."""

COARSEST = 4
"""Pixels a cell at least, however small the frame."""


def lit_box(
    strength_HW: np.ndarray, seed: tuple[int, int], width: int, height: int, shift: Shift = CENTERED
) -> Box | None:
    """The box around the region that is seen to be lit (`VISIBLE`) and holds the cell `seed`.

    Other regions, which no lit cell joins with it, are not in the box.

    Args:
        strength_HW: uint8 at map resolution, from `cmac_hub.drawing.strength`.
        seed: row and column of a cell, the map's highest.
        width: pixels of the frame.
        height: pixels of the frame.
        shift: see `cmac_hub.geometry`.

    Returns:
        the box, or None where the cell is not lit.
    """
    lit = strength_HW >= VISIBLE
    if not lit[seed]:
        return None
    region = _region(lit, seed)
    alone = np.where(lit & ~region, 0, strength_HW).astype(np.uint8)
    rows, columns = strength_HW.shape
    across = max(columns * COARSEST, min(width, FINEST))
    down = max(rows * COARSEST, min(height, FINEST))
    # No further than the region reaches.
    part = reach(region.astype(np.uint8), across, down, shift)
    assert part is not None
    drawn = over_frame(alone, across, down, shift, part=part)
    seen = drawn >= min(VISIBLE, int(drawn.max()))
    y, x = part[0].start + np.flatnonzero(seen.any(1)), part[1].start + np.flatnonzero(seen.any(0))
    return (
        math.floor(x[0] * width / across),
        math.floor(y[0] * height / down),
        math.ceil((x[-1] + 1) * width / across),
        math.ceil((y[-1] + 1) * height / down),
    )


def _region(lit: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """The lit cells that are joined with one, side by side."""
    rows, columns = lit.shape
    region = np.zeros_like(lit)
    cells = lit.tolist()
    waiting = [seed]
    while waiting:
        row, column = waiting.pop()
        if 0 <= row < rows and 0 <= column < columns and cells[row][column]:
            cells[row][column], region[row, column] = False, True
            waiting += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return region
