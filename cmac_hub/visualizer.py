"""The sound-source visualizer: heat maps -> an overlay video, a figure, or numbers.

A file is decoded twice in step, once small for the network, once at full size for drawing, so memory stays flat.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from cmac_hub import drawing
from cmac_hub.errors import MediaError
from cmac_hub.features import BATCH, SILENCE, batched
from cmac_hub.media import MediaInfo, VideoWriter, Window, probe, read_frame, read_frames, windows
from cmac_hub.model import CMAC, Attention

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Map = Literal["guidance", "prediction"]
Layout = Literal["overlay", "side-by-side", "panel"]

HOP = 0.25
"""Seconds between two maps unless told otherwise; between them the heat is interpolated."""

STRIP_SECONDS = 4.0


@dataclass(frozen=True)
class Peak:
    """Where one window's map is highest, for `cmac localize --json`."""

    time: float
    """Seconds on the container's clock: the window's centre."""
    x: float
    y: float
    """Pixels of the displayed frame, from its upper left corner."""
    score: float
    """The raw map value there, in [0, 1]."""
    sound: bool
    """Whether there is anything to hear in the window."""


@dataclass(frozen=True)
class Moment:
    """One window, seen and heard by the network."""

    time: float
    heat_HW: np.ndarray
    """fp32 visual map at map resolution, averaged over its frames."""
    sound_heat_FS: np.ndarray | None
    """fp32 audio map at map resolution; None without sound."""
    log_mel_FS: np.ndarray | None
    level: float | None
    """RMS of the sound; None without a sound track."""
    attention: Attention

    @property
    def sound(self) -> bool:
        """Whether there is anything to hear."""
        return self.level is not None and self.level >= SILENCE


class Visualizer(nn.Module):
    """Draws what a network attends to.

    Args:
        model: a trained network in eval mode.
    """

    def __init__(self, model: CMAC) -> None:
        super().__init__()
        self.model = model

    def heatmaps(
        self,
        path: str | Path,
        *,
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
    ) -> Iterator[tuple[float, np.ndarray]]:
        """The raw maps over the whole displayed frame, one a window, for people who draw for themselves.

        Args:
            path: a video.
            map: "guidance" (where the picture answers to the sound, Eq. 4) or "prediction" (what the visual encoder
                attends to by itself, Eq. 5); the default is the checkpoint's.
            window: seconds; the default is what the network was trained on.
            hop: seconds between two maps.

        Yields:
            the window's centre in seconds, and (H, W) fp32 in [0, 1] at the displayed size, row 0 on top.

        Raises:
            MediaError: the file cannot be read, has no picture, or has no sound to guide.
            ValueError: an unknown map.
        """
        info, which = self._check(path, map)
        for moment in self._moments(info, which, window, hop):
            heat = np.asarray(drawing.enlarge(moment.heat_HW, info.width, info.height))
            yield moment.time, np.clip(heat, 0, 1)

    def locate(
        self, path: str | Path, *, map: Map | None = None, window: float | None = None, hop: float = HOP
    ) -> Iterator[Peak]:
        """The highest place of each window's map. Arguments and errors are those of `heatmaps`."""
        info, which = self._check(path, map)
        for moment in self._moments(info, which, window, hop):
            yield _peak(moment, info)

    def render(
        self,
        path: str | Path,
        output: str | Path,
        *,
        layout: Layout = "overlay",
        map: Map | None = None,
        window: float | None = None,
        hop: float = HOP,
        overwrite: bool = False,
        progress: bool = False,
    ) -> list[Peak]:
        """Draws the attention over a video: its size, frame times and length stay, its sound is carried over.

        A window with nothing to hear shows no claim: the guidance fades and the picture says "no sound".

        Args:
            path: a video.
            output: .mp4, .m4v, .mov or .mkv; written under a temporary name and moved when it is complete.
            layout: "overlay", "side-by-side" (plain on the left), or "panel" (overlay, and below it the spectrogram
                with its frequency attention and a cursor at the present).
            map: see `heatmaps`.
            window: see `heatmaps`.
            hop: see `heatmaps`.
            overwrite: replace an existing output. The input is never replaced.
            progress: show a progress bar on stderr.

        Returns:
            one `Peak` a window.

        Raises:
            MediaError: as for `heatmaps`.
            OutputError: the output may not or cannot be written; nothing half-written stays.
            ValueError: an unknown layout or map.
        """
        if layout not in get_args(Layout):
            raise ValueError(f"layout is {layout!r}; accepted are {', '.join(get_args(Layout))}")
        info, which = self._check(path, map)
        strip_height = info.height // 8 * 2 if layout == "panel" else 0
        width = info.width * 2 if layout == "side-by-side" else info.width
        peaks: list[Peak] = []
        with VideoWriter(
            output,
            width=width,
            height=info.height + strip_height,
            frame_rate=info.frame_rate or 25.0,
            source=info.path,
            overwrite=overwrite,
        ) as writer:
            canvas = _Canvas(self.model, which, layout, info, strip_height, hop)
            moments = self._moments(info, which, window, hop)
            pairs = _bracket(moments, lambda moment: peaks.append(_peak(moment, info)))
            total = None if info.duration is None or not info.frame_rate else round(info.duration * info.frame_rate)
            frames = tqdm(read_frames(info.path), total=total, disable=not progress, unit="frame", desc=info.path.name)
            for frame in frames:
                before, after = pairs(frame.time)
                writer.write(canvas.draw(frame.image, frame.time, before, after), frame.time)
        return peaks

    def figure(self, path: str | Path, time: float, *, window: float | None = None) -> Figure:
        """One moment as in the paper's Fig. 5: frame and spectrogram, each with guidance and prediction.

        Args:
            path: a video.
            time: seconds on the container's clock.
            window: seconds around it that the network sees; the default is what it was trained on.

        Returns:
            a matplotlib figure: `.savefig("dog.png")`.

        Raises:
            MediaError: the file cannot be read or has no picture; or the time lies outside of it.
        """
        from cmac_hub.figure import draw_figure

        info, _ = self._check(path, "prediction")
        end = None if info.duration is None else info.start + info.duration
        if time < info.start or (end is not None and time > end):
            until = "" if end is None else f" to {end:.2f}"
            raise MediaError(f"{info.path} has no moment {time:.2f} s; it runs from {info.start:.2f}{until} s")
        span = self.model.config.window if window is None else window
        cut = self._windows(info, span, span, start=time - span / 2, stop=time + span / 2)
        moment = next(iter(self._see(itertools.islice(cut, 1), "guidance" if info.has_sound else "prediction")))
        return draw_figure(info, read_frame(info.path, time).image, moment, self.model.config)

    def _check(self, path: str | Path, map: Map | None) -> tuple[MediaInfo, Map]:
        which = self.model.config.display.default_map if map is None else map
        if which not in get_args(Map):
            raise ValueError(f"map is {which!r}; accepted are {', '.join(get_args(Map))}")
        info = probe(path)
        if not info.has_picture:
            raise MediaError(f"{info.path} has no picture to draw on; for its sound alone use: cmac features")
        if which == "guidance" and not info.has_sound:
            raise MediaError(f"{info.path} has no sound to guide the attention; use --map prediction")
        return info, which

    def _windows(
        self, info: MediaInfo, window: float, hop: float, start: float | None = None, stop: float | None = None
    ) -> Iterator[Window]:
        config = self.model.config
        return windows(
            info.path,
            window=window,
            hop=hop,
            frames=config.visual.frames,
            size=config.visual.size,
            multiple=config.visual.multiple,
            sample_rate=config.audio.sample_rate,
            start=start,
            stop=stop,
        )

    def _moments(self, info: MediaInfo, which: Map, window: float | None, hop: float) -> Iterator[Moment]:
        return self._see(self._windows(info, self.model.config.window if window is None else window, hop), which)

    @torch.inference_mode()
    def _see_batch(self, batch: list[Window], which: Map) -> list[Moment]:
        frames = torch.stack([torch.from_numpy(w.frames) for w in batch if w.frames is not None])
        sounds = [torch.from_numpy(w.waveform) for w in batch if w.waveform is not None]
        clips, spectrograms = self.model.prepare(frames, torch.stack(sounds) if sounds else None)
        maps = self.model.attend(clips, spectrograms)
        visual = maps.visual_guidance if which == "guidance" else maps.visual_prediction
        audio = maps.audio_guidance if which == "guidance" else maps.audio_prediction
        assert visual is not None
        moments = []
        for i, one in enumerate(batch):
            heard = one.waveform is not None and spectrograms is not None and audio is not None
            moments.append(
                Moment(
                    one.time,
                    visual[i].mean(0).cpu().numpy(),
                    cast(torch.Tensor, audio)[i].cpu().numpy() if heard else None,
                    cast(torch.Tensor, spectrograms)[i, 0].float().cpu().numpy() if heard else None,
                    float(np.sqrt(np.mean(np.square(one.waveform)))) if one.waveform is not None else None,
                    Attention(*(None if m is None else m[i].cpu() for m in maps)),
                )
            )
        return moments

    def _see(self, cut: Iterator[Window], which: Map) -> Iterator[Moment]:
        for batch in batched(cut, BATCH):
            yield from self._see_batch(batch, which)


def _peak(moment: Moment, info: MediaInfo) -> Peak:
    rows, columns = moment.heat_HW.shape
    row, column = np.unravel_index(int(moment.heat_HW.argmax()), moment.heat_HW.shape)
    return Peak(
        time=moment.time,
        x=(float(column) + 0.5) / columns * info.width,
        y=(float(row) + 0.5) / rows * info.height,
        score=float(moment.heat_HW.max()),
        sound=moment.sound,
    )


class _bracket:
    """Calls with rising times give the moments before and after each; `seen` is told of each moment once."""

    def __init__(self, moments: Iterator[Moment], seen: object) -> None:
        self._moments, self._seen = moments, seen
        self._before = self._after = self._advance()

    def _advance(self) -> Moment | None:
        moment = next(self._moments, None)
        if moment is not None:
            self._seen(moment)  # type: ignore[operator]
        return moment

    def __call__(self, time: float) -> tuple[Moment, Moment]:
        while self._after is not None and self._after.time < time:
            self._before, self._after = self._after, self._advance()
        assert self._before is not None
        return self._before, self._after or self._before


class _Canvas:
    """Draws frames of one video in the chosen layout."""

    def __init__(self, model: CMAC, which: Map, layout: Layout, info: MediaInfo, strip_height: int, hop: float) -> None:
        self.limits = getattr(model.config.display, which)
        self.which, self.layout, self.hop, self.info = which, layout, hop, info
        self.rate = 1 / model.config.audio.hop_seconds
        self.strip: drawing.SoundStrip | None = None
        if layout == "panel":
            self.strip = drawing.SoundStrip(info.width, strip_height, STRIP_SECONDS, self.rate)
        self._heard: float | None = None

    def draw(self, image: np.ndarray, time: float, before: Moment, after: Moment) -> np.ndarray:
        """(H, W, 3) uint8 of the layout's size."""
        share = 0.0 if after.time <= before.time else (time - before.time) / (after.time - before.time)
        share = min(1.0, max(0.0, share))
        heat = (1 - share) * before.heat_HW + share * after.heat_HW
        fade = 1.0
        if self.which == "guidance":
            fade = (1 - share) * before.sound + share * after.sound
        frame = Image.fromarray(image)
        lit = drawing.overlay(frame, drawing.strength(heat, self.limits, fade))
        if not (before.sound or after.sound):
            lit = drawing.caption(lit, "no sound")
        if self.layout == "overlay":
            return np.asarray(lit)
        if self.layout == "side-by-side":
            return np.concatenate([image, np.asarray(lit)], 1)
        assert self.strip is not None
        for moment in (before, after):
            self._listen(moment)
        return np.concatenate([np.asarray(lit), np.asarray(self.strip.draw(time))], 0)

    def _listen(self, moment: Moment) -> None:
        """Adds the moment's columns around its centre to the strip, each moment once."""
        if self.strip is None or (self._heard is not None and moment.time <= self._heard):
            return
        if moment.log_mel_FS is not None and moment.sound_heat_FS is not None:
            bands, length = moment.log_mel_FS.shape
            count = min(length, round(self.hop * self.rate))
            # The first moment also shows what came before its centre.
            start = 0 if self._heard is None else (length - count) // 2
            stop = (length - count) // 2 + count
            grey = drawing.spectrogram_image(moment.log_mel_FS)
            heat = drawing.strength(moment.sound_heat_FS[::-1], self.limits, float(moment.sound))
            heat = np.asarray(drawing.enlarge(np.ascontiguousarray(heat), length, bands))
            end = moment.time + (stop - length / 2) / self.rate
            self.strip.append(grey[:, start:stop], heat[:, start:stop], end)
        self._heard = moment.time
