"""Two sides are heard as one, also where they cancel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.sides import CANCELED, mono


def level(waveform):
    return float(np.sqrt(np.mean(np.square(waveform))))


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_mean_unless_the_sides_cancel(alike, left, right):
    """Sides of any levels and any correlation, against the law as it is written."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4000)).astype(np.float32)
    sides = np.stack([left * a, right * (alike * a + np.sqrt(1 - alike**2) * b)]).astype(np.float32)
    heard, cancel = mono(sides)
    mean = (sides[0] + sides[1]) / 2
    louder = max(sides, key=level)
    assert cancel == (level(mean) < CANCELED * level(louder))
    np.testing.assert_allclose(heard, louder if cancel else mean, atol=1e-6)
