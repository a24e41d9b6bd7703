"""Which moments of a video are named."""

from __future__ import annotations

import numpy as np
import pytest
from peaks import peak

from cmac_hub.report.stretches import TOLD, best_and_least, silent, unlit


def test_best_and_least_lie_apart_and_are_in_order():
    rng = np.random.default_rng(0)
    peaks = [peak(i / 4, agreement=float(a)) for i, a in enumerate(rng.uniform(-1, 1, 400))]
    best, least = best_and_least(peaks, 1.0)
    assert len(best) == len(least) == TOLD
    assert best[0].agreement == max(p.agreement for p in peaks)
    assert least[0].agreement == min(p.agreement for p in peaks)
    assert [p.agreement for p in best] == sorted((p.agreement for p in best), reverse=True)
    assert [p.agreement for p in least] == sorted(p.agreement for p in least)
    times = sorted(p.time for p in best + least)
    assert np.diff(times).min() >= 1.0


def test_what_cannot_be_heard_or_has_no_agreement_is_in_neither():
    peaks = [peak(0, agreement=None), peak(1, agreement=0.9, audible=False), peak(2, agreement=0.1)]
    assert best_and_least(peaks, 1.0) == ([peaks[2]], [])
    assert best_and_least([], 1.0) == ([], [])


def test_a_short_video_has_fewer_and_the_least_is_no_best():
    peaks = [peak(i / 4, agreement=a) for i, a in enumerate([0.1, 0.5, 0.6, 0.7, 0.9])]
    best, least = best_and_least(peaks, 1.0)
    assert [p.agreement for p in best] == [0.9] and [p.agreement for p in least] == [0.1]


def test_stretches_join_neighboring_windows():
    lit = [True, False, False, True, False, False, False]
    heard = [True, True, True, True, True, False, False]
    peaks = [peak(1 + i / 4, lit=one, audible=other) for i, (one, other) in enumerate(zip(lit, heard, strict=True))]
    assert unlit(peaks, 0.25) == [pytest.approx((1.125, 1.625)), pytest.approx((1.875, 2.125))]
    assert silent(peaks, 0.25) == [pytest.approx((2.125, 2.625))]
    assert unlit([peak(0, lit=True)], 0.25) == []
