"""The steps by which broken time stamps are mended, on arrays of seconds; the laws stand in `timeline.py`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cmac_hub.media.stamps import FALL, LONGEST_GAP, fill, strays, usual_lengths

OVERLAP = 1.0
"""Seconds that one stream alone may fall back by and only repeat itself; what is said twice is cut, as of old."""

SHORT = 1.0
"""Seconds of packets that a stretch of wild stamps has at most; a longer one is a part, or lies behind a gap."""

LOST = 10.0
"""Seconds of packets that may be missing beside a wild one, and after which picture and sound are compared."""

LOOK = 8
"""Stretches in a row after which no return to the old clock is looked for."""

NEAR = 2.0
"""Seconds of packets by which picture and sound of one moment may lie apart in a file."""


@dataclass
class Track:
    """One stream while it is mended, or a part of one, whose arrays are views of the whole's."""

    place: np.ndarray
    times: np.ndarray
    """Decoding times as they are to be."""
    ahead: np.ndarray
    """By how much each packet's presentation comes after it; made from presentation stamps by `complete`."""
    lengths: np.ndarray
    tolerance: float

    def complete(self, repeats: bool) -> tuple[int, int]:
        """Makes copies without missing stamps, and with `repeats` without equal ones; gives how many were equal, and
        how many were `strays`."""
        raw, shown = self.times, self.ahead
        self.lengths = usual_lengths(raw, self.lengths)
        equal = np.zeros(len(raw), bool)
        equal[1:] = repeats & (raw[1:] == raw[:-1])
        self.times = fill(np.where(equal, np.nan, raw), self.lengths)
        wild = strays(raw, shown, self.lengths)
        ahead = shown - raw
        usual = float(np.nanmedian(ahead)) if np.isfinite(ahead).any() else 0.0
        ahead = np.where(np.isnan(raw), shown - self.times, ahead)
        self.ahead = np.nan_to_num(np.where(wild, usual, ahead))
        return int(equal.sum()), int(wild.sum())

    def shown(self) -> np.ndarray:
        """(N,) presentation times."""
        return self.times + self.ahead

    def content(self) -> np.ndarray:
        """(N,) seconds of packets before each."""
        return np.cumsum(self.lengths) - self.lengths

    def string(self, begin: float) -> None:
        """Forgets the stamps: packets follow each other by their lengths, from a time on."""
        self.times = begin + self.content()

    def due(self, i: int) -> float:
        """When packet i is due after the one before it."""
        return float(self.times[i - 1] + self.lengths[i - 1])

    def falls(self) -> np.ndarray:
        """Numbers of packets whose stamps fall back."""
        return 1 + np.flatnonzero(np.diff(self.times) < -self.tolerance)

    def part(self, begin: int, end: int) -> Track:
        """Packets begin to end."""
        cut = slice(begin, end)
        return Track(self.place[cut], self.times[cut], self.ahead[cut], self.lengths[cut], self.tolerance)


def tame(track: Track, other: float | None) -> int:
    """Law 1: puts back stretches of packets after which the stream goes on as before; gives how many packets.

    `other` is where the other stream begins: a first stretch is wild when the second one begins nearer to that.
    """
    steps = np.diff(track.times)
    breaks = 1 + np.flatnonzero((steps < -track.tolerance) | (steps > track.lengths[:-1] + FALL))
    begins = np.concatenate([[0], breaks, [len(track.times)]])
    first = track.times[begins[:-1]].copy()
    content = np.add.reduceat(track.lengths, begins[:-1])
    last = np.array([track.due(end) for end in begins[1:]])
    runs = len(first)
    wild, due, k = 0, last[0], 1
    leads = runs > 1 and content[0] <= SHORT and abs(first[1] - last[0]) > LONGEST_GAP and other is not None
    if leads and abs(first[1] - other) < abs(first[0] - other) and _return(first, last, content, due, k) is None:
        track.times[: begins[1]] += first[1] - content[0] - first[0]
        wild, due, k = int(begins[1]), last[1], 2
    while k < runs:
        back = None if abs(first[k] - due) <= FALL else _return(first, last, content, due, k)
        if back is None:
            due, k = last[k], k + 1
            continue
        for one in range(k, back):
            track.times[begins[one] : begins[one + 1]] += due - first[one]
            due += content[one]
        wild += int(begins[back] - begins[k])
        due, k = last[back], back + 1
    return wild


def _return(first: np.ndarray, last: np.ndarray, content: np.ndarray, due: float, k: int) -> int | None:
    """The stretch with which a stream returns to the clock on which `due` is: those from k up to it do not lie between
    the two."""
    room = 0.0
    for j in range(k + 1, min(k + 1 + LOOK, len(first))):
        room += content[j - 1]
        if room > SHORT:
            return None
        if due - FALL <= first[k] and last[j - 1] <= first[j] + FALL:
            continue
        between = any(due - FALL <= first[r] and last[r] <= first[j] + FALL for r in range(k, j))
        if not between and room - SHORT / 2 <= first[j] - due <= room + LOST:
            return j
    return None


def find_parts(tracks: list[Track]) -> tuple[list[list[Track]], int]:
    """Law 2: the parts of a file, each of which has packets of at least one stream, in order; and how often one stream
    alone fell back, which is mended here."""
    events = sorted((int(track.place[i]), which, int(i)) for which, track in enumerate(tracks) for i in track.falls())
    begins = [[0] * len(tracks)]
    done: set[tuple[int, int]] = set()
    carried = [0.0] * len(tracks)
    alone = 0
    orders = [_Order(tracks[which], tracks[1 - which]) for which in range(2)] if len(tracks) == 2 else []
    for _, which, i in events:
        if (which, i) in done or i < begins[-1][which]:
            continue
        partner = None
        if orders:
            partner = _partner(tracks[which], tracks[1 - which], orders[which], i, begins[-1][1 - which])
        if orders and partner is None:
            fall = tracks[which].due(i) - float(tracks[which].times[i])
            if fall > OVERLAP:
                tracks[which].times[i:] += fall
                carried[which] += fall
                alone += 1
            continue
        begin = [0] * len(tracks)
        begin[which] = i
        if partner is not None:
            begin[1 - which] = partner
            done.add((1 - which, partner))
        for one, track in enumerate(tracks):
            # What was carried on from a fall of one stream alone ends where both begin anew.
            track.times[begin[one] :] -= carried[one]
            carried[one] = 0.0
        begins.append(begin)
    begins.append([len(track.times) for track in tracks])
    cut = [
        [track.part(a, b) for track, a, b in zip(tracks, low, high, strict=True) if b > a]
        for low, high in pairwise(begins)
    ]
    return [part for part in cut if part], alone


class _Order:
    """How the packets of one stream lie among those of another in the file; found once, as no mending changes it."""

    def __init__(self, one: Track, other: Track) -> None:
        self.following = np.searchsorted(other.place, one.place)
        """Which packet of the other one comes after each."""
        self.before = np.searchsorted(one.place, other.place)
        """How many packets come before each of the other one."""
        self.content = other.content()
        """Seconds of the other stream before each of its packets."""
        self.own = np.concatenate([[0.0], np.cumsum(one.lengths)])[self.before]
        """Seconds of this stream before each packet of the other one."""


def _partner(one: Track, other: Track, order: _Order, i: int, begin: int) -> int | None:
    """The packet with which the other stream enters the part that one stream enters with packet i; None if it goes on
    as it was. Its last part began with packet `begin`."""
    here = max(int(order.following[i]), begin)
    if here in (begin, len(other.times)):
        return here
    low, near, far = np.searchsorted(order.content, order.content[here] + np.array([-NEAR, NEAR, LOST])).tolist()
    low = max(low, begin)
    close = np.abs(order.own[low:near] - order.own[here]) <= NEAR
    after = max(low, begin + 1)
    fallen = np.diff(other.times[after - 1 : near]) < -other.tolerance
    falls = after + np.flatnonzero(fallen & close[after - low :])
    if len(falls):
        return int(falls[np.abs(falls - here).argmin()])
    following = np.flatnonzero(np.diff(one.times[i:]) < -one.tolerance)
    if len(following) and other.place[here] > one.place[i + 1 + following[0]]:
        return here
    fall = one.due(i) - float(one.times[i])
    new = one.times[np.maximum(order.before[low:far] - 1, i)]
    nearer = np.abs(other.times[low:far] - new) < np.abs(other.times[low:far] - new - fall)
    if nearer[here - low :].mean() <= 0.5:
        return None
    if not nearer[here - low]:
        return here + int(nearer[here - low :].argmax())
    while here > low and nearer[here - 1 - low] and close[here - 1 - low]:
        here -= 1
    return here


def close_gaps(part: list[Track]) -> float:
    """Law 3, within one part; gives the seconds that were closed."""
    closed = 0.0
    for one in part:
        others = [other for other in part if other is not one]
        reach = max((float(other.times.max()) for other in others), default=-np.inf)
        late = float(one.times[0] - others[0].times[0]) if others else 0.0
        if late > LONGEST_GAP and reach < one.times[0] - LONGEST_GAP:
            one.times -= late
            closed += late
        shift = np.zeros(len(one.times))
        total = 0.0
        for i in map(int, 1 + np.flatnonzero(np.diff(one.times) > LONGEST_GAP)):
            if reach < one.times[i] - total - LONGEST_GAP:
                shift[i] = one.times[i] - one.due(i)
                total += shift[i]
        one.times -= np.cumsum(shift)
        closed += total
    union = np.sort(np.concatenate([one.times for one in part]))
    holes = 1 + np.flatnonzero(np.diff(union) > LONGEST_GAP)
    if len(holes):
        ends = np.sort(np.concatenate([one.times + np.minimum(one.lengths, LONGEST_GAP) for one in part]))
        before = ends[np.searchsorted(ends, union[holes]) - 1]
        shifts = np.concatenate([[0.0], np.cumsum(union[holes] - np.maximum(before, union[holes - 1]))])
        for one in part:
            one.times -= shifts[np.searchsorted(union[holes], one.times, side="right")]
        closed += float(shifts[-1])
    return closed
