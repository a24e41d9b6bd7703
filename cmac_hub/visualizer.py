"""The sound-source visualizer: a video -> an overlay video, a figure, or numbers.

A file is decoded twice in step, once small for the network, once at full size for drawing, so memory stays flat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from torch import nn
from tqdm import tqdm

from cmac_hub.ahead import ahead
from cmac_hub.canvas import Bracket, Canvas
from cmac_hub.checks import check_choice
from cmac_hub.config import HEARING, Layout, Map, Scale
from cmac_hub.cores import SharedCores
from cmac_hub.errors import MediaError
from cmac_hub.geometry import over_frame
from cmac_hub.inference import BATCH
from cmac_hub.media import MediaInfo, VideoWriter, probe, read_frame, read_yuv_frames
from cmac_hub.moments import Moment, Peak, observe
from cmac_hub.network import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOMENTS_AHEAD = BATCH
"""Observed moments that wait for their frames."""

FRAMES_AHEAD = 8
"""Decoded frames that wait to be drawn on."""

FRAMES_BEHIND = 4
"""Drawn frames that wait to be encoded."""

HOP = 0.25
"""Seconds between two maps by default; between them the heat is interpolated."""


class Visualizer(nn.Module):
    """Draws what a network attends to.

    Args:
        model: a trained network.
    """

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model

    def heatmaps(
        self,
        path: str | Path,
        *,
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        audio_track: int | None = None,
    ) -> Iterator[tuple[float, np.ndarray]]:
        """The raw maps over the whole displayed frame, one a window, for people who draw for themselves.

        Args:
            path: a video.
            map: "guidance" (where the frame responds to the sound, Eq. 4), "prediction" (what the visual encoder
                attends to by itself, Eq. 5) or "joint" (guidance where features are strong as well); the default is
                the checkpoint's.
            window: seconds; the default is what the network was trained on.
            hop: seconds between two maps.
            audio_track: which sound track is heard, counted from 1; the default is the first that can be decoded.

        Yields:
            the window's center in seconds, and (H, W) fp32 in [0, 1] (clipped, where the normalization is "softmax" or
            "none") at the displayed size, row 0 on top.

        Raises:
            MediaError: the file cannot be read, has no video stream, or no audio stream to guide, or not that track.
            ValueError: an unknown map, a window or hop that is not positive, or a window too short for a spectrogram.
        """
        info, which = self._check(path, map, audio_track)
        moments = self._observe(info, which, window, hop)
        return ((moment.time, _over_frame(moment, info)) for moment in moments)

    def locate(
        self,
        path: str | Path,
        *,
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        audio_track: int | None = None,
    ) -> Iterator[Peak]:
        """The highest place of each window's map. Arguments and errors are those of `heatmaps`."""
        info, which = self._check(path, map, audio_track)
        return (moment.peak(info) for moment in self._observe(info, which, window, hop))

    def render(
        self,
        path: str | Path,
        output: str | Path,
        *,
        layout: Layout = "overlay",
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        scale: Scale = "absolute",
        audio_track: int | None = None,
        overwrite: bool = False,
        progress: bool = False,
    ) -> list[Peak]:
        """Draws the attention over a video: its displayed size, frame times and length stay, its sound is copied.

        Where there is nothing to hear, guidance and joint show no claim: they fade, and the frame says "no sound".

        Args:
            path: a video.
            output: .mp4, .m4v, .mov or .mkv; written under a temporary name and moved when it is complete.
            layout: "overlay", "side-by-side" (plain on the left), or "panel" (overlay, and below it the spectrogram
                with its frequency attention and a cursor at the present).
            map: see `heatmaps`.
            window: see `heatmaps`.
            hop: see `heatmaps`.
            scale: "absolute" lights only what stands out as known sources do (the checkpoint's limits), and may stay
                dark; "relative" lights the highest places of every moment that has sound, sure or not.
            audio_track: see `heatmaps`; it is the one that the output has.
            overwrite: replace an existing output. The input is never replaced.
            progress: show a progress bar on stderr.

        Returns:
            one `Peak` a window.

        Raises:
            MediaError: as for `heatmaps`.
            OutputError: the output may not or cannot be written; nothing half-written stays.
            ValueError: an unknown layout or scale, otherwise as for `heatmaps`.
        """
        check_choice("layout", layout, get_args(Layout))
        check_choice("scale", scale, get_args(Scale))
        info, which = self._check(path, map, audio_track)
        canvas = Canvas(self.model.config, which, layout, info, hop, scale)
        peaks: list[Peak] = []

        def moments(observed: Iterator[Moment]) -> Iterator[Moment]:
            for moment in observed:
                peaks.append(moment.peak(info))
                canvas.add_sound(moment)
                yield moment

        with VideoWriter(
            output,
            width=canvas.width,
            height=canvas.height,
            frame_rate=info.frame_rate,
            source=info,
            overwrite=overwrite,
        ) as writer:
            total = None if info.duration is None or not info.frame_rate else round(info.duration * info.frame_rate)
            # Beside this thread, which draws: one observes and one decodes, ahead of it, and one encodes, behind it.
            with (
                closing(ahead(self._observe(info, which, window, hop), MOMENTS_AHEAD, SharedCores())) as ready,
                closing(ahead(read_yuv_frames(info), FRAMES_AHEAD)) as frames,
                ThreadPoolExecutor(1) as encoder,
            ):
                observed = moments(ready)
                around = Bracket(observed)
                behind: deque[Future[None]] = deque()
                for frame in tqdm(frames, total=total, disable=not progress, unit="frame", desc=info.path.name):
                    drawn = canvas.draw(frame.picture, frame.time, *around(frame.time))
                    behind.append(encoder.submit(writer.write_yuv, drawn, frame.time, frame.duration))
                    if len(behind) > FRAMES_BEHIND:
                        behind.popleft().result()
                for written in behind:
                    written.result()
                # Sound may go on after the last frame: its windows have peaks as well.
                deque(observed, maxlen=0)
        return peaks

    def figure(
        self, path: str | Path, time: float, *, window: float | None = None, audio_track: int | None = None
    ) -> Figure:
        """One moment as in the paper's Fig. 5: frame and spectrogram, each with guidance, prediction and joint.

        Args:
            path: a video.
            time: seconds on the container's clock.
            window: seconds around it that the network is shown; the default is what it was trained on.
            audio_track: see `heatmaps`.

        Returns:
            a matplotlib figure: `.savefig("dog.png")`.

        Raises:
            MediaError: the file cannot be read or has no video stream; or the time lies outside of it.
            ValueError: a window that is not positive, or too short for a spectrogram.
        """
        from cmac_hub.figure import draw_figure

        info, _ = self._check(path, "prediction", audio_track)
        span = self.model.config.window if window is None else window
        # The first window's center is a moment of any file, however short it is.
        end = None if info.duration is None else info.start + max(info.duration, span / 2)
        if time < info.start or (end is not None and time > end):
            until = "" if end is None else f" to {end:.2f}"
            raise MediaError(f"{info.path} has no moment {time:.2f} s; it runs from {info.start:.2f}{until} s")
        limits = {"start": time - span / 2, "stop": time + span / 2}
        moments = observe(self.model, info, "prediction", window=span, hop=span, all_maps=True, **limits)
        return draw_figure(info, read_frame(info, time).image, next(moments), self.model.config)

    def _check(self, path: str | Path, map: Map | None, audio_track: int | None) -> tuple[MediaInfo, Map]:
        self.model.require_attention("localize")
        which = self.model.config.display.default_map if map is None else map
        check_choice("map", which, get_args(Map))
        info = probe(path, audio_track)
        if not info.has_video:
            what = "no picture whose codec this FFmpeg knows" if "picture" in info.undecodable else "no video stream"
            raise MediaError(f"{info.path} has {what} to draw on; for its sound alone use: cmac features")
        if which in HEARING and not info.has_audio:
            what = "no sound whose codec this FFmpeg knows" if "sound" in info.undecodable else "no audio stream"
            raise MediaError(f'{info.path} has {what} to guide the attention; use map="prediction" (--map prediction)')
        return info, which

    def _observe(self, info: MediaInfo, which: Map, window: float | None, hop: float) -> Iterator[Moment]:
        return observe(self.model, info, which, window=window, hop=hop)


def _over_frame(moment: Moment, info: MediaInfo) -> np.ndarray:
    """A moment's map -> (H, W) fp32 in [0, 1] at the displayed size."""
    return np.clip(over_frame(moment.visual_map_HW, info.width, info.height, moment.shift), 0, 1)
