"""The eight ways of a display matrix, against where each of them sends a pixel."""

from __future__ import annotations

import gc
from itertools import product

import av
import numpy as np
import pytest

from cmac_hub.media.orientation import UPRIGHT, frame_orientation, orientation_of

MATRICES = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_pixel_goes_where_the_matrix_sends_it(matrix):
    a, b, c, d = matrix
    image = np.arange(2 * 3).reshape(2, 3)
    height, width = (2, 3) if a else (3, 2)
    expected = np.empty((height, width), int)
    for q, p in np.ndindex(2, 3):
        x, y = a * p + c * q, b * p + d * q
        # x and y of the matrix move the picture back into view.
        expected[y if b + d > 0 else y - 1, x if a + c > 0 else x - 1] = image[q, p]
    orientation = orientation_of(np.array([[a << 16, b << 16, 0], [c << 16, d << 16, 0], [0, 0, 1 << 30]], np.int32))
    shown = orientation.apply(image)
    np.testing.assert_array_equal(shown, expected)
    assert shown.flags.c_contiguous
    assert orientation.transposed == (not a)


@pytest.mark.parametrize("degrees", [-44, -10, 10, 44])
def test_an_angle_between_them_is_the_nearest_one(degrees):
    cos, sin = np.cos(np.radians(degrees)) * 65536, np.sin(np.radians(degrees)) * 65536
    assert orientation_of(np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 0]])) == UPRIGHT


def test_a_matrix_of_zeros_is_upright():
    assert orientation_of(np.zeros((3, 3), np.int32)) == UPRIGHT


def test_a_frame_that_was_looked_at_goes_with_its_last_reference():
    """Not when Python looks for circles: thousands of files kept 14 KB each."""

    def frames() -> int:
        return sum(type(one) is av.VideoFrame for one in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = frames()
        frame = av.VideoFrame(64, 48, "yuv420p")
        assert frame_orientation(frame) == UPRIGHT
        assert frames() == before + 1
        del frame
        assert frames() == before
    finally:
        gc.enable()
