"""Curves: where their points lie, and how few they are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from cmac_hub.report.curve import COLUMNS, HEIGHT, MOST_SHADES, WIDTH, Curve, drawn
from cmac_hub.report.stretches import Stretch


def parts(text):
    root = ElementTree.fromstring(text)
    lines = [
        np.array([[float(n) for n in point.split(",")] for point in one.get("points").split()])
        for one in root.iter("polyline")
    ]
    return root, lines


def test_points_lie_in_their_place():
    text = drawn(Curve("peak", [0.0, 0.5, 2.0], 0, 1, 0.25), [1.0, 2.0, 3.0], Stretch(1, 5), {}, "about")
    root, (line,) = parts(text)
    assert line[:, 0] == pytest.approx([0, WIDTH / 4, WIDTH / 2])
    assert line[:, 1] == pytest.approx([HEIGHT - 1, HEIGHT / 2, 1]), "beyond the scale is its end"
    assert root.get("aria-label") == "about"
    assert root.find("path").get("d") == f"M0 {1 + (HEIGHT - 2) * 0.75:.1f}H{WIDTH}"


def test_an_hour_is_small_and_keeps_what_stands_out():
    values = np.random.default_rng(0).uniform(0.4, 0.6, 14400)
    values[7000], values[9001] = 1.0, 0.0
    times = np.arange(14400) / 4
    stretches = [Stretch(i, i + 1 + (i == 500)) for i in range(0, 3600, 3)]
    text = drawn(Curve("level", values.tolist(), 0, 1), times.tolist(), Stretch(0, 3600), {"unlit": stretches}, "")
    root, (line,) = parts(text)
    assert len(text) < 16000 and len(line) <= 2 * (COLUMNS + 1)
    assert (np.diff(line[:, 0]) >= 0).all()
    assert line[:, 1].min() == 1 and line[:, 1].max() == HEIGHT - 1
    shades = list(root.iter("rect"))
    assert len(shades) == MOST_SHADES and all(float(one.get("width")) >= 1.5 for one in shades)


def test_missing_values_break_the_line():
    text = drawn(Curve("level", [0.1, None, 0.2, 0.3, None], 0, 1), list(range(5)), Stretch(0, 4), {}, "")
    _, lines = parts(text)
    assert [line[:, 0].tolist() for line in lines] == [[0, 0], [WIDTH / 2, WIDTH * 3 / 4]]
    assert not re.search("polyline", drawn(Curve("level", [None], 0, 1), [0.0], Stretch(0, 0), {}, ""))
