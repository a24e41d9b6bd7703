"""Training pairs from composed scenes that grow harder, and now and then a second of a real shot."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cmac_hub.errors import CMACError
from cmac_hub.train.augmentation import flip_and_gain
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.scenes.compose import compose
from cmac_hub.train.scenes.footage import cut_shot, load_shots
from cmac_hub.train.scenes.library import FEWEST, Thing, at_rate, pick
from cmac_hub.train.scenes.readers import load_library
from cmac_hub.train.scenes.settings import CURRICULA, QUIETEST, SceneSettings
from cmac_hub.train.scenes.sound_font import find_font, with_notes
from cmac_hub.train.stream import Pair


class ScenePairs:
    """Pair i depends on the recipe's seed and i alone. Its scenes come once: there are no epochs.

    Args:
        recipe: curriculum, sizes, seed.
        data: a folder that `load_library` reads; None draws all itself.
        progress: show progress bars while pictures and sounds are read.

    Raises:
        CMACError: see `load_library` and `with_notes`; or there are too few things.
    """

    videos: int | None = None

    def __init__(self, recipe: Recipe, data: Path | None, *, progress: bool = True) -> None:
        self.recipe = recipe
        visual = recipe.config.require_visual()
        self.levels = [
            replace(
                level,
                size=visual.size,
                frames=visual.frames,
                seconds=recipe.config.window,
                blur=recipe.blur,
                filmed=recipe.filmed_share,
                background_level=(QUIETEST, recipe.background_loudest),
            )
            for level in CURRICULA[recipe.scenes]
        ]
        self.library = load_library(data, "train", clip_size=visual.size, progress=progress)
        if len(self.library.things) < FEWEST:
            names = ", ".join(thing.name for thing in self.library.things)
            raise CMACError(f"{data} has too few things to mix ({names}); give at least {FEWEST}")
        if data and recipe.notes:
            self.library = with_notes(self.library, find_font(data), recipe.notes)
        real = recipe.real_share > 0 or recipe.filmed_share > 0
        self.shots = load_shots(data, visual.size, recipe.shots, progress=progress) if data and real else []
        self.library = replace(self.library, films=tuple(shot.frames_THWC for shot in self.shots))

    def hash(self) -> str:
        """Twelve hexadecimal digits of the library's names, counts and sizes: other data seldom has the same."""
        digest = hashlib.sha256()
        for thing in self.library.things:
            sizes = [one.shape for one in thing.pictures], [len(one.samples) for one in thing.sounds]
            digest.update(repr((thing.name, sizes)).encode())
        for pictures in (self.library.distractors, self.library.backgrounds, self.library.films):
            digest.update(repr([one.shape for one in pictures]).encode())
        return digest.hexdigest()[:12]

    def name(self, video: int) -> str:
        """A real shot or a composed scene, by its number."""
        return f"real shot {video}" if video < len(self.shots) else f"scene {video - len(self.shots)}"

    def pair(self, index: int, view: int = 0) -> Pair:
        """The pair of that number; its second view is the same scene a second later, or augmented in another way."""
        rng = np.random.default_rng([self.recipe.seed, index])
        if index >= self.recipe.drawn_clips and self._is_twin(index):
            return self._compose(self._level(rng, index), rng, index, view, self._source(index // 2))
        if index < self.recipe.drawn_clips:
            drawn = 1.0 if index < 0.6 * self.recipe.drawn_clips else 0.6
            return self._compose(replace(self.levels[0], drawn=drawn), rng, index, view)
        if self.shots and self._unlocked(index) > 1 and rng.random() < self.recipe.real_share:
            video = int(rng.integers(len(self.shots)))
            # A shot is cut at random: drawing on is another second of it.
            for _ in range(view + 1):
                frames, sound = cut_shot(self.shots[video], rng, self.levels[0])
            return Pair(torch.from_numpy(frames), self._heard(sound), video)
        return self._compose(self._level(rng, index), rng, index, view)

    def _unlocked(self, index: int) -> int:
        return min(len(self.levels), 1 + index // max(1, self.recipe.easy_clips))

    def _level(self, rng: np.random.Generator, index: int) -> SceneSettings:
        return self.levels[int(rng.integers(self._unlocked(index)))]

    def _is_twin(self, index: int) -> bool:
        rng = np.random.default_rng([self.recipe.seed, index // 2, 1])
        return bool(rng.random() < self.recipe.twin_share)

    def _source(self, twins: int) -> Thing:
        """One picture and one recording of one thing, for both scenes of these twins."""
        rng = np.random.default_rng([self.recipe.seed, twins, 2])
        thing = pick(rng, self.library.things)
        return Thing(thing.name, (pick(rng, thing.pictures),), (pick(rng, thing.sounds),))

    def _compose(
        self, level: SceneSettings, rng: np.random.Generator, index: int, view: int, source: Thing | None = None
    ) -> Pair:
        video = len(self.shots) + index
        if self.recipe.clips_per_video == 1:
            scene = compose(self.library, rng, level, source)
            return Pair(torch.from_numpy(scene.frames_THWC), self._heard(scene.waveform), video)
        if self.recipe.objective.cross_modal:
            double = replace(level, frames=2 * level.frames, seconds=2 * level.seconds)
            scene = compose(self.library, rng, double, source)
            frames, waveform = torch.from_numpy(scene.frames_THWC), self._heard(scene.waveform)
            return Pair(frames.tensor_split(2)[view], waveform.tensor_split(2)[view], video)
        scene = compose(self.library, rng, level, source)
        view_rng = np.random.default_rng([self.recipe.seed, index, 1 + view])
        frames, waveform = torch.from_numpy(scene.frames_THWC), self._heard(scene.waveform)
        return Pair(*flip_and_gain(frames, waveform, view_rng), video)

    def _heard(self, waveform_N: np.ndarray) -> Tensor:
        return at_rate(waveform_N, self.recipe.config.require_audio())
