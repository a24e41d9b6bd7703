"""The curve of agreement over time, and the peak's path below it, as HTML with two drawings that fit any width.

Only lines lie in the drawings, which are stretched; what is written stands beside them at its own size. SCRIPT turns a
click into a moment, and moves marks with the video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from cmac_hub.config import HEARING
from cmac_hub.page.finding import Found

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
"""Seconds between two marks of the time: the first of which there are at most `MOST_TICKS`."""

MOST_TICKS = 7

STYLE = """
.curve { margin: 0; font-size: 13px; color: var(--body-text-color); }
.curve p { margin: 8px 0 2px; line-height: 1.4; }
.curve b::before { content: ""; display: inline-block; width: 14px; height: 3px; margin: 0 5px 3px 0;
  background: currentColor; }
.curve .plot { position: relative; height: 96px; cursor: pointer; border: 1px solid var(--border-color-primary);
  background: var(--background-fill-secondary); touch-action: manipulation; }
.curve .path { height: 76px; }
.curve svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.curve line, .curve polyline { fill: none; stroke: currentColor; stroke-width: 2; vector-effect: non-scaling-stroke; }
.curve line { stroke-width: 1; stroke-dasharray: 5 4; opacity: 0.6; }
.curve rect { fill: currentColor; opacity: 0.1; }
.curve i { position: absolute; top: 0; bottom: 0; left: 0; width: 2px; background: currentColor; opacity: 0.55; }
.curve .end { position: absolute; left: 4px; font-size: 11px; opacity: 0.75; pointer-events: none; }
.curve .ticks { position: relative; height: 18px; font-size: 11px; }
.curve .ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.curve .score, .curve .across { color: #ea580c; }
.curve .upward { color: #0284c7; }
"""

SCRIPT = """
const video = () => document.querySelector('#overlay video');
element.addEventListener('click', event => {
  const plot = event.target.closest('.plot');
  if (!plot) return;
  const box = plot.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  const {start, end} = element.querySelector('.curve').dataset;
  if (video() && video().duration) video().currentTime = share * video().duration;
  trigger('click', {time: Number(start) + share * (Number(end) - Number(start))});
});
document.addEventListener('timeupdate', event => {
  if (event.target !== video() || !video().duration) return;
  const left = `${100 * video().currentTime / video().duration}%`;
  for (const mark of element.querySelectorAll('i')) mark.style.left = left;
}, true);
"""
"""A click on a plot winds the video and tells the moment; the plots' marks go with the video."""


def draw_curve(found: Found) -> str:
    """Both plots of a clip, 1000 x 100 units each, whatever their size on the screen."""
    peaks, span = found.peaks, max(found.end - found.start, 1e-6)
    hears = found.map in HEARING
    highest = max([peak.score for peak in peaks] + [found.lit_from or 0, 1e-6])
    top = 1.0 if 0.3 < highest <= 1 else 1.08 * highest

    def at(time: float) -> float:
        return 1000 * min(1.0, max(0.0, (time - found.start) / span))

    def line(name: str, heights: Sequence[float]) -> str:
        """A polyline of shares of the height, 0 below."""
        points = " ".join(f"{at(p.time):.1f},{100 - 100 * h:.1f}" for p, h in zip(peaks, heights, strict=True))
        return f'<polyline class="{name}" points="{points}"/>'

    silent = "".join(
        f'<rect x="{at(begin):.1f}" y="0" width="{at(stop) - at(begin):.1f}" height="100"/>'
        for begin, stop in (_silences(found) if hears else ())
    )
    lit = ""
    if found.lit_from is not None:
        height = 100 - 100 * found.lit_from / top
        lit = f'<line x1="0" x2="1000" y1="{height:.1f}" y2="{height:.1f}"/>'
    what = "Agreement of picture and sound at the peak" if hears else "The map at its peak"
    notes = ["gray: nothing to hear"] * bool(silent) + ["lit above the dashed line"] * bool(lit)
    across = [peak.x / max(1, found.width) for peak in peaks]
    upward = [1 - peak.y / max(1, found.height) for peak in peaks]
    return (
        f'<div class="curve" data-start="{found.start:.3f}" data-end="{found.end:.3f}">'
        f'<p><b class="score"></b>{what}{"".join(f"; {note}" for note in notes)}. Choose a moment there.</p>'
        + _plot("plot", what, silent + lit + line("score", [peak.score / top for peak in peaks]), f"{top:.3g}", "0")
        + '<p>Where the peak is: <b class="across"></b>left to right, <b class="upward"></b>bottom to top</p>'
        + _plot(
            "plot path",
            "The peak's path",
            silent + line("across", across) + line("upward", upward),
            "right, top",
            "left, bottom",
        )
        + f'<div class="ticks">{"".join(_ticks(found.start, found.end))}</div></div>'
    )


def _plot(kind: str, name: str, inside: str, top: str, bottom: str) -> str:
    return (
        f'<div class="{kind}"><svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{name}">'
        f'{inside}</svg><span class="end" style="top: 2px">{top}</span>'
        f'<span class="end" style="bottom: 2px">{bottom}</span><i></i></div>'
    )


def _silences(found: Found) -> Iterator[tuple[float, float]]:
    """Begin and end of the time around windows without anything to hear, each up to the middle to its neighbors."""
    times = [peak.time for peak in found.peaks]
    borders = [found.start, *((a + b) / 2 for a, b in pairwise(times)), found.end]
    return ((a, b) for peak, (a, b) in zip(found.peaks, pairwise(borders), strict=True) if not peak.audible)


def _ticks(start: float, end: float) -> Iterator[str]:
    step = next((one for one in TICKS if (end - start) / one <= MOST_TICKS), TICKS[-1])
    number = -(-start // step)
    while (time := number * step) <= end:
        share = (time - start) / max(end - start, 1e-6)
        yield f'<span style="left: {100 * min(0.97, max(0.02, share)):.1f}%">{time:g} s</span>'
        number += 1
