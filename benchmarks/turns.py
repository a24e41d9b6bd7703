"""Calls that take turns, so that what else a machine does hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any


def in_turns(calls: Mapping[str, Callable[[], Any]], turns: int, *, twice: bool = False) -> dict[str, list[float]]:
    """Seconds of each call in each turn; a first one, in which things warm up, is not counted.

    Args:
        calls: by name.
        turns: that are counted.
        twice: each turn makes a call twice and counts the second, which finds memory as its own kind left it.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns + 1):
        for name, call in calls.items():
            if twice:
                call()
            since = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - since)
    return {name: found[1:] for name, found in times.items()}
