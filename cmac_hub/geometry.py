"""From the cells of a map to places of the frame: the one way for drawings, heat maps, peaks and evaluations.

A network of strided convolutions need not look at the middle of the square that a cell of its map stands for. How far
the map lies off, in cells, is a property of a trained encoder (`config.visual.map_shift`); `train release` measures it
with mirrored clips. `Attention` holds raw maps; whoever turns them into places comes here.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

Shift = tuple[float, float]
"""Rows and columns, in cells, by which a map lies below and right of what it describes."""

CENTERED: Shift = (0.0, 0.0)


Part = tuple[slice, slice]
"""Rows and columns of pixels."""


def over_frame(
    map_HW: np.ndarray,
    width: int,
    height: int,
    shift: Shift = CENTERED,
    smooth: bool = True,
    part: Part | None = None,
) -> np.ndarray:
    """A map over the whole frame.

    Args:
        map_HW: uint8 or fp32.
        width: pixels of the frame.
        height: pixels of the frame.
        shift: see `Shift`.
        smooth: bicubic, for drawing, which may overshoot; else bilinear, for evaluations.
        part: give only this part of the result.

    Returns:
        (height, width) of the map's dtype, or the part of it.
    """
    rows, columns = map_HW.shape
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    vertical, horizontal = part or (slice(0, height), slice(0, width))
    margin = 0 if shift == CENTERED else max(1, *(int(np.ceil(abs(one))) for one in shift))
    padded = np.pad(map_HW, margin, mode="edge") if margin else np.ascontiguousarray(map_HW)
    top, bottom = (margin + shift[0] + rows * edge / height for edge in (vertical.start, vertical.stop))
    left, right = (margin + shift[1] + columns * edge / width for edge in (horizontal.start, horizontal.stop))
    size = horizontal.stop - horizontal.start, vertical.stop - vertical.start
    return np.asarray(Image.fromarray(padded).resize(size, how, box=(left, top, right, bottom)))


def reach(map_HW: np.ndarray, width: int, height: int, shift: Shift = CENTERED) -> Part | None:
    """The pixels of a frame that the cells of a map above 0 reach when it is laid over; None if there are none."""
    found = []
    for axis, (pixels, off) in enumerate(((height, shift[0]), (width, shift[1]))):
        cells = map_HW.shape[axis]
        hot = np.flatnonzero(map_HW.any(1 - axis))
        if not len(hot):
            return None
        # A bicubic curve ends two cells from the middle of its own; at the border a cell goes on.
        first = hot[0] - 1.5 - off if hot[0] else 0
        last = hot[-1] + 2.5 - off if hot[-1] < cells - 1 else cells
        begin, end = math.floor(first * pixels / cells), math.ceil(last * pixels / cells)
        found.append(slice(max(0, begin), min(pixels, end)))
    return found[0], found[1]


def peak(map_HW: np.ndarray, shift: Shift = CENTERED) -> tuple[float, float]:
    """Where a map is highest: x and y of the center of that cell, as shares of the frame's width and height."""
    rows, columns = map_HW.shape
    row, column = np.unravel_index(int(map_HW.argmax()), (rows, columns))
    x, y = (float(column) + 0.5 - shift[1]) / columns, (float(row) + 0.5 - shift[0]) / rows
    return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
