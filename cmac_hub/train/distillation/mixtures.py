"""Windows of sound to learn hearing from: recordings alone and mixed, slower and faster, soft and loud, in noise."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from torch import Tensor, from_numpy
from torch.utils.data import Dataset

from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.library import pick

MORE = (0.5, 0.35, 0.15)
"""Probabilities that none, one or two other sounds are mixed into the first one."""
LOUDEST_OTHER, SOFTEST_OTHER = 0.0, -18.0
"""Level of another sound over the first one's, decibels."""
NOISY, LOUDEST_NOISE, SOFTEST_NOISE = 0.3, -15.0, -45.0
"""Share of windows with white noise, and its level over the first sound's, decibels."""
WARPED, WARP = 0.5, 0.35
"""Share of sounds that are played slower or faster, and by how much at most, in octaves."""
LOUDEST, SOFTEST = 0.0, -30.0
"""Peak of a window, decibels below full scale."""


class Mixtures(Dataset[Tensor]):
    """Window i depends on the seed and i alone.

    A group is drawn in proportion to the square root of how many recordings it has. That lies between every group as
    often, which repeats a thing's only recording as often as the hundreds of another one are heard together, and every
    recording as often, which hears little but the few things that have hundreds.

    Args:
        groups: of recordings, (n,) int16 each.
        samples: length of a window.
        seed: of all of them.

    Raises:
        CMACError: no recording was given.
    """

    def __init__(self, groups: Sequence[Sequence[np.ndarray]], samples: int, seed: int = 0) -> None:
        self.groups = [list(group) for group in groups if len(group)]
        if not self.groups:
            raise CMACError("there is no recording to learn from; give a folder of sounds")
        weights = np.sqrt([len(group) for group in self.groups])
        self.shares = weights / weights.sum()
        self.samples, self.seed = samples, seed

    def hash(self) -> str:
        """Of the recordings, their groups and the length of a window."""
        found = hashlib.sha256(f"{self.samples}".encode())
        for group in self.groups:
            found.update(f"/{len(group)}".encode())
            for sound in group:
                found.update(sound.tobytes())
        return found.hexdigest()[:16]

    def __getitem__(self, index: int) -> Tensor:
        """(samples,) fp32 in [-1, 1]."""
        rng = np.random.default_rng([self.seed, index])
        mixture = self._cut(rng)
        for _ in range(int(rng.choice(len(MORE), p=MORE))):
            mixture += self._cut(rng) * 10 ** (rng.uniform(SOFTEST_OTHER, LOUDEST_OTHER) / 20)
        if rng.random() < NOISY:
            level = 10 ** (rng.uniform(SOFTEST_NOISE, LOUDEST_NOISE) / 20)
            mixture += level * rng.standard_normal(self.samples, np.float32)
        peak = max(1e-6, float(np.abs(mixture).max()))
        return from_numpy((mixture * (10 ** (rng.uniform(SOFTEST, LOUDEST) / 20) / peak)).astype(np.float32))

    def _cut(self, rng: np.random.Generator) -> np.ndarray:
        """(samples,) fp32 with an RMS of 1: a stretch that is not silent; a shorter recording at a random moment."""
        sound = pick(rng, self.groups[int(rng.choice(len(self.groups), p=self.shares))])
        pace = 2 ** rng.uniform(-WARP, WARP) if rng.random() < WARPED else 1.0
        length = round(self.samples * pace)
        if len(sound) <= length:
            stretch = np.zeros(length, np.float32)
            start = int(rng.integers(length - len(sound) + 1))
            stretch[start : start + len(sound)] = sound
        else:
            # Of three stretches one that is not much softer than the loudest: many recordings end in silence.
            starts = rng.integers(len(sound) - length + 1, size=3)
            stretches = [sound[start : start + length].astype(np.float32) for start in starts]
            levels = [float(np.sqrt(np.mean(one**2))) for one in stretches]
            stretch = next(one for one, level in zip(stretches, levels, strict=True) if level >= 0.3 * max(levels))
        if pace != 1:
            places = np.linspace(0, length - 1, self.samples)
            stretch = np.interp(places, np.arange(length), stretch).astype(np.float32)
        return stretch / max(1.0, float(np.sqrt(np.mean(stretch**2))))
