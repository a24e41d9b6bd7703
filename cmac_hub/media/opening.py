"""Opening a media file, and its packets as they lie in it: what every other module begins with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.logging
from av.container import InputContainer
from av.stream import Stream

from cmac_hub.errors import MediaError

NO_MEDIA = {"tty", "hls", "concat", "dash", "bin", "xbin", "lrc", "srt", "ass", "webvtt"}
"""Formats FFmpeg would open that are text, or lists that name other files."""

MOST_PIXELS = 8192 * 8192
"""Pixels of a picture: what claims more is not decoded, as it would fill the memory."""

LIMITS = {"max_pixels": str(MOST_PIXELS)}
"""Options of every decoder, those that FFmpeg opens to find out what a file holds too."""

MOST_BROKEN = 500
"""Packets in a row that may fail to decode before a stream counts as ended."""


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """Opens a file for reading; FFmpeg's log stays quiet, its errors become one clear line.

    Raises:
        MediaError: the path is missing, a folder, empty, or no media file that FFmpeg can read.
    """
    path = Path(path)
    if not path.exists():
        if re.match("[a-z][a-z0-9+.-]+:/", str(path)):
            raise MediaError(f"{path} is an address; addresses are not read, only files: download it first")
        raise MediaError(f"there is no file {path}")
    if path.is_dir():
        raise MediaError(f"{path} is a folder; give a media file")
    if not path.is_file():
        raise MediaError(f"{path} is no ordinary file; give a media file")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes); give a media file")
    av.logging.set_level(None)
    try:
        # "./" keeps FFmpeg from reading a name such as "concat:a" as a protocol.
        options = {"protocol_whitelist": "file", **LIMITS}
        container = av.open(os.path.join(".", path), metadata_errors="ignore", options=options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path} is no media file that can be read ({_reason(error)})") from error
    try:
        if container.format.name in NO_MEDIA:
            raise MediaError(f"{path} is text ({container.format.name}), no media file")
        for stream in container.streams.video:
            if stream.codec_context is not None:
                stream.codec_context.options = LIMITS
        yield container
    finally:
        container.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def video_stream(container: InputContainer) -> av.VideoStream | None:
    """The first video stream; the cover of a song is none."""
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic or stream.codec_context is None:
            continue
        if stream.codec_context.width and stream.codec_context.height:
            return stream
    return None


def codec_name(stream: Stream) -> str:
    """The codec's own name ("av1", "mp3"), not that of the decoder in use ("libdav1d", "mp3float")."""
    codec = stream.codec_context.codec
    return str(getattr(codec, "canonical_name", None) or codec.name)


def isolate(container: InputContainer, *streams: Stream) -> None:
    """Has every other stream skipped, unread where the container can."""
    kept = {stream.index for stream in streams}
    for other in container.streams:
        if other.index not in kept:
            other.discard = av.stream.Discard.all


def demux_packets(container: InputContainer, *streams: Stream) -> Iterator[av.Packet]:
    """Packets of some streams, past places where the container is broken, until it ends; the last, empty ones flush."""
    for _ in range(MOST_BROKEN):
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            # A stream that began midway, unknown to PyAV, ends the reading after all packets of the others.
            return
        except av.FFmpegError:
            continue
