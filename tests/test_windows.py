"""The law of windows, against the plainest way to say it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.windows import WindowGrid, fit_size, on_screen

GRIDS = st.builds(
    WindowGrid,
    st.sampled_from([0.0, 1.4, -0.2, 100.0]),
    st.sampled_from([0.2, 1.0, 2.5]),
    st.sampled_from([0.1, 0.25, 1.0, 3.0]),
    st.integers(1, 9),
)
TIMES = st.lists(st.floats(-1, 8, allow_nan=False), min_size=1, max_size=30, unique=True).map(sorted)


def shown(times, instant):
    """The last frame that has begun, else the first of all."""
    begun = [i for i, time in enumerate(times) if time <= instant + 1e-6]
    return begun[-1] if begun else 0


@given(TIMES, st.lists(st.floats(-2, 9, allow_nan=False), min_size=1, max_size=20))
def test_a_frame_is_on_screen_until_the_next_one_begins(times, instants):
    assert on_screen(np.array(times), np.array(instants)).tolist() == [shown(times, instant) for instant in instants]


@given(GRIDS, TIMES)
def test_the_frames_that_are_wanted_are_those_that_windows_show(grid, times):
    """Every frame that any of the first windows shows is wanted (its end being the next one's beginning)."""
    for k in range(8):
        for instant in grid.instants(k):
            i = shown(times, instant)
            if i + 1 < len(times) and times[i] <= instant:
                assert grid.wanted(times[i], times[i + 1])


@given(GRIDS, st.floats(-3, 12, allow_nan=False), st.floats(1e-3, 2))
def test_what_no_window_looks_at_is_not_wanted(grid, low, length):
    instants = np.concatenate([grid.instants(k) for k in range(200)])
    near = (instants >= low - 1e-5) & (instants < low + length + 1e-5)
    if not near.any():
        assert not grid.wanted(low, low + length)


@given(GRIDS, st.floats(0, 10))
def test_a_window_is_there_when_its_center_is(grid, duration):
    end = grid.origin + duration
    count = 0
    while grid.includes(count, end):
        count += 1
    centers = grid.origin + grid.window / 2 + grid.hop * np.arange(count + 1)
    assert count >= 1
    assert all(center < end for center in centers[1:count])
    assert centers[count] >= end - 1e-5


@pytest.mark.parametrize(("name", "value"), [("window", 0.0), ("hop", -1.0), ("window", float("nan")), ("frames", 0)])
def test_impossible_grids_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is"):
        WindowGrid(**{"origin": 0.0, "window": 1.0, "hop": 1.0, "frames": 8, name: value})


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 300), st.integers(1, 32))
def test_sizes_fit(width, height, size, multiple):
    w, h = fit_size(width, height, size, multiple)
    assert w % multiple == h % multiple == 0 and min(w, h) >= 1
    assert max(w, h) <= max(2.5 * size, multiple) + multiple / 2
