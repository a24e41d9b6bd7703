"""Training pairs from composed scenes that grow harder, and now and then a second of a real shot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from cmac_hub.train.augmentation import flip_and_gain
from cmac_hub.train.library import Library
from cmac_hub.train.own_library import load_library
from cmac_hub.train.recipe import Recipe, RecipeError
from cmac_hub.train.scenes import SceneSettings, compose
from cmac_hub.train.shots import cut_shot, load_shots
from cmac_hub.train.stream import Pair

EASY = SceneSettings()
"""One large thing on a photograph."""
MEDIUM = SceneSettings(distractors=(0, 1), thing_size=(0.3, 0.65))
HARD = SceneSettings(distractors=(1, 3), thing_size=(0.22, 0.55), two_sources=0.1)
"""Small things, most of them silent and moving."""

CURRICULA: dict[str, tuple[SceneSettings, ...]] = {
    "easy": (EASY,),
    "mixed": (EASY, MEDIUM, HARD),
}
"""Levels in order; after `easy_clips` of each a level is unlocked, then all unlocked ones come equally often."""


class ScenePairs:
    """Pair i depends on the recipe's seed and i alone. Its scenes come once: there are no epochs.

    Args:
        recipe: curriculum, sizes, seed.
        data: a folder laid out like `shared/data` (scenes, esc50, clips); None draws all itself.
        progress: show progress bars while pictures and sounds are read.

    Raises:
        RecipeError: an unknown curriculum.
    """

    videos: int | None = None

    def __init__(self, recipe: Recipe, data: Path | None, *, progress: bool = True) -> None:
        self.recipe = recipe
        if recipe.scenes not in CURRICULA:
            raise RecipeError(f"recipe key 'scenes' is {recipe.scenes!r}; accepted are {', '.join(CURRICULA)}")
        visual = recipe.config.visual
        self.levels = [replace(s, size=visual.size, frames=visual.frames) for s in CURRICULA[recipe.scenes]]
        self.library = load_library(data, "train", progress=progress) if data else Library.of_drawings("train")
        self.shots = load_shots(data, visual.size, progress=progress) if data and recipe.real_share > 0 else []

    def pair(self, index: int, view: int = 0) -> Pair:
        """The pair of that number; its second view is the same scene a second later, or seen in another way."""
        rng = np.random.default_rng([self.recipe.seed, index])
        if index < self.recipe.drawn_clips:
            drawn = 1.0 if index < 0.6 * self.recipe.drawn_clips else 0.6
            return self._compose(replace(self.levels[0], drawn=drawn), rng, index, view)
        unlocked = min(len(self.levels), 1 + index // max(1, self.recipe.easy_clips))
        if self.shots and unlocked > 1 and rng.random() < self.recipe.real_share:
            video = int(rng.integers(len(self.shots)))
            # A shot is cut at random: drawing on is another second of it.
            for _ in range(view + 1):
                frames, sound = cut_shot(self.shots[video], rng, self.levels[0].size, self.levels[0].frames)
            return Pair(torch.from_numpy(frames), torch.from_numpy(sound), video)
        return self._compose(self.levels[int(rng.integers(unlocked))], rng, index, view)

    def _compose(self, level: SceneSettings, rng: np.random.Generator, index: int, view: int) -> Pair:
        video = len(self.shots) + index
        if self.recipe.clips_per_video == 1:
            scene = compose(self.library, rng, level)
            return Pair(torch.from_numpy(scene.frames_THWC), torch.from_numpy(scene.waveform), video)
        if self.recipe.cross_modal:
            double = replace(level, frames=2 * level.frames, seconds=2 * level.seconds)
            scene = compose(self.library, rng, double)
            frames, waveform = torch.from_numpy(scene.frames_THWC), torch.from_numpy(scene.waveform)
            return Pair(frames.tensor_split(2)[view], waveform.tensor_split(2)[view], video)
        scene = compose(self.library, rng, level)
        seen = np.random.default_rng([self.recipe.seed, index, 1 + view])
        return Pair(*flip_and_gain(torch.from_numpy(scene.frames_THWC), torch.from_numpy(scene.waveform), seen), video)
