"""A curve over time as inline SVG, of a few kilobytes however long the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cmac_hub.report.stretches import Stretch

COLUMNS = 160
"""Steps of time that a curve has at most: of each its lowest and its highest value are drawn."""

WIDTH, HEIGHT = 640, 40
"""Units of the drawing, which is stretched to the page's width."""

NARROWEST = 1.5
"""Units of a shaded stretch at least, so that one window of an hour is seen."""

MOST_SHADES = 100
"""Shaded stretches of a curve at most, the longest."""


class Curve(NamedTuple):
    """What is drawn: a row of numbers and its scale; values beyond the ends of the scale lie on them."""

    name: str
    """Class of style, a plain word."""
    values: Sequence[float | None]
    low: float
    high: float
    line: float | None = None
    """A value that is drawn as a dashed line."""


def drawn(curve: Curve, times: Sequence[float], span: Stretch, shades: dict[str, list[Stretch]], about: str) -> str:
    """One curve.

    Args:
        curve: N values, None where there is none.
        times: N seconds.
        span: what the drawing's width stands for.
        shades: class of style -> stretches that are shaded.
        about: what the picture shows, for those who do not see it; escaped.
    """
    length = max(1e-6, span.stop - span.start)

    def x(time: float) -> float:
        return min(1.0, max(0.0, (time - span.start) / length)) * WIDTH

    def y(value: float) -> float:
        share = min(1.0, max(0.0, (value - curve.low) / (curve.high - curve.low)))
        return (HEIGHT - 2) * (1 - share) + 1

    parts = []
    for name, stretches in shades.items():
        for start, stop in sorted(stretches, key=lambda one: one.start - one.stop)[:MOST_SHADES]:
            width = max(NARROWEST, x(stop) - x(start))
            parts.append(f'<rect class="{name}" x="{x(start):.1f}" width="{width:.1f}" height="{HEIGHT}"/>')
    if curve.line is not None:
        parts.append(f'<path class="limit" d="M0 {y(curve.line):.1f}H{WIDTH}"/>')
    for line in _lines(curve.values, times, span):
        points = " ".join(f"{x(time):.0f},{y(value):.1f}" for time, value in line)
        # A single point is drawn as a dot, by the round ends of the line.
        points = f"{points} {points}" if len(line) == 1 else points
        parts.append(f'<polyline class="{curve.name}" points="{points}"/>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{about}">'
        f"{''.join(parts)}</svg>"
    )


def _lines(values: Sequence[float | None], times: Sequence[float], span: Stretch) -> list[list[tuple[float, float]]]:
    """Points of unbroken lines, few enough: of each column the lowest and the highest, in the order they come."""
    length = max(1e-6, span.stop - span.start)
    lines: list[list[tuple[float, float]]] = [[]]
    column: list[tuple[float, float]] = []
    at = -1

    def end_column() -> None:
        ends = {min(column, key=lambda one: one[1]), max(column, key=lambda one: one[1])} if column else set()
        lines[-1].extend(sorted(ends))
        column.clear()

    for time, value in zip(times, values, strict=True):
        number = int((time - span.start) / length * COLUMNS)
        if number != at or value is None:
            end_column()
            at = number
        if value is None:
            lines.append([])
        else:
            column.append((time, value))
    end_column()
    return [line for line in lines if line]
