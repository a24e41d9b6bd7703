"""The box of what is lit is that of the overlay's pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cmac_hub.drawing import HEAT_OPACITY, VISIBLE, overlay
from cmac_hub.geometry import over_frame
from cmac_hub.lit import lit_box


def blob(center, size=(12, 21), width=1.5):
    rows, columns = np.mgrid[: size[0], : size[1]]
    far = (rows - center[0]) ** 2 + (columns - center[1]) ** 2
    return (255 * np.exp(-far / (2 * width**2))).astype(np.uint8)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.8)])
@pytest.mark.parametrize("center", [(5, 9), (0, 0), (11, 20)])
def test_it_is_the_box_of_the_lit_pixels_of_an_overlay(center, shift):
    strength = blob(center)
    left, top, right, bottom = lit_box(strength, center, 320, 180, shift)
    gray = Image.new("RGB", (320, 180))
    drawn = over_frame(strength, 320, 180, shift) >= VISIBLE
    assert np.asarray(overlay(gray, strength, shift))[drawn].any(1).all() and HEAT_OPACITY[VISIBLE] > 0
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    assert (left, top, right, bottom) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_a_large_frame_has_it_to_a_pixel_of_a_smaller_one():
    center = (5, 9)
    small, large = (np.array(lit_box(blob(center), center, *size)) for size in ((320, 180), (3840, 2160)))
    assert np.abs(large / 12 - small).max() <= 1


def test_another_lit_region_is_left_out():
    alone, beside = blob((3, 3)), np.maximum(blob((3, 3)), blob((9, 17)))
    assert lit_box(beside, (3, 3), 320, 180) == lit_box(alone, (3, 3), 320, 180)
    assert lit_box(beside, (9, 17), 320, 180) == lit_box(blob((9, 17)), (9, 17), 320, 180)


def test_nothing_lit_has_none():
    assert lit_box(np.full((4, 4), VISIBLE - 1, np.uint8), (0, 0), 64, 64) is None
    assert lit_box(np.full((4, 4), VISIBLE, np.uint8), (2, 2), 64, 48) == (0, 0, 64, 48)


@pytest.mark.parametrize("size", [(7, 5), (64, 48), (2000, 10)])
def test_a_single_cell_has_a_box_within_any_frame(size):
    strength = np.zeros((12, 21), np.uint8)
    strength[11, 20] = VISIBLE
    left, top, right, bottom = lit_box(strength, (11, 20), *size)
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    assert right > 0.9 * size[0] and bottom > 0.8 * size[1]
