"""What a media file holds, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from cmac_hub.errors import MediaError

TICKS = av.time_base
"""FFmpeg's own clock: ticks a second of a container's start and duration."""


@dataclass(frozen=True)
class MediaInfo:
    """A file's streams; times in seconds on the container's clock, sizes as displayed (after rotation)."""

    path: Path
    start: float
    """The earliest time stamp of picture or sound."""
    duration: float | None
    """From `start` to the end of the longer stream, as the container says; None where it does not."""
    has_picture: bool
    has_sound: bool
    width: int
    height: int
    """Pixels; 0 without picture."""
    rotation: int
    """Degrees counterclockwise by which frames are turned for display: 0, 90, 180 or 270."""
    frame_rate: float | None
    """Hertz, the average."""
    sample_rate: int | None
    """Hertz."""
    channels: int | None
    picture_codec: str | None
    sound_codec: str | None


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
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes)")
    av.logging.set_level(None)
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path} is no media file that can be read ({_reason(error)})") from error
    try:
        yield container
    finally:
        container.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def picture_stream(container: InputContainer) -> av.VideoStream | None:
    """The first stream of moving pictures; the cover of a song is none."""
    for stream in container.streams.video:
        if stream.disposition & av.stream.Disposition.attached_pic or stream.codec_context is None:
            continue
        if stream.codec_context.width and stream.codec_context.height:
            return stream
    return None


def sound_stream(container: InputContainer) -> av.AudioStream | None:
    """The first stream of sound that can be decoded."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.sample_rate:
            return stream
    return None


def probe(path: str | Path) -> MediaInfo:
    """Reads a file's header, and its first frame for the rotation.

    Raises:
        MediaError: the file cannot be opened, or holds neither picture nor sound.
    """
    with open_media(path) as container:
        picture, sound = picture_stream(container), sound_stream(container)
        if picture is None and sound is None:
            raise MediaError(f"{path} holds neither picture nor sound that can be decoded")
        starts = [float(s.start_time * s.time_base) for s in (picture, sound) if s and s.start_time is not None and s.time_base]
        start = min(starts) if starts else (container.start_time or 0) / TICKS
        duration = container.duration / TICKS if container.duration and container.duration > 0 else None
        rotation, width, height = 0, 0, 0
        if picture is not None:
            picture.thread_type = "NONE"
            rotation = _rotation(container, picture)
            width, height = picture.codec_context.width, picture.codec_context.height
            if rotation in (90, 270):
                width, height = height, width
        rate = picture.average_rate or picture.guessed_rate if picture else None
        return MediaInfo(
            path=Path(path),
            start=start,
            duration=duration,
            has_picture=picture is not None,
            has_sound=sound is not None,
            width=width,
            height=height,
            rotation=rotation,
            frame_rate=float(rate) if rate else None,
            sample_rate=sound.codec_context.sample_rate if sound else None,
            channels=sound.codec_context.channels if sound else None,
            picture_codec=picture.codec_context.name if picture else None,
            sound_codec=sound.codec_context.name if sound else None,
        )


def _rotation(container: InputContainer, stream: av.VideoStream) -> int:
    """The display rotation of the first frame that can be decoded, in steps of 90 degrees."""
    broken = 0
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame_rotation(frame)
        except av.FFmpegError:
            broken += 1
            if broken > 100:
                break
    return 0


def frame_rotation(frame: av.VideoFrame) -> int:
    """Degrees counterclockwise, 0, 90, 180 or 270, by which a frame is turned for display."""
    return round(frame.rotation / 90) * 90 % 360
