"""From the cells of a map to places of the frame: the one way for drawings, heat maps, peaks and evaluations.

A network of strided convolutions need not look at the middle of the square that a cell of its map stands for. How far
the map lies off, in cells, is a property of a trained encoder (`config.visual.map_shift`); `train release` measures it
with mirrored clips. `Attention` holds raw maps; whoever turns them into places comes here.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

Shift = tuple[float, float]
"""Rows and columns, in cells, by which a map lies below and right of what it describes."""

CENTERED: Shift = (0.0, 0.0)


def over_frame(map_HW: np.ndarray, width: int, height: int, shift: Shift = CENTERED, smooth: bool = True) -> np.ndarray:
    """A map over the whole frame.

    Args:
        map_HW: uint8 or fp32.
        width: pixels of the frame.
        height: pixels of the frame.
        shift: see `Shift`.
        smooth: bicubic, for drawing, which may overshoot; else bilinear, for evaluations.

    Returns:
        (height, width) of the map's dtype.
    """
    rows, columns = map_HW.shape
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    if shift == CENTERED:
        return np.asarray(Image.fromarray(np.ascontiguousarray(map_HW)).resize((width, height), how))
    margin = max(1, *(int(np.ceil(abs(one))) for one in shift))
    padded = Image.fromarray(np.pad(map_HW, margin, mode="edge"))
    top, left = margin + shift[0], margin + shift[1]
    return np.asarray(padded.resize((width, height), how, box=(left, top, left + columns, top + rows)))


def peak(map_HW: np.ndarray, shift: Shift = CENTERED) -> tuple[float, float]:
    """Where a map is highest: x and y of the center of that cell, as shares of the frame's width and height."""
    rows, columns = map_HW.shape
    row, column = np.unravel_index(int(map_HW.argmax()), (rows, columns))
    x, y = (float(column) + 0.5 - shift[1]) / columns, (float(row) + 0.5 - shift[0]) / rows
    return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
