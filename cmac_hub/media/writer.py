"""Writing a video beside its source: frame times kept, sound carried over, nothing half-written left behind."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from cmac_hub.errors import MediaError, OutputError
from cmac_hub.media.carry import Timed, carry_sound
from cmac_hub.media.probe import open_media, probe, sound_stream

TICK = Fraction(1, 90000)
"""Seconds; divides the frame times of all usual rates, the 1001-based ones too."""

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""FFmpeg's containers by accepted suffix."""

DISK_ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Failures of the disk, never of the sound."""


def hidden_name(path: Path) -> Path:
    """Where a file grows until it is complete: beside it, not under its name, which may be as long as any can."""
    return path.with_name(f".cmac-{os.urandom(4).hex()}.part{path.suffix}")


def check_output(path: Path, source: Path | None, overwrite: bool) -> None:
    """Whether a video may be written there.

    Raises:
        OutputError: the suffix is none of ours, the output is the source, exists, or its folder is missing or closed.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path} ends in {path.suffix or 'no suffix'}; accepted are {', '.join(FORMATS)}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file name")
    if path.exists():
        if source is not None and source.exists() and os.path.samefile(path, source):
            raise OutputError(f"{path} is the input itself; choose another output")
        if not overwrite:
            raise OutputError(f"{path} exists already; choose another output or pass overwrite=True (--overwrite)")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another output")


class VideoWriter:
    """Writes H.264 frame by frame, with the sound of a source beside it. A context manager.

    The file grows under a hidden name in the same folder and is moved to its own when all went well; after any error,
    or when nothing was written, nothing stays.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        width: pixels, which are square.
        height: pixels; odd sizes are kept, with full colour resolution (yuv444p).
        frame_rate: hertz, only a hint: each frame has its own time.
        source: a file whose sound is carried over: its packets where the container takes them, else encoded as AAC.
            Its start becomes the output's zero. Without a source the first frame's time does.
        overwrite: replace an existing file.

    Raises:
        OutputError: see `check_output`; and a full disk, at any time.
        MediaError: the source cannot be read; or not one frame was written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        frame_rate: float | None,
        source: str | Path | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self._source = None if source is None else Path(source)
        check_output(self.path, self._source, overwrite)
        if width < 1 or height < 1:
            raise ValueError(f"the size is {width}x{height}; both must be at least 1")
        self._size = width, height
        self._rate = Fraction(frame_rate or 25).limit_denominator(100000)
        self._temporary = hidden_name(self.path)
        self._stack = ExitStack()
        self._reformatter = VideoReformatter()
        self._start: float | None = None
        """Seconds on the source's clock: the output's zero."""
        self._held: tuple[int, av.VideoFrame] | None = None
        """The last frame, until the next one tells how long it lasts."""
        self._durations: dict[int, int] = {}
        self._lasting = max(1, round(1 / self._rate / TICK))
        self._sound: Iterator[Timed] = iter(())
        self._next_sound: Timed | None = None

    def __enter__(self) -> VideoWriter:
        try:
            self._open()
        except BaseException as error:
            self._abandon()
            raise self._explain(error) from error
        return self

    def _open(self) -> None:
        kind = FORMATS[self.path.suffix.lower()]
        options = {} if kind == "matroska" else {"movflags": "+faststart"}
        opened = av.open(os.path.join(".", self._temporary), "w", format=kind, options=options)
        self._container: OutputContainer = self._stack.enter_context(opened)
        stream = self._container.add_stream("libx264", rate=self._rate, options={"preset": "superfast", "crf": "20"})
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv444p" if any(side % 2 for side in self._size) else "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = TICK
        # Said in the file, so that every player shows the same colours.
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._stream, self._format = stream, stream.pix_fmt
        if self._source is not None:
            self._carry_over(self._source)

    def _carry_over(self, source: Path) -> None:
        info = probe(source)
        self._start = info.start
        container = self._stack.enter_context(open_media(source))
        if (sound := sound_stream(container)) is not None:
            self._sound = carry_sound(container, sound, info, self._container, self.path.suffix.lower())
            self._advance_sound()

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
            raise ValueError(f"the image is {image.dtype} of shape {image.shape}; expected uint8 of shape {shape}")
        if self._start is None:
            self._start = time
        stamp = round(Fraction(time - self._start) / TICK)
        if self._held is not None and stamp <= self._held[0]:
            if stamp < self._held[0] - 1:
                raise ValueError(f"the frame at {time} s comes after a later one; write frames in order of time")
            stamp = self._held[0] + 1
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"),
            format=self._format,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        frame.pts, frame.time_base = stamp, TICK
        if self._held is not None:
            self._lasting = stamp - self._held[0]
            self._encode(self._held, self._lasting)
        if duration is not None:
            self._lasting = max(1, round(Fraction(duration) / TICK))
        self._held = stamp, frame
        self._mux_sound_until(float(stamp * TICK))

    def _encode(self, held: tuple[int, av.VideoFrame] | None, duration: int) -> None:
        if held is not None:
            self._durations[held[0]] = duration
        for packet in self._stream.encode(None if held is None else held[1]):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, self._lasting)
            self._container.mux(packet)

    def _mux_sound_until(self, time: float) -> None:
        """Sound keeps step with the picture, so neither piles up in memory."""
        while self._next_sound is not None and self._next_sound[0] <= time:
            try:
                self._container.mux(self._next_sound[1])
            except av.FFmpegError as error:
                if error.errno in DISK_ERRORS:
                    raise
                # A packet that the container refuses is left out: broken sound never costs the picture.
            self._advance_sound()

    def _advance_sound(self) -> None:
        try:
            self._next_sound = next(self._sound, None)
        except (av.FFmpegError, MediaError, ValueError):
            self._next_sound = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
            explained = self._explain(error)
            if explained is not error:
                raise explained from error
            return
        try:
            if self._held is None:
                raise MediaError(f"{self._source or self.path} gave no frame to write")
            self._encode(self._held, self._lasting)
            self._encode(None, 0)
            self._mux_sound_until(float("inf"))
            self._stack.close()
            os.replace(self._temporary, self.path)
        except BaseException as failure:
            self._abandon()
            raise self._explain(failure) from failure

    def _abandon(self) -> None:
        # Closing a file on a full disk fails once more; the first error is the one that counts.
        with contextlib.suppress(Exception):
            self._stack.close()
        self._temporary.unlink(missing_ok=True)

    def _explain(self, error: BaseException) -> BaseException:
        """Errors of FFmpeg and the disk as one line that names the output; every other one as it is."""
        if isinstance(error, MediaError | OutputError) or not isinstance(error, av.FFmpegError | OSError):
            return error
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error).splitlines()[0]
        return OutputError(f"{self.path} could not be written: {reason}; nothing half-written was kept")
