"""One clock for picture and sound: what is done to time stamps that fall back, jump ahead, repeat, or differ.

Numbers only; `survey.py` reads them from a file and moves its packets, `mending.py` has the steps. The laws:

1. **Wild stamps.** Packets off the clock, after which the stream goes on with it: they alone are put back.
2. **Joins.** Stamps that fall back and stay begin a new part of the file (joined TS or VOB, chained Ogg). It follows
   all that came before, picture and sound by the same shift. Which packets of the other stream belong to it is told by
   their own fall, or by which of both clocks they are nearer to in the order of the file.
3. **Gaps.** A time in which neither stream has anything stays up to `LONGEST_GAP`; a longer one is closed. If the other
   stream never comes near the time to which one jumps, that one alone is moved back. Where the other goes on meanwhile,
   a gap is honest however long it is: it is paid for in packets.
4. **Repeats.** A packet of sound with the stamp of the one before it follows that one by its length.
5. **No clock at all.** Where packets of sound hold far less than the time between their stamps, or stamps fall twice a
   second and more, all packets of the stream follow each other by their lengths.

Everything else stays as it is: sound that starts late, holes in it, pictures that stay on screen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmac_hub.media.mending import Track, close_gaps, find_parts, tame
from cmac_hub.media.stamps import LONGEST_GAP, Stamps, strays, usual_lengths

REPEATS = 3
"""Equal stamps of sound in a row of packets, from which on they are no rounding."""

SHORTEST = 0.5
"""Seconds that parts last at least on average, or they are none."""

UNMOVED = 1e-5
"""Seconds: a tick of the finest clocks in use."""

BEGIN = 9
"""Packets whose median stamp is where a stream begins, though a few of them be wild."""

AGREED = 1.0
"""Seconds by which a header's end may differ from that of the packets: it tells of cut edges that they do not."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Where picture and sound lie, and by how much each packet is to be moved for it."""

    start: float
    """Seconds: the earliest moment of either stream."""
    end: float
    """Seconds: where the last of both ends."""
    last: float
    """Seconds: the last stamp of both."""
    told: bool = True
    """Whether the file says how long every packet lasts."""
    video: np.ndarray | None = None
    """(N,) seconds to add to the stamps of each packet, in the order of the file; None moves nothing."""
    audio: np.ndarray | None = None
    said: str = ""
    """What was mended, for one line; empty where nothing was."""

    def may_hold(self, time: float) -> bool:
        """Whether a frame may come at that time; further away is no packet whose stamp was read."""
        return self.start - LONGEST_GAP <= time <= self.end + LONGEST_GAP

    def agrees(self, end: float) -> bool:
        """Whether a file with these packets may end there, as its header says."""
        latest = self.end if self.told else self.last + LONGEST_GAP
        return not self.said and self.last - AGREED <= end <= latest + AGREED


def timeline(video: Stamps | None, audio: Stamps | None) -> Timeline | None:
    """The clock of a file; None where no stamp says anything."""
    streams = {name: one for name, one in (("picture", video), ("sound", audio)) if one is not None}
    streams = {name: one for name, one in streams.items() if np.isfinite(one.decoded).any()}
    if not streams:
        return None
    if not are_sound(streams) and (mended := _mend(streams)).said:
        return mended
    shown = [np.where(np.isfinite(one.shown), one.shown, one.decoded) for one in streams.values()]
    lengths = [usual_lengths(one.decoded, one.length) for one in streams.values()]
    return Timeline(
        min(float(np.nanmin(one)) for one in shown),
        max(float(np.nanmax(one + length)) for one, length in zip(shown, lengths, strict=True)),
        max(float(np.nanmax(one)) for one in shown),
        told=all(bool((one.length > 0).all()) for one in streams.values()),
    )


def are_sound(streams: dict[str, Stamps]) -> bool:
    """Whether stamps of "picture" and "sound" are honest at a glance; some that are not turn out to be so, too."""
    firsts = []
    for name, one in streams.items():
        times = one.decoded[np.isfinite(one.decoded)]
        steps = np.diff(times)
        if one.thin or (steps < -one.tolerance).any() or (steps > LONGEST_GAP).any():
            return False
        if strays(one.decoded, one.shown, usual_lengths(one.decoded, one.length)).any():
            return False
        if name == "sound" and np.count_nonzero(steps == 0) >= REPEATS:
            return False
        firsts.append(times[0])
    return max(firsts) - min(firsts) <= LONGEST_GAP


def _mend(streams: dict[str, Stamps]) -> Timeline:
    said: list[str] = []
    tracks = {
        name: Track(one.place, one.decoded, one.shown, one.length, one.tolerance) for name, one in streams.items()
    }
    stray = {}
    for name, track in tracks.items():
        repeated, stray[name] = track.complete(repeats=name == "sound")
        if streams[name].thin:
            track.string(float(track.times[0]))
            said.append(f"time stamps of the {name} that lie further apart than its packets last")
        elif repeated >= REPEATS:
            said.append(f"{repeated} time stamps of the {name} that repeat")
    begins = {name: float(np.median((track.times - track.content())[:BEGIN])) for name, track in tracks.items()}
    for name, track in tracks.items():
        beside = next((begins[other] for other in tracks if other != name), None)
        wild = tame(track, beside) + stray[name]
        if len(track.falls()) * SHORTEST > track.lengths.sum():
            begins[name] = begins[name] if beside is None else beside
            track.string(begins[name])
            said.append(f"time stamps of the {name} that tell nothing")
        elif wild:
            said.append(f"{wild} wild time stamp{'s' * (wild > 1)} of the {name}")
    parts, alone = find_parts(list(tracks.values()))
    if alone:
        said.append(f"{alone} time{'s' * (alone > 1)} the clock of one stream alone fell back")
    if len(parts) > 1:
        said.append(f"{len(parts)} parts of which each begins anew")
    low, end, closed = np.inf, -np.inf, 0.0
    for part in parts:
        closed += close_gaps(part)
        if np.isfinite(end):
            shift = end - min(track.shown().min() for track in part)
            for track in part:
                track.times += shift
        low = min(low, *(track.shown().min() for track in part))
        end = max(end, *((track.shown() + track.lengths).max() for track in part))
    if closed:
        said.append(f"{_human(closed)} in which there is nothing")
    moved = {name: _moved(streams[name], track) for name, track in tracks.items()}
    shifts = {name: shift for name, shift in moved.items() if np.abs(shift).max() > UNMOVED}
    said = said or ["picture and sound that lie apart"] * bool(shifts)
    last = max(float(track.shown().max()) for track in tracks.values())
    return Timeline(float(low), float(end), last, True, shifts.get("picture"), shifts.get("sound"), ", ".join(said))


def _moved(one: Stamps, track: Track) -> np.ndarray:
    """(N,) seconds by which each packet comes later than its stamps say; 0 where it has none."""
    by_decoding = np.isfinite(one.decoded)
    return np.nan_to_num(
        np.where(by_decoding, track.times, track.shown()) - np.where(by_decoding, one.decoded, one.shown)
    )


def _human(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds:.0f} s"
