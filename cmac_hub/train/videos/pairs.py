"""Training pairs from the videos of a manifest: a random second of each, in another order every epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.inference import windows_for
from cmac_hub.media import MediaInfo, probe
from cmac_hub.train.augmentation import ZOOM, ClipAugmentation
from cmac_hub.train.recipe import Recipe, RecipeError
from cmac_hub.train.stream import Pair
from cmac_hub.train.videos.manifest import Manifest, Segment
from cmac_hub.windows import Window

TRIES = 20
"""Videos tried for one pair before training gives up."""

AUDIBLE = 1e-4
"""Loudest sample below which a second teaches nothing: it is replaced."""


class SilentError(MediaError):
    """A second without sound of a video that may be sound elsewhere."""


class VideoPairs:
    """Pair i depends on the recipe's seed, the manifest and i alone.

    A video that cannot be read is replaced by another one and counted; one that is silent there is replaced.

    Args:
        recipe: sizes, seed, augmentation.
        manifest: the videos.

    Raises:
        RecipeError: `color_jitter` without `crop`.
    """

    def __init__(self, recipe: Recipe, manifest: Manifest) -> None:
        self.recipe, self.manifest = recipe, manifest
        self.videos: int | None = len(manifest)
        visual = recipe.config.require_visual()
        if recipe.color_jitter and not recipe.crop:
            raise RecipeError("recipe key 'color_jitter' is True; it goes with crop=true alone")
        self.augmentation = ClipAugmentation(visual.size, recipe.color_jitter) if recipe.crop else None
        size = round(visual.size * ZOOM) if self.augmentation else visual.size
        # Crops are cut from frames of any size.
        self._config = replace(recipe.config, visual=replace(visual, size=size, multiple=1))
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def hash(self) -> str:
        """That of the manifest."""
        return self.manifest.hash()

    def name(self, video: int) -> str:
        """The path of a file of the manifest."""
        return self.manifest.path(video)

    def pair(self, index: int, view: int = 0) -> Pair:
        """A random second of one video; a second view is another second of it, or the same second changed otherwise.

        Raises:
            CMACError: so many videos in a row were broken that something else must be wrong.
        """
        epoch, place = divmod(index, len(self.manifest))
        row = int(self._of_epoch(epoch)[place])
        choices = np.random.default_rng([self.recipe.seed, index])
        broken = 0
        for _ in range(TRIES):
            segment = self.manifest[row]
            # Both views of a broken video meet the same replacement: the choices do not depend on the view.
            moments = choices.random(2)
            moment = float(moments[view if self.recipe.objective.cross_modal else 0])
            try:
                info = probe(segment.path)
                window = self._read(info, segment, moment)
                if self.recipe.clips_per_video == 2 and self.recipe.objective.cross_modal:
                    self._read(info, segment, float(moments[1 - view]))
            except MediaError as error:
                reason = str(error)
                broken += not isinstance(error, SilentError)
                row = int(choices.integers(len(self.manifest)))
                continue
            rng = np.random.default_rng([self.recipe.seed, index, 1 + view])
            return self._change(window, rng, segment.video, broken)
        raise CMACError(
            f"{TRIES} videos in a row could not be read or are silent, the last: {reason}; check the manifest's paths"
        )

    def _of_epoch(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            rng = np.random.default_rng([self.recipe.seed, epoch, 0])
            self._epoch, self._order = epoch, rng.permutation(len(self.manifest))
        return self._order

    def _read(self, info: MediaInfo, segment: Segment, moment: float) -> Window:
        length = self._config.window
        begin = segment.start + moment * max(0.0, segment.end - segment.start - length)
        window = next(windows_for(self._config, info, start=begin, stop=begin + length))
        if window.frames is None or window.waveform is None:
            raise MediaError(f"{segment.path} lacks video or audio")
        if np.abs(window.waveform).max(initial=0) < AUDIBLE:
            raise SilentError(f"{segment.path} is silent from {begin:.2f} s on")
        return window

    def _change(self, window: Window, rng: np.random.Generator, video: int, broken: int) -> Pair:
        assert window.frames is not None and window.waveform is not None
        if self.augmentation:
            frames = self.augmentation(window.frames, rng)
        else:
            size = self.recipe.config.require_visual().size
            top, left = ((n - size) // 2 for n in window.frames.shape[1:3])
            frames = torch.from_numpy(window.frames[:, top : top + size, left : left + size].copy())
        return Pair(frames, torch.from_numpy(window.waveform), video, broken)
