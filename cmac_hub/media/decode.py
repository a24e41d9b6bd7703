"""One stream of a file as decoded frames, from any time on: broken packets are skipped, bad seeks are noticed.

Every stream is decoded from an opening of its own. A file that holds all of its sound before its frames then needs no
more memory than an interleaved one, because neither stream waits for the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.stream import Stream

from cmac_hub.media.info import audio_stream, open_media, video_stream

MOST_BROKEN = 500
"""Packets in a row that may fail to decode before a stream counts as ended."""

SEEK_BACK = (0.0, 3.0, 15.0)
"""Seconds before the wanted time to seek to, in turn: some containers land after it, or where decoding cannot begin."""


def decode_stream(
    path: Path, kind: Literal["video", "audio"], start: float | None = None
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Decoded frames of the first video or audio stream, in order of presentation.

    Args:
        path: a file that has a stream of this kind.
        kind: which stream.
        start: seconds; frames come from some frame at or before it on, reached by seeking. A file that cannot seek is
            decoded from its beginning.

    Raises:
        MediaError: the file cannot be opened.
    """
    for back in SEEK_BACK if start is not None else ():
        assert start is not None
        with open_media(path) as container:
            stream = _only(container, kind)
            if not _seek(container, stream, start - back):
                break
            frames = decode_packets(container, stream)
            first = next(frames, None)
            if first is not None and _stamp(first) <= start:
                yield first
                yield from frames
                return
    with open_media(path) as container:
        yield from decode_packets(container, _only(container, kind))


def _stamp(frame: av.VideoFrame | av.AudioFrame) -> float:
    """The earliest time a frame may belong to, s; without any stamp a seek cannot be trusted: infinity."""
    stamps = [stamp for stamp in (frame.pts, frame.dts) if stamp is not None]
    return float(min(stamps) * frame.time_base) if stamps and frame.time_base else float("inf")


def isolate(container: InputContainer, stream: Stream) -> None:
    """Has every other stream skipped, unread where the container can."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all


def _only(container: InputContainer, kind: str) -> Stream:
    stream: Stream | None = video_stream(container) if kind == "video" else audio_stream(container)
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


def demux_packets(container: InputContainer, stream: Stream) -> Iterator[av.Packet]:
    """Packets of a stream, past places where the container is broken, until it ends; the last, empty one flushes."""
    for _ in range(MOST_BROKEN):
        try:
            yield from container.demux(stream)
            return
        except av.FFmpegError:
            continue


def decode_packets(container: InputContainer, stream: Stream) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """What can be decoded of a stream: a broken packet is skipped, a file that breaks off ends."""
    broken = 0
    for packet in demux_packets(container, stream):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            broken += 1
            if broken > MOST_BROKEN:
                return
            continue
        broken = 0
        for frame in decoded:
            if isinstance(frame, av.AudioFrame) or (isinstance(frame, av.VideoFrame) and not frame.is_corrupt):
                yield frame
