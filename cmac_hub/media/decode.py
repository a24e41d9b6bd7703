"""One stream of a file as decoded frames, from any time on: broken packets are skipped, bad seeks are noticed.

Every stream is decoded from an opening of its own. A file that holds all of its sound before its frames then needs no
more memory than an interleaved one, because neither stream waits for the other.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream

from cmac_hub.errors import UndecodableError
from cmac_hub.media.info import MediaInfo
from cmac_hub.media.opening import MOST_BROKEN, demux_packets, isolate, open_media, video_stream
from cmac_hub.media.survey import move_packets
from cmac_hub.media.tracks import audio_stream

SEEK_BACK = (0.0, 3.0, 15.0)
"""Seconds before the wanted time to seek to, in turn: some containers land after it, or where decoding cannot begin."""

REORDERED = 1.0
"""Seconds by which a packet may come after others that are shown later."""

Kind = Literal["video", "audio"]
Decoded = av.VideoFrame | av.AudioFrame


@dataclass
class Tally:
    """How the packets of a stream fared."""

    packets: int = 0
    broken: int = 0
    frames: int = 0
    encrypted: bool = False

    @property
    def mostly_broken(self) -> bool:
        """Whether fewer than one packet in ten gives something."""
        return self.frames * 9 < self.broken


def decode_stream(info: MediaInfo, kind: Kind, start: float | None = None) -> Iterator[Decoded]:
    """Decoded frames of a file's video or audio, in order of presentation, on its mended clock.

    Args:
        info: what `probe` says of a file that has a stream of this kind.
        kind: which stream.
        start: seconds; frames come from some frame at or before it on, reached by seeking. A file that cannot seek is
            decoded from its beginning.

    Raises:
        MediaError: the file cannot be opened.
        UndecodableError: not one frame can be decoded.
    """
    for back in SEEK_BACK if start is not None else ():
        assert start is not None
        with open_media(info.path) as container:
            stream = _only(container, info, kind)
            if _shifts(info, kind) is not None:
                packets = _wound(_packets(container, stream, info, kind), start - back)
            elif _seek(container, stream, start - back):
                packets = move_packets(demux_packets(container, stream), None)
            else:
                break
            frames = decode_packets(packets)
            first = next(frames, None)
            if first is not None and _stamp(first) <= start:
                yield first
                yield from frames
                return
    with open_media(info.path) as container:
        stream, tally = _only(container, info, kind), Tally()
        held: list[Decoded] = []
        for frame in decode_packets(_packets(container, stream, info, kind), tally):
            # Noise is sound now and then, for a packet: the few frames of a stream of noise are none of it.
            if kind == "audio" and tally.mostly_broken:
                held.append(frame)
                continue
            yield from held
            held.clear()
            yield frame
        # A track of sound without a packet is silent; a picture without one is none.
        if (tally.packets or kind == "video") and (held or not tally.frames):
            what, codec = ("no frame", info.video_codec) if kind == "video" else ("no sound", info.audio_codec)
            why = "encrypted" if tally.encrypted else "broken, or not what this FFmpeg reads"
            raise UndecodableError(f"{what} of {info.path} can be decoded: its {kind} stream ({codec}) is {why}")
        if tally.mostly_broken:
            share = f"{tally.broken} of {tally.packets} packets are broken"
            warnings.warn(f"most of the {kind} stream of {info.path} cannot be decoded: {share}", stacklevel=2)


def _shifts(info: MediaInfo, kind: Kind) -> np.ndarray | None:
    return None if info.timeline is None else getattr(info.timeline, kind)


def _packets(container: InputContainer, stream: Stream, info: MediaInfo, kind: Kind) -> Iterator[av.Packet]:
    return move_packets(demux_packets(container, stream), _shifts(info, kind))


def _wound(packets: Iterator[av.Packet], time: float) -> Iterator[av.Packet]:
    """A stream's packets from the last key packet at or before a time on: on a mended clock the way to it leads over
    all packets before, none of which is decoded."""
    held: list[av.Packet] = []
    for packet in packets:
        stamp = packet.dts if packet.pts is None else packet.pts
        at = None if stamp is None or packet.time_base is None else float(stamp * packet.time_base)
        if packet.is_keyframe and at is not None and at <= time:
            held.clear()
        held.append(packet)
        if at is not None and at > time + REORDERED:
            break
    yield from held
    yield from packets


def _stamp(frame: av.VideoFrame | av.AudioFrame) -> float:
    """The latest time a frame may belong to, s; without any stamp a seek cannot be trusted: infinity."""
    stamps = [stamp for stamp in (frame.pts, frame.dts) if stamp is not None]
    return float(max(stamps) * frame.time_base) if stamps and frame.time_base else float("inf")


def _only(container: InputContainer, info: MediaInfo, kind: Kind) -> Stream:
    stream: Stream | None = video_stream(container) if kind == "video" else audio_stream(container, info.audio_track)
    assert stream is not None, "callers have asked `probe` before"
    isolate(container, stream)
    if isinstance(stream, av.VideoStream):
        # Threads of a decoder gain nothing on small frames and delay the first frame.
        large = stream.codec_context.width * stream.codec_context.height >= 640 * 360
        stream.thread_type = "AUTO" if large else "NONE"
    return stream


def _seek(container: InputContainer, stream: Stream, time: float) -> bool:
    if stream.time_base is None:
        return False
    first = stream.start_time * stream.time_base if stream.start_time is not None else 0
    if time <= first:
        return False
    try:
        container.seek(int(time / stream.time_base), stream=stream, backward=True)
    except av.FFmpegError:
        return False
    return True


def decode_packets(packets: Iterable[av.Packet], tally: Tally | None = None) -> Iterator[Decoded]:
    """What can be decoded of a stream: broken packets are skipped, a file that breaks off ends; `tally` counts them."""
    tally = Tally() if tally is None else tally
    in_a_row = 0
    for packet in packets:
        encrypted = packet.has_sidedata("encryption_info")
        tally.packets += packet.size > 0
        tally.encrypted |= encrypted
        try:
            decoded = None if encrypted else packet.decode()
        except av.FFmpegError:
            decoded = None
        if decoded is None:
            tally.broken += 1
            in_a_row += 1
            if in_a_row > MOST_BROKEN:
                return
            continue
        in_a_row = 0
        for frame in decoded:
            if isinstance(frame, av.AudioFrame) or (isinstance(frame, av.VideoFrame) and not frame.is_corrupt):
                tally.frames += 1
                yield frame
