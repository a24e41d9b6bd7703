"""A pass over a file's packets without decoding: their time stamps, and those stamps moved as the timeline says."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream

from cmac_hub.media.opening import demux_packets, isolate, open_media
from cmac_hub.media.stamps import APART, FALL, Stamps
from cmac_hub.media.timeline import Timeline, timeline

NONE = -(2**63)
"""Ticks of a stamp that is missing, as FFmpeg has it."""

MOST = 2**62
"""Ticks that a stamp may have at most."""

COARSE = Fraction(1, 10)
"""Seconds of a tick from which on a clock is too coarse for what is to be on it."""

FINE = Fraction(1, av.time_base)
"""Seconds of a tick of the clock that is taken in its place."""

SPARSE, THIN, PACKET = 10.0, 400.0, 0.04
"""Seconds from packet to packet of sound, and bits in a second of them, beyond and below which it is thin: MP3 makes
8000 bits of a second, and silence as long in one packet is unusual. Seconds that a packet lasts of which nothing is
known."""

REORDERED = 0.5
"""Seconds by which stamps of a picture may fall: frames are stored in another order than they are shown, and some files
tell that of showing alone."""


def find_timeline(
    container: InputContainer, path: Path, video: av.VideoStream | None, audio: av.AudioStream | None
) -> Timeline | None:
    """The clock of a file: from its index where it has a whole one and that is in order, else from all of its packets.

    An index costs a millisecond; packets some milliseconds a minute, and the reading of the file: what they tell is
    remembered, as training asks for many seconds of one file.

    Args:
        container: an opening of the file; none of its packets is read.
        path: the file.
        video: its picture.
        audio: its sound.
    """
    indexed = [None if stream is None else _stamps_of_index(container, stream) for stream in (video, audio)]
    if all((stream is None) == (stamps is None) for stream, stamps in zip((video, audio), indexed, strict=True)):
        found = timeline(*indexed)
        told = (container.duration or 0) / av.time_base
        if found is not None and not found.said and found.agrees(found.start + told):
            return found
    state = path.stat()
    numbers = [None if stream is None else stream.index for stream in (video, audio)]
    return _surveyed(path, state.st_size, state.st_mtime_ns, *numbers)


def _stamps_of_index(container: InputContainer, stream: Stream) -> Stamps | None:
    """What MP4 and MOV tell of every packet before the first one; None where that is not whole."""
    if "mov" not in container.format.name or not 0 < len(stream.index_entries) == stream.frames:
        return None
    if not stream.time_base:
        return None
    decoded = np.array([entry.timestamp for entry in stream.index_entries], np.float64) * float(stream.time_base)
    # The index has no presentation stamps: they lie a little later, and the first of them is known.
    begin = decoded[0] if stream.start_time is None else float(stream.start_time * stream.time_base)
    return Stamps(np.arange(len(decoded)), decoded, decoded - decoded[0] + begin, np.zeros(len(decoded)))


@lru_cache(maxsize=256)
def _surveyed(path: Path, size: int, changed: int, video: int | None, audio: int | None) -> Timeline | None:
    with open_media(path) as container:
        streams = [None if index is None else container.streams[index] for index in (video, audio)]
        there = [stream for stream in streams if stream is not None]
        rows = _columns(container, *there)
        for one in there if len(there) > 1 else ():
            # MP4 is read in the order of stamps, and a broken one may end before one of its streams begins.
            expected = one.frames if "mov" in container.format.name else 0
            if len(rows[one.index][0]) < max(1, expected):
                _add_alone(path, one.index, rows)
        return timeline(*(None if one is None else _as_stamps(one, *rows[one.index]) for one in streams))


def _columns(container: InputContainer, *streams: Stream) -> dict[int, list[array[int]]]:
    """By the stream's index: its packets' place, stamps of decoding and of presentation, lengths, and bytes."""
    isolate(container, *streams)
    rows = {stream.index: [array("q") for _ in range(5)] for stream in streams}
    for place, packet in enumerate(filter(_counts, demux_packets(container, *streams))):
        decoded = NONE if packet.dts is None else packet.dts
        shown = NONE if packet.pts is None else packet.pts
        values = (place, decoded, shown, packet.duration or 0, packet.size)
        for column, value in zip(rows[packet.stream_index], values, strict=True):
            column.append(value)
    return rows


def _add_alone(path: Path, index: int, rows: dict[int, list[array[int]]]) -> None:
    """Adds those packets of a stream that are reached when no other is read, behind all others."""
    with open_media(path) as container:
        alone = _columns(container, container.streams[index])[index]
    read, behind = len(rows[index][0]), sum(len(columns[0]) for columns in rows.values())
    alone[0] = array("q", (behind + place for place in alone[0]))
    for column, more in zip(rows[index], alone, strict=True):
        column.extend(more[read:])


def _counts(packet: av.Packet) -> bool:
    """Whether it is one of the file's: others flush, or are decoded and never shown, as an edit list cuts them away."""
    return (packet.size > 0 or packet.dts is not None or packet.pts is not None) and not packet.is_discard


def _as_stamps(stream: Stream, *columns: array[int]) -> Stamps | None:
    if not columns[0] or not stream.time_base:
        return None
    places = np.array(columns[0])
    decoded, shown, length, size = (np.array(one, np.float64) for one in columns[1:])
    base = float(stream.time_base)
    for one in (decoded, shown):
        one[one == NONE] = np.nan
        one *= base
    if np.isnan(decoded).all():
        decoded = shown.copy()
    shown = np.where(np.abs(shown - decoded) > APART, decoded, shown)
    length = np.maximum(length * base, 0)
    if stream.type == "video":
        return Stamps(places, decoded, shown, length, REORDERED)
    known = decoded[np.isfinite(decoded)]
    step = float(np.median(np.diff(known))) if len(known) > 1 else 0.0
    thin = step > SPARSE and bool(8 * np.median(size) < THIN * step)
    if thin:
        rate = stream.codec_context.bit_rate
        length = np.clip(8 * size / rate, 0, 1) if rate else np.full(len(size), PACKET)
    return Stamps(places, decoded, shown, length, FALL, thin)


def move_packets(packets: Iterable[av.Packet], shifts: np.ndarray | None) -> Iterator[av.Packet]:
    """A stream's packets, from its first on, with stamps as they are to be.

    Args:
        packets: in the order of the file.
        shifts: (N,) seconds of each; None moves none, but a presentation stamp that is far from that of decoding gives
            way to it in any case.
    """
    number = 0
    for packet in packets:
        if packet.time_base and shifts is not None:
            # Those that flush, too, as frames take the clock of the packet at which they come out.
            _move(packet, float(shifts[min(number, len(shifts) - 1)]) if _counts(packet) else 0.0)
        if packet.time_base and _counts(packet):
            number += 1
            far = packet.pts is not None and packet.dts is not None and abs(packet.pts - packet.dts)
            if far and far * packet.time_base > APART:
                packet.pts = packet.dts
        yield packet


def _move(packet: av.Packet, shift: float) -> None:
    base, scale = packet.time_base, 1.0
    if base > COARSE:
        packet.time_base, scale = FINE, float(base / FINE)
        packet.duration = min(round((packet.duration or 0) * scale), MOST)
    ticks = shift / float(packet.time_base)
    for name in ("dts", "pts"):
        stamp = getattr(packet, name)
        if stamp is not None:
            moved = round(stamp * scale + ticks) if scale != 1 else stamp + round(ticks)
            setattr(packet, name, moved if abs(moved) <= MOST else None)
