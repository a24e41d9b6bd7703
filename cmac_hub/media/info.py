"""What a media file holds, without decoding it."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
from av.container import InputContainer

from cmac_hub.errors import ArgumentError, MediaError
from cmac_hub.media.opening import MOST_PIXELS, codec_name, open_media, video_stream
from cmac_hub.media.orientation import UPRIGHT, Orientation, frame_orientation
from cmac_hub.media.stamps import LONGEST_GAP
from cmac_hub.media.survey import find_timeline
from cmac_hub.media.timeline import Timeline
from cmac_hub.media.tracks import AudioTrack, audio_stream, audio_tracks, choose_track

TICKS = av.time_base
"""FFmpeg's own clock: ticks a second of a container's start and duration."""

MOST_TRIED = 500
"""Packets in which the first frame is looked for."""

FASTEST = 960.0
"""Hertz: above it a frame rate is the clock's; of one below 1 / `LONGEST_GAP` nothing can be told."""

LEAD = 0.5
"""Seconds that a coder may take to begin."""

WIDEST = 4
"""Pixels that are wider or higher than that are an error of the header."""


@dataclass(frozen=True)
class MediaInfo:
    """A file's streams; times in seconds on the container's clock, sizes as displayed: turned, and in square pixels."""

    path: Path
    start: float
    """The earliest time stamp of either stream."""
    duration: float | None
    """Seconds from `start` to the end of the longer stream, as the container says where its packets agree, else as they
    do; None where neither tells."""
    has_video: bool
    has_audio: bool
    width: int
    height: int
    """Pixels; 0 without a video stream."""
    rotation: int
    """Degrees counterclockwise by which frames are turned for display: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether left and right are swapped after that turn."""
    frame_rate: float | None
    """Hertz, the average; None where the container tells nothing plausible."""
    sample_rate: int | None
    """Hertz."""
    channels: int | None
    video_codec: str | None
    audio_codec: str | None
    audio_track: int | None = None
    """Which track `has_audio`, `sample_rate` and all that is heard mean, counted from 1; None without one."""
    audio_tracks: tuple[AudioTrack, ...] = ()
    """All there are."""
    undecodable: tuple[str, ...] = ()
    """"picture", "sound": what is there, but of a codec that this FFmpeg does not know; `has_video` or `has_audio` is
    False then."""
    timeline: Timeline | None = None
    """Where the packets lie; None where no stamp tells."""


def as_info(media: str | Path | MediaInfo, audio_track: int | None = None) -> MediaInfo:
    """What `probe` says of a file, which has said it already if it is given, and no other track is wanted."""
    if isinstance(media, MediaInfo):
        return media if audio_track in (None, media.audio_track) else probe(media.path, audio_track)
    return probe(media, audio_track)


def probe(path: str | Path, audio_track: int | None = None) -> MediaInfo:
    """Reads a file's header, the time stamps of its packets, and decodes its first frame for size and rotation.

    Broken time stamps are mended for all that is read of the file; one warning says so.

    Args:
        path: the file.
        audio_track: which sound track is heard, counted from 1; the default is the first that can be decoded.

    Raises:
        MediaError: the file cannot be opened, or holds neither video nor audio; or not that track.
        ValueError: what is given is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"the path is a {type(path).__name__}; give the path of one file")
    return _probe(Path(path), audio_track)


def _probe(path: Path, audio_track: int | None = None) -> MediaInfo:
    with open_media(path) as container:
        tracks = audio_tracks(container)
        number = choose_track(path, tracks, audio_track)
        video, audio = video_stream(container), audio_stream(container, number)
        undecodable = _undecodable(container, video, audio)
        if video is None and audio is None:
            why = f": this FFmpeg does not know the codec of its {' and '.join(undecodable)}" if undecodable else ""
            raise MediaError(f"{path} holds neither video nor audio that can be decoded{why}")
        clock = find_timeline(container, path, video, audio)
        start, duration = _span(path, container, [one for one in (video, audio) if one is not None], clock)
        orientation, width, height = (UPRIGHT, 0, 0) if video is None else _shape(container, video)
        return MediaInfo(
            path=path,
            start=start,
            duration=duration,
            has_video=video is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            rotation=orientation.rotation,
            mirrored=orientation.mirrored,
            frame_rate=None if video is None else _frame_rate(video),
            sample_rate=audio.codec_context.sample_rate if audio else None,
            channels=audio.codec_context.channels if audio else None,
            video_codec=codec_name(video) if video else None,
            audio_codec=codec_name(audio) if audio else None,
            audio_track=number,
            audio_tracks=tracks,
            undecodable=undecodable,
            timeline=clock,
        )


def _undecodable(
    container: InputContainer, video: av.VideoStream | None, audio: av.AudioStream | None
) -> tuple[str, ...]:
    pictures = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
    here = {"picture": pictures and video is None, "sound": container.streams.audio and audio is None}
    return tuple(name for name, missing in here.items() if missing)


def _span(
    path: Path, container: InputContainer, streams: list[av.VideoStream | av.AudioStream], clock: Timeline | None
) -> tuple[float, float | None]:
    """Start and duration in seconds; what was mended for them is said."""
    starts = [float(s.start_time * s.time_base) for s in streams if s.start_time is not None and s.time_base]
    start = min(starts) if starts else (container.start_time or 0) / TICKS
    told = _duration(container, start)
    if clock is None:
        return start, told
    if not clock.start <= start <= clock.start + LEAD:
        # The header has its reasons to begin after a coder's run-in, and none to leave out more.
        start = clock.start
    if clock.said:
        warnings.warn(f"the clock of {path} was mended: {clock.said}", stacklevel=2)
        return start, clock.end - start
    if told is not None and clock.agrees(start + told):
        return start, told
    if told is not None and start + told > clock.end + LONGEST_GAP:
        warnings.warn(f"{path} tells a length of {told:.0f} s, and holds {clock.end - start:.1f} s", stacklevel=2)
    return start, clock.end - start


def _duration(container: InputContainer, start: float) -> float | None:
    seconds = (container.duration or 0) / TICKS
    if "matroska" in container.format.name:
        # Matroska tells when the last stream ends, not how long it lasts.
        seconds -= max(0.0, start)
    return seconds if seconds > 0 else None


def _frame_rate(stream: av.VideoStream) -> float | None:
    """The average; a stream that tells no frame's length claims the rate of its clock instead, 1000 hertz or more."""
    rates = [float(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    return next((rate for rate in rates if 1 / LONGEST_GAP <= rate <= FASTEST), None)


def _shape(container: InputContainer, stream: av.VideoStream) -> tuple[Orientation, int, int]:
    """Orientation, displayed width and height of the first frame that can be decoded, else of the header."""
    stream.thread_type = "NONE"
    orientation, width, height = UPRIGHT, stream.codec_context.width, stream.codec_context.height
    if width * height > MOST_PIXELS:
        raise MediaError(
            f"the pictures of {container.name} have {width}x{height} pixels; at most {MOST_PIXELS} can be read "
            "(8192x8192): scale them down first"
        )
    frame = _first_frame(container, stream)
    if frame is not None:
        orientation, width, height = frame_orientation(frame), frame.width, frame.height
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    stretched = max(2, round(width * aspect / 2) * 2) if 1 / WIDEST <= aspect <= WIDEST and aspect != 1 else width
    if stretched * height <= MOST_PIXELS:
        width = stretched
    return (orientation, height, width) if orientation.transposed else (orientation, width, height)


def _first_frame(container: InputContainer, stream: av.VideoStream) -> av.VideoFrame | None:
    packets = islice(container.demux(stream), MOST_TRIED)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return None
            for frame in packet.decode():
                return frame
        except (av.FFmpegError, IndexError):
            # The latter: a stream that began midway, see `cmac_hub.media.decode.demux_packets`.
            continue
