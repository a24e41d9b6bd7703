"""Peaks made by hand."""

from __future__ import annotations

from cmac_hub.moments import Peak


def peak(time: float, *, agreement: float | None = 0.5, audible: bool = True, lit: bool = True, **other) -> Peak:
    values = {"x": 1.0, "y": 2.0, "score": 0.7, "padded": False, "box": (0, 1, 2, 3) if lit else None}
    values |= {"sound_level": 0.1 if audible else 0.0, **other}
    return Peak(time=float(time), agreement=agreement, audible=audible, lit=lit, **values)
