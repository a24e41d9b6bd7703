"""Frames of one video, drawn in a layout: heat between two moments, the caption, the strip of sound."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cmac_hub import drawing
from cmac_hub.config import HEARING, CMACConfig, Layout, Map, Scale
from cmac_hub.geometry import over_frame
from cmac_hub.media import YUV, MediaInfo
from cmac_hub.media.yuv import ToYUV
from cmac_hub.moments import Moment

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
        which: the map that is drawn, of both modalities.
        layout: see `cmac_hub.config.Layout`.
        info: of the video.
        hop: seconds between two moments.
        scale: see `cmac_hub.config.Scale`.
        window: seconds that a moment describes; the default is the config's.
    """

    def __init__(
        self,
        config: CMACConfig,
        which: Map,
        layout: Layout,
        info: MediaInfo,
        hop: float,
        scale: Scale = "absolute",
        window: float | None = None,
    ) -> None:
        relative = scale == "relative"
        self._visual_limits = drawing.NO_LIMITS if relative else config.display.limits("visual", which)
        self._audio_limits = drawing.NO_LIMITS if relative else config.display.limits("audio", which)
        self._which, self._layout, self._hop = which, layout, hop
        self._rate = 1 / config.require_audio().hop_seconds
        self._strip: drawing.SpectrogramStrip | None = None
        self._to_yuv = ToYUV()
        self._begun = False
        self.width, self.height = info.width, info.height
        """Pixels of what `draw` gives."""
        if layout == "side-by-side":
            self.width *= 2
        elif layout == "panel":
            # An even height keeps a video of even size encodable with the usual color resolution.
            strip_height = max(2, info.height // 8 * 2)
            self.height += strip_height
            # The first moment has the columns of half a window before the first frame needs them.
            ahead = max(2.0, (window or config.window) / 2) + hop
            self._strip = drawing.SpectrogramStrip(info.width, strip_height, STRIP_SECONDS, self._rate, ahead)

    def draw(self, picture: YUV, time: float, before: Moment, after: Moment) -> YUV:
        """One frame.

        Args:
            picture: the displayed frame.
            time: seconds on the container's clock.
            before: the last moment not after `time`, or the first of all.
            after: the first moment not before `time`, or the last of all.

        Returns:
            a picture of `height` and `width`.
        """
        share = 0.0 if after.time <= before.time else (time - before.time) / (after.time - before.time)
        share = min(1.0, max(0.0, share))
        map_HW = (1 - share) * before.visual_map_HW + share * after.visual_map_HW
        fade = (1 - share) * before.audible + share * after.audible if self._which in HEARING else 1.0
        strength_HW = drawing.strength(map_HW, self._visual_limits, fade)
        lit = drawing.light(picture, strength_HW, before.shift)
        if self._which in HEARING and not (before.audible or after.audible):
            lit = drawing.caption(lit, "no sound")
        if self._layout == "side-by-side":
            return YUV(*(np.concatenate(planes, 1) for planes in zip(picture, lit, strict=True)))
        if self._strip is None:
            return lit
        strip = self._to_yuv(np.asarray(self._strip.draw(time)), lit.pixels)
        return YUV(*(np.concatenate(planes, 0) for planes in zip(lit, strip, strict=True)))

    def add_sound(self, moment: Moment) -> None:
        """Adds the columns around the moment's center to the strip of sound, if there is one.

        Args:
            moment: each that is observed, in order; a video of few frames passes over most of them.
        """
        if self._strip is not None and moment.log_mel_FS is not None and moment.audio_map_FS is not None:
            bands, length = moment.log_mel_FS.shape
            # Moments lie by less than a column off the columns' grid; what they share is appended once.
            count = min(length, math.ceil(self._hop * self._rate) + 1)
            # The first moment also shows what came before its center.
            start = (length - count) // 2 if self._begun else 0
            stop = (length - count) // 2 + count
            gray = drawing.spectrogram_image(moment.log_mel_FS)
            # In silence there is nothing to attend to, whichever map is drawn.
            heat = drawing.strength(moment.audio_map_FS[::-1], self._audio_limits, float(moment.audible))
            heat = over_frame(heat, length, bands)
            end = moment.time + (stop - length / 2) / self._rate
            self._strip.append(gray[:, start:stop], heat[:, start:stop], end)
        self._begun = True
