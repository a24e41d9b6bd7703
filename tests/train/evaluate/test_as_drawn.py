"""What people see of a map, on pictures made by hand."""

import numpy as np
import pytest

from cmac_hub.train.evaluate.as_drawn import grade_drawn
from cmac_hub.train.evaluate.toolbox.metrics import box_mask

LEFT = box_mask([(0.0, 0.0, 0.5, 1.0)])


def heat(column, value):
    """8 x 8 of 0.1 with one hot column."""
    values = np.full((8, 8), 0.1, np.float32)
    values[:, column] = value
    return values


def test_pictures_are_right_wrong_or_dark():
    heats = [heat(1, 0.9), heat(6, 0.9), heat(1, 0.4), heat(2, 0.8)]
    found = grade_drawn(heats, [LEFT] * 4, (0.5, 0.8))
    assert (found.right, found.wrong, found.dark) == (0.5, 0.25, 0.25)
    assert found.area == pytest.approx(1 / 8, abs=0.06), "a column of eight, softened at its edges"


def test_what_is_drawn_faintly_is_dark():
    assert grade_drawn([heat(1, 0.55)], [LEFT], (0.5, 1.0)).dark == 1.0
    assert grade_drawn([heat(1, 0.55)], [LEFT], (0.5, 0.56)).right == 1.0


def test_nothing_lit_has_no_area():
    assert grade_drawn([heat(1, 0.2)], [LEFT], (0.5, 0.8)) == (0.0, 0.0, 1.0, 0.0)
