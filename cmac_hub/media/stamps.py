"""The time stamps of one stream as a file has them, on arrays of seconds: what is missing, and what can be no stamp."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LONGEST_GAP = 120.0
"""Seconds that a gap may last in which there is nothing: twice as long as slides usually stay. A picture that stays
longer has sound beside it, or there is nothing to localize."""

FALL = 0.1
"""Seconds by which stamps may fall, or lead: coarse clocks, and segments of a stream that overlap, stay below it."""

APART = 10.0
"""Seconds between a packet's stamps of decoding and of presentation, from which on the latter is broken."""


class Stamps(NamedTuple):
    """The packets of one stream in the order of the file; seconds, NaN where the file has none."""

    place: np.ndarray
    """(N,) int64: the packet's number among those of both streams."""
    decoded: np.ndarray
    """(N,) float64: decoding stamps, or presentation stamps where those are missing."""
    shown: np.ndarray
    """(N,) float64: presentation stamps."""
    length: np.ndarray
    """(N,) float64: how long the packet lasts; 0 where the file does not say."""
    tolerance: float = FALL
    """Seconds by which stamps may fall and mean nothing."""
    thin: bool = False
    """Whether packets hold too little for the time that lies between their stamps: then lengths alone tell of it."""


def usual_lengths(decoded: np.ndarray, length: np.ndarray) -> np.ndarray:
    """(N,) seconds that each packet lasts: those that are not told, or longer than any gap, last as long as most do."""
    sane = length[(length > 0) & (length <= LONGEST_GAP)]
    if not len(sane):
        steps = np.diff(decoded[np.isfinite(decoded)])
        sane = steps[(steps > 0) & (steps <= LONGEST_GAP)]
    usual = float(np.median(sane)) if len(sane) else 0.04
    return np.where((length > 0) & (length <= LONGEST_GAP), length, usual)


def fill(decoded: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N,) decoding times of which those that are missing follow the packet before, or lead to the first one known."""
    known = np.flatnonzero(np.isfinite(decoded))
    times = decoded.copy()
    times[: known[0]] = times[known[0]] - np.cumsum(lengths[: known[0]][::-1])[::-1]
    for i in np.flatnonzero(~np.isfinite(times)):
        times[i] = times[i - 1] + lengths[i - 1]
    return times


def strays(decoded: np.ndarray, shown: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N,) bool: packets whose only stamp, that of presentation, is far from where those beside them place it."""
    alone = np.isnan(decoded) & np.isfinite(shown)
    if not alone.any():
        return alone
    known = np.flatnonzero(np.isfinite(decoded))
    after = np.searchsorted(known, np.arange(len(decoded)))
    beside = [
        fill(decoded, lengths),
        decoded[known[np.maximum(after - 1, 0)]],
        decoded[known[np.minimum(after, len(known) - 1)]],
    ]
    return alone & ((shown < np.min(beside, 0) - APART) | (shown > np.max(beside, 0) + APART))
