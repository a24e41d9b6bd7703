"""Writing a video beside its source: frame times kept, sound copied, nothing half-written left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from cmac_hub.errors import ArgumentError, MediaError, OutputError
from cmac_hub.files import check_output, explain, replacing
from cmac_hub.media.info import MediaInfo, as_info
from cmac_hub.media.opening import open_media
from cmac_hub.media.remux import Timed, remux_audio
from cmac_hub.media.tracks import audio_stream
from cmac_hub.media.yuv import YUV, ToYUV, format_of, tagged

TICK = Fraction(1, 90000)
"""Seconds; divides the frame times of all usual rates, the 1001-based ones too."""

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's containers by accepted suffix."""

LONGEST_SIDE = 16384
"""Pixels: x264 writes nothing larger."""

DISK_ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Failures of the disk, never of the sound."""


def check_video_output(path: Path, overwrite: bool, source: Path | None = None) -> None:
    """Whether a video may be written there. Raises OutputError as `cmac_hub.files.check_output`; or for the suffix."""
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path} ends in {path.suffix or 'no suffix'}; accepted are {', '.join(FORMATS)}")
    check_output(path, overwrite, source)


class VideoWriter:
    """Writes H.264 frame by frame, with the sound of a source beside it. A context manager.

    The file grows under a hidden name in the same folder and is moved to its own when all went well; after any error,
    or when nothing was written, nothing stays.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        width: pixels, which are square.
        height: pixels; odd sizes are kept, with full color resolution (yuv444p).
        frame_rate: hertz, only a hint: each frame has its own time.
        source: a file (or what `probe` said of it) whose sound is copied: its packets where the container takes them,
            else encoded as AAC. Its start becomes the output's zero. Without a source the first frame's time does.
        overwrite: replace an existing file.

    Raises:
        OutputError: see `check_video_output`; a picture too large for H.264; and a full disk, at any time.
        MediaError: the source cannot be read; or not one frame was written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        frame_rate: float | None,
        source: str | Path | MediaInfo | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self._source = source
        self._source_path = source.path if isinstance(source, MediaInfo) else None if source is None else Path(source)
        self._overwrite = overwrite
        check_video_output(self.path, overwrite, self._source_path)
        if width < 1 or height < 1:
            raise ArgumentError(f"the size is {width}x{height}; both must be at least 1")
        if max(width, height) > LONGEST_SIDE:
            raise OutputError(
                f"{self.path} would be {width}x{height}; H.264 holds at most {LONGEST_SIDE} pixels a side; "
                "scale the input down first"
            )
        self._size = width, height
        self._rate = Fraction(frame_rate or 25).limit_denominator(100000)
        self._output = ExitStack()
        """What is moved to its name, or removed, at the very end."""
        self._stack = ExitStack()
        """What is open while frames are written."""
        self._to_yuv, self._reformatter = ToYUV(), VideoReformatter()
        self._start: float | None = None
        """Seconds on the source's clock: the output's zero."""
        self._held: tuple[int, av.VideoFrame] | None = None
        """The last frame, until the next one tells how long it lasts."""
        self._durations: dict[int, int] = {}
        self._lasting = max(1, round(1 / self._rate / TICK))
        self._audio: Iterator[Timed] = iter(())
        self._next_audio: Timed | None = None
        self._begun = False
        """Whether the header is written."""
        self._broken: av.FFmpegError | OSError | None = None
        """What the disk said when it could be written to no longer."""

    def __enter__(self) -> VideoWriter:
        try:
            self._open(self._output.enter_context(replacing(self.path, self._overwrite, self._source_path)))
        except BaseException as error:
            self._abandon(error)
            raise self._explain(error) from error
        return self

    def _open(self, temporary: Path) -> None:
        kind = FORMATS[self.path.suffix.lower()]
        options = {} if kind == "matroska" else {"movflags": "+faststart"}
        opened = av.open(os.path.join(".", temporary), "w", format=kind, options=options)
        self._container: OutputContainer = self._stack.enter_context(opened)
        stream = self._container.add_stream("libx264", rate=self._rate, options={"preset": "superfast", "crf": "20"})
        stream.width, stream.height = self._size
        stream.pix_fmt = format_of(*self._size)
        context = stream.codec_context
        context.time_base = stream.time_base = TICK
        # Said in the file, so that every player shows the same colors.
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._stream, self._format = stream, stream.pix_fmt
        if self._source is not None:
            self._copy_audio(self._source)

    def _copy_audio(self, source: str | Path | MediaInfo) -> None:
        info = as_info(source)
        self._start = info.start
        container = self._stack.enter_context(open_media(info.path))
        if (stream := audio_stream(container, info.audio_track)) is not None:
            self._audio = remux_audio(container, stream, info, self._container, self.path.suffix.lower())
            self._advance_audio()

    def write(self, image: np.ndarray, time: float, duration: float | None = None) -> None:
        """One frame.

        Args:
            image: (H, W, 3) uint8 RGB of the writer's size.
            time: seconds on the source's clock, after the frame before.
            duration: seconds that it is shown if no other frame follows; the default is as long as the one before.

        Raises:
            ValueError: an image of another size or type, or a time that does not rise.
            OutputError: the disk is full, or the file cannot be written for another reason.
        """
        shape = self._size[1], self._size[0], 3
        if image.shape != shape or image.dtype != np.uint8:
            raise ArgumentError(f"the image is {image.dtype} of shape {image.shape}; expected uint8 of shape {shape}")
        self._write(self._to_yuv.convert(image, self._format), time, duration)

    def write_yuv(self, picture: YUV, time: float, duration: float | None = None) -> None:
        """One frame as it is stored; see `write`."""
        if picture.y.shape != self._size[::-1]:
            raise ArgumentError(f"the picture has shape {picture.y.shape}; expected {self._size[::-1]}")
        frame = picture.to_frame()
        if picture.pixels != self._format:
            frame = tagged(self._reformatter.reformat(frame, format=self._format, threads=1))
        self._write(frame, time, duration)

    def _write(self, frame: av.VideoFrame, time: float, duration: float | None) -> None:
        if self._start is None:
            self._start = time
        stamp = round(Fraction(time - self._start) / TICK)
        if self._held is not None and stamp <= self._held[0]:
            if stamp < self._held[0] - 1:
                raise ArgumentError(f"the frame at {time} s comes after a later one; write frames in order of time")
            stamp = self._held[0] + 1
        frame.pts, frame.time_base = stamp, TICK
        if self._held is not None:
            self._lasting = stamp - self._held[0]
            self._encode(self._held, self._lasting)
        if duration is not None:
            self._lasting = max(1, round(Fraction(duration) / TICK))
        self._held = stamp, frame
        self._mux_audio_until(float(stamp * TICK))

    def _encode(self, held: tuple[int, av.VideoFrame] | None, duration: int) -> None:
        if held is not None:
            self._durations[held[0]] = duration
        for packet in self._stream.encode(None if held is None else held[1]):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, self._lasting)
            self._mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        """Hands a packet to FFmpeg, but no more after an error of the disk: it crashes where its header is missing."""
        if self._broken is not None:
            raise self._broken
        try:
            self._container.start_encoding()
            self._begun = True
            self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            if not self._begun or error.errno in DISK_ERRORS:
                self._broken = error
            raise

    def _mux_audio_until(self, time: float) -> None:
        """Sound keeps step with the frames, so neither piles up in memory."""
        while self._next_audio is not None and self._next_audio[0] <= time:
            try:
                self._mux(self._next_audio[1])
            except av.FFmpegError:
                if self._broken is not None:
                    raise
                # A packet that the container refuses is left out: broken sound never costs the video.
            self._advance_audio()

    def _advance_audio(self) -> None:
        try:
            self._next_audio = next(self._audio, None)
        except (av.FFmpegError, MediaError, ValueError) as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"the sound of {self.path} is left out from here on: {reason}", stacklevel=2)
            self._next_audio = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon(error)
            explained = self._explain(error)
            if explained is not error:
                raise explained from error
            return
        try:
            if self._held is None:
                raise MediaError(f"{self._source_path or self.path} gave no frame to write")
            self._encode(self._held, self._lasting)
            self._encode(None, 0)
            self._mux_audio_until(float("inf"))
            self._stack.close()
            self._output.close()
        except BaseException as failure:
            self._abandon(failure)
            raise self._explain(failure) from failure

    def _abandon(self, error: BaseException) -> None:
        # Closing a file on a full disk fails once more; the first error is the one that counts.
        with contextlib.suppress(Exception):
            self._stack.close()
        with contextlib.suppress(BaseException):
            self._output.__exit__(type(error), error, error.__traceback__)

    def _explain(self, error: BaseException) -> BaseException:
        """Errors of FFmpeg and the disk as one line that names the output; every other one as it is."""
        if isinstance(error, MediaError | OutputError) or not isinstance(error, av.FFmpegError | OSError):
            return error
        return OutputError(f"{self.path} could not be written: {explain(error)}; nothing half-written was kept")
