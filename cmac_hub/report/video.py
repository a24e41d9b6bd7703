"""One video of a report as HTML: its picture, three curves, and the moments that are worth a look."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmac_hub.config import HEARING, Map, Scale
from cmac_hub.inference import SILENCE
from cmac_hub.media import MediaInfo
from cmac_hub.moments import Moment, Peak
from cmac_hub.report.curve import Curve, drawn
from cmac_hub.report.markup import clock, escaped, isolated, link
from cmac_hub.report.stretches import Stretch, best_and_least, silent, unlit
from cmac_hub.report.thumbnail import thumbnail

QUIETEST = 20 * math.log10(SILENCE)
"""dB of full scale at which the curve of the sound's level ends."""

MOST_STRETCHES = 5
"""Stretches without light that are named, the longest."""


@dataclass(frozen=True)
class Video:
    """What a page tells of one video."""

    name: str
    """As the page calls it."""
    drawn: Path
    """What its links lead to: the video with the attention over it."""
    info: MediaInfo
    """Of the source."""
    peaks: list[Peak]
    """Of all windows, in order, at least one."""
    hottest: Moment | None
    """See `Hottest`."""
    which: Map
    """The map that was drawn."""
    window: float
    """Seconds that the network was shown at once."""

    @property
    def unlit(self) -> list[Stretch]:
        """Where something sounds and nothing is lit, for a window or longer; nowhere for a map that does not hear."""
        found = unlit(self.peaks, self.hop) if self.hears else []
        return [one for one in found if one.stop - one.start >= self.window]

    @property
    def span(self) -> Stretch:
        """From its beginning to its end, on the container's clock."""
        last = self.peaks[-1].time
        return Stretch(self.info.start, max(last, self.info.start + (self.info.duration or 0)))

    @property
    def hears(self) -> bool:
        """Whether its map compares picture and sound, and there is sound."""
        return self.which in HEARING and any(peak.audible for peak in self.peaks)

    @property
    def hop(self) -> float:
        """Seconds from one window to the next."""
        times = [peak.time for peak in self.peaks]
        return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0

    def player_time(self, time: float) -> float:
        """Seconds since the beginning, as players count and the drawn video begins; from the container's clock."""
        return max(0.0, time - self.info.start)


def entry(video: Video, folder: Path, number: int, scale: Scale, limit: float) -> str:
    """The part of a page that tells of one video.

    Args:
        video: which.
        folder: of the page, which links are relative to.
        number: names its anchor.
        scale: that of the drawing.
        limit: the value from which a peak is seen to be lit.
    """
    address = escaped(link(video.drawn, folder))
    return "\n".join(
        [
            f'<article id="v{number}">',
            f'<h2><a href="{address}">{isolated(video.name)}</a></h2>',
            f'<p class="facts">{_facts(video)}</p>',
            f'<div class="body">{_picture(video, folder, scale)}',
            f'<div class="told">{_curves(video, limit)}',
            f"{_moments(video, folder)}</div></div>",
            "</article>\n",
        ]
    )


def _facts(video: Video) -> str:
    info, peaks = video.info, video.peaks
    heard = [peak for peak in peaks if peak.audible]
    facts = ["" if info.duration is None else clock(info.duration), f"{info.width} &times; {info.height}"]
    if not info.has_audio:
        facts.append("no sound track")
    elif not heard:
        facts.append("nothing to hear")
    elif len(heard) < len(peaks):
        facts.append(f"sound in {_percent(len(heard), len(peaks))} of it")
    told = heard if video.which in HEARING else peaks
    if told:
        when = "while it sounds" if video.hears else "of the time"
        facts.append(f"lit {_percent(sum(peak.lit for peak in told), len(told))} {when}")
    if peaks[0].padded:
        facts.append("shorter than a window")
    return " · ".join(fact for fact in facts if fact)


def _percent(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %"


def _picture(video: Video, folder: Path, scale: Scale) -> str:
    if video.hottest is None or (data := thumbnail(video.info, video.hottest, scale)) is None:
        return '<div class="picture none">no picture</div>'
    time = video.player_time(video.hottest.time)
    address = escaped(link(video.drawn, folder, time))
    text = base64.b64encode(data).decode()
    dark = "" if video.hottest.peak(video.info).lit else ", not lit"
    return (
        f'<a class="picture" href="{address}"><img alt="the frame at {clock(time)} with its attention" '
        f'src="data:image/jpeg;base64,{text}"><span>{clock(time)}, highest peak{dark}</span></a>'
    )


def _curves(video: Video, limit: float) -> str:
    times = [peak.time for peak in video.peaks]
    span = video.span
    shades = {"quiet": silent(video.peaks, video.hop)} if video.info.has_audio else {}
    if video.hears:
        shades["unlit"] = unlit(video.peaks, video.hop)
    levels = [None if peak.sound_level is None else _decibels(peak.sound_level) for peak in video.peaks]
    curves = [
        ("sound level", "dB", ".0f", Curve("level", levels, QUIETEST, 0)),
        ("agreement", "", ".2f", Curve("agreement", [peak.agreement for peak in video.peaks], 0, 1)),
        ("peak", "", ".2f", Curve("peak", [peak.score for peak in video.peaks], 0.4, 1, limit)),
    ]
    rows = []
    for name, unit, form, curve in curves:
        known = [value for value in curve.values if value is not None]
        if not known:
            continue
        low, high = (f"{value:{form}}".replace("-", "&minus;") for value in (min(known), max(known)))
        told = f"{low} to {high} {unit}".strip()
        picture = drawn(curve, times, span, shades, f"{name} over time, {told}")
        rows.append(
            f'<div class="row"><span class="name {curve.name}">{name}<small>{told}</small></span>{picture}</div>'
        )
    ends = "".join(f"<span>{clock(span.stop * share - span.start * share)}</span>" for share in (0, 0.5, 1))
    return f'<div class="curves">{"".join(rows)}<div class="row axis"><span></span><div>{ends}</div></div></div>'


def _decibels(level: float) -> float:
    return 20 * math.log10(max(level, 1e-6))


def _moments(video: Video, folder: Path) -> str:
    best, least = best_and_least(video.peaks, video.window)
    rows = [("matches best", _links(video, folder, best)), ("matches least", _links(video, folder, least))]
    rows.append(("nothing lit", _unlit(video, folder)))
    return "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{told}</dd></div>" for name, told in rows if told) + "</dl>"


def _links(video: Video, folder: Path, peaks: Iterable[Peak]) -> str:
    found = []
    for peak in peaks:
        time = video.player_time(peak.time)
        address = escaped(link(video.drawn, folder, time))
        found.append(f'<a href="{address}">{clock(time)}</a> <small>{peak.agreement:.2f}</small>')
    return " ".join(f"<span>{one}</span>" for one in found)


def _unlit(video: Video, folder: Path) -> str:
    stretches = video.unlit
    longest = sorted(stretches, key=lambda one: one.start - one.stop)[:MOST_STRETCHES]
    found = []
    for start, stop in sorted(longest):
        begin, end = video.player_time(start), video.player_time(min(stop, video.span.stop))
        address = escaped(link(video.drawn, folder, begin))
        found.append(f'<span><a href="{address}">{clock(begin)} to {clock(end)}</a></span>')
    if len(stretches) > len(longest):
        found.append(f"<span>and {len(stretches) - len(longest)} shorter</span>")
    return " ".join(found) + (" <em>the source is not in the picture, or was missed</em>" if found else "")
