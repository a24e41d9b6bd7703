"""What is worth a look in a video: the moments that match best and least, and where sound lights nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cmac_hub.moments import Peak
from cmac_hub.windows import INSTANT

TOLD = 3
"""Moments of a kind that are told of one video."""


class Stretch(NamedTuple):
    """A part of a video, in seconds on the container's clock."""

    start: float
    stop: float


def best_and_least(peaks: Iterable[Peak], apart: float) -> tuple[list[Peak], list[Peak]]:
    """The audible windows whose sight and sound agree most, the surest first, and those that agree least, likewise.

    Chosen in turn, all of them at least `apart` seconds from each other: a short video has fewer of both. Windows
    without an agreement are in neither.
    """
    rising = sorted((peak for peak in peaks if peak.audible and peak.agreement is not None), key=_agreement)
    best: list[Peak] = []
    least: list[Peak] = []
    orders = (best, rising[::-1]), (least, rising)
    for _ in range(TOLD):
        for found, order in orders:
            taken = [other.time for other in best + least]
            new = next((one for one in order if all(abs(one.time - time) >= apart - INSTANT for time in taken)), None)
            if new is not None:
                found.append(new)
    return best, least


def _agreement(peak: Peak) -> float:
    return -1.0 if peak.agreement is None else peak.agreement


def unlit(peaks: list[Peak], hop: float) -> list[Stretch]:
    """Where there is something to hear and the map lights nothing on the absolute scale, from the first window's center
    on, half a hop around each; in order of time."""
    return _joined([peak.time for peak in peaks if peak.audible and not peak.lit], hop)


def silent(peaks: list[Peak], hop: float) -> list[Stretch]:
    """Where there is nothing to hear, likewise."""
    return _joined([peak.time for peak in peaks if not peak.audible], hop)


def _joined(times: list[float], hop: float) -> list[Stretch]:
    found: list[Stretch] = []
    for time in times:
        if found and time - hop / 2 <= found[-1].stop + hop / 4:
            found[-1] = Stretch(found[-1].start, time + hop / 2)
        else:
            found.append(Stretch(time - hop / 2, time + hop / 2))
    return found
