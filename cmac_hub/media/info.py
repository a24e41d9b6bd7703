"""What a media file holds, without decoding it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import av.logging
from av.container import InputContainer
from av.stream import Stream

from cmac_hub.errors import MediaError

TICKS = av.time_base
"""FFmpeg's own clock: ticks a second of a container's start and duration."""

MOST_TRIED = 500
"""Packets in which the first frame is looked for."""

FASTEST = 960.0
"""Hertz: above it a frame rate is the clock's."""

WIDEST = 4
"""Pixels that are wider or higher than that are an error of the header."""

NO_MEDIA = {"tty", "hls", "concat", "dash", "bin", "xbin", "lrc", "srt", "ass", "webvtt"}
"""Formats FFmpeg would open that are text, or lists that name other files."""


@dataclass(frozen=True)
class MediaInfo:
    """A file's streams; times in seconds on the container's clock, sizes as displayed: turned, and in square pixels."""

    path: Path
    start: float
    """The earliest time stamp of either stream."""
    duration: float | None
    """Seconds from `start` to the end of the longer stream, as the container says; None where it does not."""
    has_video: bool
    has_audio: bool
    width: int
    height: int
    """Pixels; 0 without a video stream."""
    rotation: int
    """Degrees counterclockwise by which frames are turned for display: 0, 90, 180 or 270."""
    frame_rate: float | None
    """Hertz, the average; None where the container tells nothing plausible."""
    sample_rate: int | None
    """Hertz."""
    channels: int | None
    video_codec: str | None
    audio_codec: str | None


def as_info(media: str | Path | MediaInfo) -> MediaInfo:
    """What `probe` says of a file, which has said it already if it is given."""
    return media if isinstance(media, MediaInfo) else probe(media)


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """Opens a file for reading; FFmpeg's log stays quiet, its errors become one clear line.

    Raises:
        MediaError: the path is missing, a folder, empty, or no media file that FFmpeg can read.
    """
    path = Path(path)
    if not path.exists():
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
        container = av.open(os.path.join(".", path), metadata_errors="ignore", options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path} is no media file that can be read ({_reason(error)})") from error
    try:
        if container.format.name in NO_MEDIA:
            raise MediaError(f"{path} is text ({container.format.name}), no media file")
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


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """The first audio stream that can be decoded."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.sample_rate:
            return stream
    return None


def probe(path: str | Path) -> MediaInfo:
    """Reads a file's header, and decodes its first frame for size and rotation.

    Raises:
        MediaError: the file cannot be opened, or holds neither video nor audio.
    """
    return _probe(Path(path))


def _probe(path: Path) -> MediaInfo:
    with open_media(path) as container:
        video, audio = video_stream(container), audio_stream(container)
        if video is None and audio is None:
            raise MediaError(f"{path} holds neither video nor audio that can be decoded")
        found = [stream for stream in (video, audio) if stream is not None]
        starts = [float(s.start_time * s.time_base) for s in found if s.start_time is not None and s.time_base]
        rotation, width, height = (0, 0, 0) if video is None else _shape(container, video)
        start = min(starts) if starts else (container.start_time or 0) / TICKS
        return MediaInfo(
            path=path,
            start=start,
            duration=_duration(container, start),
            has_video=video is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            rotation=rotation,
            frame_rate=None if video is None else _frame_rate(video),
            sample_rate=audio.codec_context.sample_rate if audio else None,
            channels=audio.codec_context.channels if audio else None,
            video_codec=codec_name(video) if video else None,
            audio_codec=codec_name(audio) if audio else None,
        )


def codec_name(stream: Stream) -> str:
    """The codec's own name ("av1", "mp3"), not that of the decoder in use ("libdav1d", "mp3float")."""
    codec = stream.codec_context.codec
    return str(getattr(codec, "canonical_name", None) or codec.name)


def _duration(container: InputContainer, start: float) -> float | None:
    seconds = (container.duration or 0) / TICKS
    if "matroska" in container.format.name:
        # Matroska tells when the last stream ends, not how long it lasts.
        seconds -= max(0.0, start)
    return seconds if seconds > 0 else None


def _frame_rate(stream: av.VideoStream) -> float | None:
    """The average; a stream that tells no frame's length claims the rate of its clock instead, 1000 hertz or more."""
    rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return next((rate for rate in rates if rate <= FASTEST), None)


def _shape(container: InputContainer, stream: av.VideoStream) -> tuple[int, int, int]:
    """Rotation, displayed width and height of the first frame that can be decoded; of the header if there is none."""
    stream.thread_type = "NONE"
    rotation, width, height = 0, stream.codec_context.width, stream.codec_context.height
    frame = _first_frame(container, stream)
    if frame is not None:
        rotation, width, height = frame_rotation(frame), frame.width, frame.height
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    if aspect != 1 and 1 / WIDEST <= aspect <= WIDEST:
        width = max(2, round(width * aspect / 2) * 2)
    return (rotation, height, width) if rotation in (90, 270) else (rotation, width, height)


def _first_frame(container: InputContainer, stream: av.VideoStream) -> av.VideoFrame | None:
    packets = islice(container.demux(stream), MOST_TRIED)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return None
            for frame in packet.decode():
                return frame
        except av.FFmpegError:
            continue


def frame_rotation(frame: av.VideoFrame) -> int:
    """Degrees counterclockwise, 0, 90, 180 or 270, by which a frame is turned for display."""
    return round(frame.rotation / 90) * 90 % 360
