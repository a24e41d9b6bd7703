"""The lit region as a box: what an overlay lights around the highest place of a map."""

from __future__ import annotations

import math

import numpy as np

from cmac_hub.drawing import VISIBLE
from cmac_hub.geometry import CENTERED, Shift, over_frame

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the displayed frame; pixels left and top are inside, right and bottom not."""

FINEST = 512
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
    # What is interpolated around the region depends on dark cells beside it, too.
    near = _grown(_grown(region)) & ~lit
    alone = np.where(region | near, strength_HW, 0).astype(np.uint8)
    rows, columns = strength_HW.shape
    across = max(columns * COARSEST, min(width, FINEST))
    down = max(rows * COARSEST, min(height, FINEST))
    drawn = over_frame(alone, across, down, shift)
    seen = drawn >= min(VISIBLE, int(drawn.max()))
    y, x = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return (
        math.floor(x[0] * width / across),
        math.floor(y[0] * height / down),
        math.ceil((x[-1] + 1) * width / across),
        math.ceil((y[-1] + 1) * height / down),
    )


def _region(lit: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """The lit cells that are joined with one, side by side."""
    region = np.zeros_like(lit)
    waiting = [seed]
    while waiting:
        row, column = waiting.pop()
        if 0 <= row < lit.shape[0] and 0 <= column < lit.shape[1] and lit[row, column] and not region[row, column]:
            region[row, column] = True
            waiting += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return region


def _grown(cells: np.ndarray) -> np.ndarray:
    """The cells and those beside them, corners as well."""
    rows, columns = cells.shape
    padded = np.pad(cells, 1)
    parts = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.logical_or.reduce(parts)
