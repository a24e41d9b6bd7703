"""Writing a video beside its source: frame times kept, sound carried over, never half a file in the place of a good one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from cmac_hub.errors import MediaError, OutputError
from cmac_hub.media.probe import open_media, picture_stream, probe, sound_stream

TICK = Fraction(1, 90000)
"""Seconds; divides the frame times of all usual rates, the 1001-based ones too."""

COPIED = {
    ".mp4": {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"},
    ".mkv": {"aac", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3", "alac", "opus", "flac", "vorbis", "pcm_s16le"},
}
"""Sound codecs whose packets are copied as they are, by container."""
COPIED[".m4v"] = COPIED[".mp4"]
COPIED[".mov"] = COPIED[".mp4"] - {"opus", "flac"} | {"pcm_s16le"}


def check_output(path: Path, source: Path | None, overwrite: bool) -> None:
    """Whether a video may be written there.

    Raises:
        OutputError: the suffix is none of ours, the output is the source, exists, or its folder is missing or closed.
    """
    if path.suffix.lower() not in COPIED:
        raise OutputError(f"{path} ends in {path.suffix or 'nothing'}; accepted are {', '.join(COPIED)}")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file name")
    if path.exists():
        if source is not None and os.path.samefile(path, source):
            raise OutputError(f"{path} is the input itself; choose another output")
        if not overwrite:
            raise OutputError(f"{path} exists already; choose another output or pass --overwrite")
    if not path.parent.is_dir():
        raise OutputError(f"there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} is not writable; choose another output")


class VideoWriter:
    """Writes H.264 frame by frame, with the sound of a source beside it. A context manager.

    The file grows under a hidden name in the same folder and is moved to its own when all went well; after any error,
    or when nothing was written, nothing stays.

    Args:
        path: .mp4, .m4v, .mov or .mkv.
        width: pixels.
        height: pixels; odd sizes are kept, with full colour resolution (yuv444p).
        frame_rate: hertz, only a hint: each frame has its own time.
        source: a file whose sound is carried over: its packets where the container takes them, else encoded as AAC.
        overwrite: replace an existing file.

    Raises:
        OutputError: see `check_output`; and a full disk, at any time.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        frame_rate: float,
        source: str | Path | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self._source = None if source is None else Path(source)
        check_output(self.path, self._source, overwrite)
        self._size, self._rate = (width, height), frame_rate
        self._temporary = self.path.with_name(f".{self.path.stem}.{os.getpid()}.part{self.path.suffix}")
        self._stack = ExitStack()
        self._reformatter = VideoReformatter()
        self._held: av.VideoFrame | None = None
        self._durations: dict[int, int] = {}
        self._last = round(Fraction(1) / TICK / Fraction(frame_rate or 25).limit_denominator(100000))

    def __enter__(self) -> VideoWriter:
        try:
            self._open()
        except BaseException as error:
            self._abandon()
            raise self._explain(error) from error
        return self

    def _open(self) -> None:
        flags = {"movflags": "+faststart"} if self.path.suffix.lower() != ".mkv" else {}
        self._container: OutputContainer = self._stack.enter_context(av.open(str(self._temporary), "w", options=flags))
        rate = Fraction(self._rate or 25).limit_denominator(100000)
        stream = self._container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        assert isinstance(stream, av.VideoStream)
        width, height = self._size
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = TICK
        # BT.709 in limited range, said in the file, so that every player shows the same colours.
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
        self._stream, self._format = stream, stream.pix_fmt
        self._start, self._sound = 0.0, iter(())
        if self._source is not None:
            self._carry_over(self._source)

    def _carry_over(self, source: Path) -> None:
        info = probe(source)
        self._start = info.start
        container = self._stack.enter_context(open_media(source))
        picture, sound = picture_stream(container), sound_stream(container)
        if picture is not None and (aspect := picture.sample_aspect_ratio):
            turned = info.rotation in (90, 270)
            self._stream.sample_aspect_ratio = 1 / aspect if turned else aspect
        if sound is None:
            return
        if sound.codec_context.name in COPIED[self.path.suffix.lower()]:
            self._sound = self._copied(container, sound)
        else:
            self._sound = self._encoded(container, sound)
        self._waiting = next(self._sound, None)

    _waiting: tuple[float, av.Packet] | None = None

    def write(self, image: np.ndarray, time: float) -> None:
        """One frame.

        Args:
            image: (H, W, 3) uint8 RGB of the writer's size.
            time: seconds on the source's clock, greater than the time before.

        Raises:
            ValueError: an image of another size.
            OutputError: the disk is full, or the file cannot be written for another reason.
        """
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(f"the image has shape {image.shape}; expected {(self._size[1], self._size[0], 3)}")
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._reformatter.reformat(
            rgb,
            format=self._format,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base = round((time - self._start) / TICK), TICK
        if self._held is not None:
            assert frame.pts is not None and self._held.pts is not None
            self._encode(self._held, frame.pts - self._held.pts)
        self._held = frame
        self._mux_sound_until(time - self._start)

    def _encode(self, frame: av.VideoFrame | None, duration: int) -> None:
        if frame is not None and frame.pts is not None:
            self._last = duration
            self._durations[frame.pts] = duration
        for packet in self._stream.encode(frame):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, self._last)
            self._container.mux(packet)

    def _mux_sound_until(self, time: float) -> None:
        """Sound keeps step with the picture, so neither piles up in memory."""
        while self._waiting is not None and self._waiting[0] <= time:
            try:
                self._container.mux(self._waiting[1])
            except av.FFmpegError as error:
                if error.errno in (errno.ENOSPC, errno.EIO):
                    raise
                # A packet that the container refuses is left out: broken sound never costs the picture.
            self._waiting = next(self._sound, None)

    def _copied(self, container: InputContainer, sound: av.AudioStream) -> Iterator[tuple[float, av.Packet]]:
        assert sound.time_base is not None
        out = self._container.add_stream_from_template(sound)
        shift = round(Fraction(self._start) / sound.time_base)
        previous: int | None = None
        for packet in _packets(container, sound):
            if packet.pts is None or packet.size == 0 or packet.is_corrupt:
                continue
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            if previous is not None and packet.dts <= previous:
                continue
            previous = packet.dts
            time = float(packet.pts * sound.time_base)
            packet.stream = out
            yield time, packet

    def _encoded(self, container: InputContainer, sound: av.AudioStream) -> Iterator[tuple[float, av.Packet]]:
        layout = "mono" if sound.codec_context.channels == 1 else "stereo"
        rate = min(48000, max(8000, sound.codec_context.sample_rate))
        if rate not in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000):
            rate = 48000
        out = self._container.add_stream("aac", rate=rate, layout=layout)
        assert isinstance(out, av.AudioStream)
        out.codec_context.time_base = Fraction(1, rate)
        resampler = av.AudioResampler("fltp", layout, rate)
        count: int | None = None

        def packets(frames: list[av.AudioFrame] | list[None]) -> Iterator[tuple[float, av.Packet]]:
            nonlocal count
            for frame in frames:
                if frame is not None:
                    assert count is not None
                    frame.pts, frame.time_base = count, Fraction(1, rate)
                    count += frame.samples
                for packet in out.encode(frame):
                    if packet.pts is not None:
                        yield float(packet.pts * packet.time_base), packet

        for packet in _packets(container, sound):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            for frame in decoded:
                assert isinstance(frame, av.AudioFrame)
                if count is None:
                    count = round(((frame.time or self._start) - self._start) * rate)
                frame.pts = None
                yield from packets(resampler.resample(frame))
        if count is not None:
            yield from packets(resampler.resample(None))
            yield from packets([None])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            try:
                if self._held is None:
                    raise MediaError(f"{self._source or self.path} gave no frame to write")
                self._encode(self._held, self._last)
                self._encode(None, 0)
                self._mux_sound_until(float("inf"))
                self._stack.close()
                os.replace(self._temporary, self.path)
            except BaseException as failure:
                self._abandon()
                raise self._explain(failure) from failure
            return
        self._abandon()
        explained = self._explain(error)
        if explained is not error:
            raise explained from error

    def _abandon(self) -> None:
        try:
            self._stack.close()
        except Exception:  # noqa: BLE001, S110  (closing a file on a full disk fails again; the first error counts)
            pass
        self._temporary.unlink(missing_ok=True)

    def _explain(self, error: BaseException) -> BaseException:
        """Errors of the disk as one line that names the output."""
        if isinstance(error, MediaError | OutputError) or not isinstance(error, av.FFmpegError | OSError):
            return error
        reason = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error).splitlines()[0]
        return OutputError(f"{self.path} could not be written: {reason}; nothing half-written was kept")


def _packets(container: InputContainer, stream: av.AudioStream) -> Iterator[av.Packet]:
    """Packets of a stream until it ends or breaks off."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        yield packet


