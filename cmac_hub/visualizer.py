"""The sound-source visualizer: a video -> an overlay video, a figure, or numbers.

A file is decoded once, for the network and for drawing in step, so memory stays flat (`cmac_hub.rendering`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from torch import nn

from cmac_hub.canvas import Canvas
from cmac_hub.checks import check_choice, check_number
from cmac_hub.config import HEARING, Layout, Map, Scale
from cmac_hub.errors import ArgumentError, MediaError, OutputError
from cmac_hub.geometry import over_frame
from cmac_hub.maps_file import writing_maps
from cmac_hub.media import MediaInfo, Tee, as_info, read_frame
from cmac_hub.moments import Moment, Peak, observe
from cmac_hub.network import Network
from cmac_hub.rendering import decoding_for, draw_video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOP = 0.25
"""Seconds between two maps by default; between them the heat is interpolated."""


class Visualizer(nn.Module):
    """Draws what a network attends to.

    Args:
        model: a trained network.

    Raises:
        ValueError: it is something else.
    """

    def __init__(self, model: Network) -> None:
        super().__init__()
        if not isinstance(model, Network):
            raise ArgumentError(f"model is a {type(model).__name__}; give a network, as CMAC.from_pretrained makes it")
        self.model = model

    def heatmaps(
        self,
        path: str | Path | MediaInfo,
        *,
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        audio_track: int | None = None,
        batch_size: int | None = None,
    ) -> Iterator[tuple[float, np.ndarray]]:
        """The raw maps over the whole displayed frame, one a window, for people who draw for themselves.

        Args:
            path: a video, or what `cmac_hub.media.probe` said of it.
            map: "guidance" (where the frame responds to the sound, Eq. 4), "prediction" (what the visual encoder
                attends to by itself, Eq. 5) or "joint" (guidance where features are strong, and move, as well, spread
                over places that look alike); the default is the checkpoint's.
            window: seconds; the default is what the network was trained on.
            hop: seconds between two maps.
            audio_track: which sound track is heard, counted from 1; the default is the first that can be decoded.
            batch_size: windows that the network is shown at once, which costs memory and changes rounding alone; the
                default is 16.

        Yields:
            the window's center in seconds, and (H, W) fp32 in [0, 1] (clipped, where the normalization is "softmax" or
            "none") at the displayed size, row 0 on top.

        Raises:
            MediaError: the file cannot be read, has no video stream, or no audio stream to guide, or not that track.
            ValueError: an unknown map, a window, hop or batch_size that is not positive, or a window too short for a
                spectrogram.
        """
        info, which = self._check(path, map, audio_track)
        moments = self._observe(info, which, window, hop, batch_size)
        return ((moment.time, _over_frame(moment, info)) for moment in moments)

    def locate(
        self,
        path: str | Path | MediaInfo,
        *,
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        scale: Scale = "absolute",
        audio_track: int | None = None,
        batch_size: int | None = None,
        each: Callable[[Moment], None] | None = None,
        all_maps: bool = False,
    ) -> Iterator[Peak]:
        """The highest place of each window's map. Arguments and errors are those of `heatmaps`, and of `render`."""
        check_choice("scale", scale, get_args(Scale))
        info, which = self._check(path, map, audio_track)

        def peak(moment: Moment) -> Peak:
            if each is not None:
                each(moment)
            return moment.peak(info, scale)

        return (peak(moment) for moment in self._observe(info, which, window, hop, batch_size, all_maps))

    def save_maps(
        self,
        path: str | Path | MediaInfo,
        output: str | Path,
        *,
        window: float | None = None,
        hop: float = HOP,
        audio_track: int | None = None,
        batch_size: int | None = None,
        overwrite: bool = False,
    ) -> None:
        """Every map of every window, raw and at map resolution, into one file: `numpy.load("dog.npz")["visual_joint"]`.

        Its keys stand in `cmac_hub.maps_file`. A video without sound has `visual_prediction` alone.

        Args:
            path: see `heatmaps`.
            output: a .npz file.
            window: see `heatmaps`.
            hop: see `heatmaps`; at the default an hour is 90 MB with cmac-nano, 200 MB with cmac-lite.
            audio_track: see `heatmaps`.
            batch_size: see `heatmaps`.
            overwrite: replace an existing output.

        Raises:
            MediaError: as for `heatmaps`.
            OutputError: the output may not or cannot be written; nothing half-written stays.
            ValueError: as for `heatmaps`.
        """
        info, _ = self._check(path, "prediction", audio_track)
        if Path(output).suffix.lower() != ".npz":
            raise OutputError(f"{output} ends in {Path(output).suffix or 'no suffix'}; maps are a .npz file")
        with writing_maps(Path(output), info, overwrite) as maps:
            for moment in self._observe(info, "prediction", window, hop, batch_size, all_maps=True):
                maps.add(moment)

    def render(
        self,
        path: str | Path | MediaInfo,
        output: str | Path,
        *,
        layout: Layout = "overlay",
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        scale: Scale = "absolute",
        audio_track: int | None = None,
        batch_size: int | None = None,
        each: Callable[[Moment], None] | None = None,
        all_maps: bool = False,
        overwrite: bool = False,
        progress: bool | Callable[[float, float | None], None] = False,
    ) -> list[Peak]:
        """Draws the attention over a video: its displayed size, frame times and length stay, its sound is copied.

        Where there is nothing to hear, guidance and joint show no claim: they fade, and the frame says "no sound".

        Args:
            path: see `heatmaps`.
            output: .mp4, .m4v, .mov or .mkv; written under a temporary name and moved when it is complete.
            layout: "overlay", "side-by-side" (plain on the left), or "panel" (overlay, and below it the spectrogram
                with its frequency attention and a cursor at the present).
            map: see `heatmaps`.
            window: see `heatmaps`.
            hop: see `heatmaps`.
            scale: "absolute" lights only what exceeds the network's own limits (`config.display`), and may stay
                dark; "relative" lights the highest places of every moment that has sound, sure or not.
            audio_track: see `heatmaps`; it is the one that the output has.
            batch_size: see `heatmaps`; the default is 8, or fewer where frames are large. Where frames cannot wait in
                memory for that many windows, the file is decoded twice.
            each: is called with every window's `cmac_hub.moments.Moment`, in order, as it is observed.
            all_maps: let those moments have all maps instead of the one that is drawn; with cmac-lite a quarter slower.
            overwrite: replace an existing output. The input is never replaced.
            progress: show a progress bar on stderr; or a function that is told, before each frame, the seconds that are
                drawn, and of how many (None: unknown). What it raises ends the work, and nothing stays.

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
        canvas = Canvas(self.model.config, which, layout, info, hop, scale, window)
        peaks: list[Peak] = []

        def seen(moment: Moment) -> None:
            peaks.append(moment.peak(info, scale))
            if each is not None:
                each(moment)

        tee, size = decoding_for(info, self.model.config.window if window is None else window, hop, batch_size)
        observed = self._observe(info, which, window, hop, size, all_maps, tee)
        draw_video(canvas, tee, observed, size, seen, output, overwrite, progress)
        return peaks

    def figure(
        self, path: str | Path | MediaInfo, time: float, *, window: float | None = None, audio_track: int | None = None
    ) -> Figure:
        """One moment as in the paper's Fig. 5: frame and spectrogram, each with guidance, prediction and joint.

        Args:
            path: see `heatmaps`.
            time: seconds on the container's clock.
            window: seconds around it that the network is shown; the default is what it was trained on.
            audio_track: see `heatmaps`.

        Returns:
            a matplotlib figure: `.savefig("dog.png")`.

        Raises:
            MediaError: the file cannot be read or has no video stream; or the time lies outside of it.
            ValueError: a time that is no number, a window that is not positive, or too short for a spectrogram.
        """
        from cmac_hub.figure import draw_figure

        check_number(time=time)
        info, _ = self._check(path, "prediction", audio_track)
        span = self.model.config.window if window is None else window
        # The first window's center is a moment of any file, however short it is.
        end = None if info.duration is None else info.start + max(info.duration, span / 2)
        if time < info.start or (end is not None and time > end):
            until = "" if end is None else f" to {end:.2f}"
            raise MediaError(f"{info.path} has no moment {time:.2f} s; it runs from {info.start:.2f}{until} s")
        start, stop = time - span / 2, time + span / 2
        moments = observe(self.model, info, "prediction", window=span, hop=span, start=start, stop=stop, all_maps=True)
        return draw_figure(info, read_frame(info, time).image, next(moments), self.model.config)

    def _check(self, path: str | Path | MediaInfo, map: Map | None, audio_track: int | None) -> tuple[MediaInfo, Map]:
        self.model.require_attention("localize")
        which = self.model.config.display.default_map if map is None else map
        check_choice("map", which, get_args(Map))
        info = as_info(path, audio_track)
        if not info.has_video:
            what = "no picture whose codec this FFmpeg knows" if "picture" in info.undecodable else "no video stream"
            raise MediaError(f"{info.path} has {what} to draw on; for its sound alone use: cmac features")
        if which in HEARING and not info.has_audio:
            what = "no sound whose codec this FFmpeg knows" if "sound" in info.undecodable else "no audio stream"
            raise MediaError(f'{info.path} has {what} to guide the attention; use map="prediction" (--map prediction)')
        return info, which

    def _observe(
        self,
        info: MediaInfo,
        which: Map,
        window: float | None,
        hop: float,
        batch_size: int | None,
        all_maps: bool = False,
        tee: Tee | None = None,
    ) -> Iterator[Moment]:
        how: dict[str, Any] = {"window": window, "hop": hop, "batch_size": batch_size}
        return observe(self.model, info, which, all_maps=all_maps, tee=tee, **how)


def _over_frame(moment: Moment, info: MediaInfo) -> np.ndarray:
    """A moment's map -> (H, W) fp32 in [0, 1] at the displayed size."""
    return np.clip(over_frame(moment.visual_map_HW, info.width, info.height, moment.shift), 0, 1)
