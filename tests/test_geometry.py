"""Where the cells of a map lie in the frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmac_hub.geometry import over_frame, peak, reach


def test_the_peak_is_the_center_of_the_highest_cell():
    one = np.zeros((4, 6), np.float32)
    one[1, 4] = 1
    assert peak(one) == pytest.approx((4.5 / 6, 1.5 / 4))


def test_a_map_that_lies_right_and_low_is_moved_back():
    one = np.zeros((4, 6), np.float32)
    one[1, 4] = 1
    x, y = peak(one, (0.25, 0.5))
    assert (x, y) == pytest.approx((4.0 / 6, 1.25 / 4))


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_a_ramp_over_the_frame_is_moved_by_the_shift(rows, columns):
    """Two ramps, down and to the right: every pixel shows the value of the place that the cells describe."""
    y, x = np.mgrid[:6, :9].astype(np.float32) + 0.5
    for cells, shift, axis in ((y, rows, 0), (x, columns, 1)):
        drawn = over_frame(cells, 90, 60, (rows, columns), smooth=False)
        pixels = (np.arange(drawn.shape[axis]) + 0.5) / 10 + shift
        line = drawn[:, 45] if axis == 0 else drawn[30]
        inner = slice(15, -15)
        assert line[inner] == pytest.approx(pixels[inner], abs=0.02)


def test_drawing_and_peak_agree():
    one = np.zeros((5, 5), np.float32)
    one[2, 3] = 1
    for shift in ((0.0, 0.0), (0.3, -0.2)):
        drawn = over_frame(one, 500, 500, shift)
        row, column = np.unravel_index(drawn.argmax(), drawn.shape)
        x, y = peak(one, shift)
        assert (column / 500, row / 500) == pytest.approx((x, y), abs=0.01)


def test_a_peak_never_leaves_the_frame():
    one = np.zeros((3, 3), np.float32)
    one[0, 0] = 1
    assert peak(one, (0.9, 0.9)) == (0.0, 0.0)


@given(st.integers(0, 10**6), st.integers(5, 90), st.integers(5, 70), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
@example(389, 8, 5, 0.0, 0.5)
@example(872974, 49, 56, 0.0, 0.0)
def test_a_part_is_the_part_of_the_whole_and_holds_all_heat(seed, width, height, rows, columns):
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (4, 6)).astype(np.uint8) * (rng.random((4, 6)) < 0.15)
    shift = (rows, columns) if seed % 2 else (0.0, 0.0)
    whole, part = over_frame(cells, width, height, shift), reach(cells, width, height, shift)
    if part is None:
        assert not whole.any()
        return
    outside = whole.copy()
    outside[part] = 0
    assert outside.max() == 0
    got = over_frame(cells, width, height, shift, part=part)
    # Pillow clips to bytes between rows and columns, and which come first depends on the size: a part of fewer pixels
    # than cells, with an edge of one around them, may be off by more. No frame is drawn on so small.
    enlarged = got.shape[0] >= 6 and got.shape[1] >= 8
    assert got.shape == whole[part].shape
    assert np.abs(got.astype(int) - whole[part]).max() <= (2 if enlarged else 16)
