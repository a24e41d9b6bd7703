"""Frames of one video, drawn in a layout: heat between two moments, the caption, the strip of sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from PIL import Image

from cmac_hub import drawing
from cmac_hub.config import CMACConfig
from cmac_hub.media import MediaInfo
from cmac_hub.moments import Map, Moment

Layout = Literal["overlay", "side-by-side", "panel"]
"""The overlay alone; plain on its left; or above the spectrogram with its frequency attention."""

Scale = Literal["absolute", "relative"]
"""What is lit: only places above the checkpoint's limits, or the highest places of every moment, sure or not."""

STRIP_SECONDS = 4.0
"""Seconds that the strip of sound shows at once."""


class Bracket:
    """Calls with rising times give the moments before and after each, reading no further than needed."""

    def __init__(self, moments: Iterator[Moment]) -> None:
        self._moments = moments
        first = next(moments)
        self._before, self._after = first, first
        self._ended = False

    def __call__(self, time: float) -> tuple[Moment, Moment]:
        while self._after.time < time and not self._ended:
            following = next(self._moments, None)
            self._ended = following is None
            self._before, self._after = self._after, following or self._after
        return self._before, self._after


class Canvas:
    """Draws frames of one video in the chosen layout.

    Args:
        config: of the network: how maps are drawn, and the pace of the spectrogram.
        which: the map that is drawn.
        layout: see `Layout`.
        info: of the video.
        hop: seconds between two moments.
        scale: see `Scale`.
    """

    def __init__(
        self, config: CMACConfig, which: Map, layout: Layout, info: MediaInfo, hop: float, scale: Scale = "absolute"
    ) -> None:
        self._limits: tuple[float, float] = drawing.NO_LIMITS if scale == "relative" else getattr(config.display, which)
        self._which, self._layout, self._hop = which, layout, hop
        self._rate = 1 / config.audio.hop_seconds
        self._strip: drawing.SoundStrip | None = None
        self._heard = False
        self.width, self.height = info.width, info.height
        """Pixels of what `draw` gives."""
        if layout == "side-by-side":
            self.width *= 2
        elif layout == "panel":
            # An even height keeps a video of even size encodable with the usual colour resolution.
            strip_height = max(2, info.height // 8 * 2)
            self.height += strip_height
            self._strip = drawing.SoundStrip(info.width, strip_height, STRIP_SECONDS, self._rate, 2 + hop)

    def draw(self, image_HWC: np.ndarray, time: float, before: Moment, after: Moment) -> np.ndarray:
        """One frame.

        Args:
            image_HWC: the displayed frame, uint8 RGB.
            time: seconds on the container's clock.
            before: the last moment not after `time`, or the first of all.
            after: the first moment not before `time`, or the last of all.

        Returns:
            (height, width, 3) uint8.
        """
        share = 0.0 if after.time <= before.time else (time - before.time) / (after.time - before.time)
        share = min(1.0, max(0.0, share))
        heat_HW = (1 - share) * before.heat_HW + share * after.heat_HW
        fade = (1 - share) * before.sound + share * after.sound if self._which == "guidance" else 1.0
        lit = drawing.overlay(Image.fromarray(image_HWC), drawing.strength(heat_HW, self._limits, fade))
        if self._which == "guidance" and not (before.sound or after.sound):
            lit = drawing.caption(lit, "no sound")
        if self._layout == "side-by-side":
            return np.concatenate([image_HWC, np.asarray(lit)], 1)
        if self._strip is None:
            return np.asarray(lit)
        return np.concatenate([np.asarray(lit), np.asarray(self._strip.draw(time))], 0)

    def listen(self, moment: Moment) -> None:
        """Adds the columns around the moment's centre to the strip of sound, if there is one.

        Args:
            moment: each that is observed, in order; a video of few frames passes over most of them.
        """
        if self._strip is not None and moment.log_mel_FS is not None and moment.sound_heat_FS is not None:
            bands, length = moment.log_mel_FS.shape
            count = min(length, round(self._hop * self._rate))
            # The first moment also shows what came before its centre.
            start = (length - count) // 2 if self._heard else 0
            stop = (length - count) // 2 + count
            grey = drawing.spectrogram_image(moment.log_mel_FS)
            heat = drawing.strength(moment.sound_heat_FS[::-1], self._limits, float(moment.sound))
            heat = np.asarray(drawing.enlarge(np.ascontiguousarray(heat), length, bands))
            end = moment.time + (stop - length / 2) / self._rate
            self._strip.append(grey[:, start:stop], heat[:, start:stop], end)
        self._heard = True
