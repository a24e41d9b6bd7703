"""The endless stream of training pairs: composed scenes that grow harder, and now and then a second of a real shot."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from tqdm import tqdm

from cmac_hub.errors import MediaError
from cmac_hub.media import windows
from cmac_hub.train.library import SAMPLE_RATE, Library
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.scenes import SceneSettings, compose
from cmac_hub.train.splits import load_splits

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


@dataclass(frozen=True)
class Shot:
    """One real shot in memory at 16 frames and 16 000 samples a second, from one instant on."""

    frames_THWC: np.ndarray
    waveform: np.ndarray

    RATE = 16


def load_shots(root: Path, size: int, *, progress: bool = True) -> list[Shot]:
    """The training groups of `root/clips` that have sound, short side a quarter larger than `size`."""
    folder = Path(root) / "clips"
    shots: list[Shot] = []
    splits = load_splits()
    if not (folder / "clips.csv").exists():
        return shots
    rows = [r for r in csv.DictReader((folder / "clips.csv").open(newline="")) if r["file"]]
    rows = [r for r in rows if splits.split_of("clip_group", r["group"]) == "train"]
    for row in tqdm(rows, disable=not progress, desc="real shots", unit="shot"):
        try:
            cut = windows(
                folder / row["file"],
                window=0.5,
                hop=0.5,
                frames=Shot.RATE // 2,
                size=size * 5 // 4,
                sample_rate=SAMPLE_RATE,
            )
            parts = [w for w in cut if not w.padded]
        except MediaError:
            continue
        pictures = [w.frames for w in parts if w.frames is not None]
        sounds = [w.waveform for w in parts if w.waveform is not None]
        if len(pictures) >= 2 and len(sounds) == len(pictures) and np.abs(np.concatenate(sounds)).max() > 1e-3:
            shots.append(Shot(np.concatenate(pictures), np.concatenate(sounds)))
    return shots


def cut_shot(shot: Shot, rng: np.random.Generator, size: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A random second, square cut, flip and colour of one shot: (T, H, W, 3) uint8 and (n,) float32."""
    start = int(rng.integers(len(shot.frames_THWC) - Shot.RATE + 1))
    picked = start + ((np.arange(frames) + 0.5) / frames * Shot.RATE).astype(int)
    height, width = shot.frames_THWC.shape[1:3]
    side = int(rng.uniform(0.65, 1) * min(height, width))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    cut = shot.frames_THWC[picked, top : top + side, left : left + side]
    cut = cut[:, :, ::-1] if rng.random() < 0.5 else cut
    clip = np.stack([np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR)) for f in cut])
    gain, offset = rng.uniform(0.7, 1.3, 3) * rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
    clip = np.clip(clip * gain + offset, 0, 255).astype(np.uint8)
    first = start * SAMPLE_RATE // Shot.RATE
    sound = shot.waveform[first : first + SAMPLE_RATE] * 10 ** (rng.uniform(-12, 3) / 20)
    return clip, np.clip(sound, -1, 1).astype(np.float32)


class PairStream(IterableDataset[tuple[Tensor, Tensor, int]]):
    """Pair i depends on the recipe's seed and i alone, so a run resumes where it stood and workers never repeat.

    Yields:
        frames (T, H, W, 3) uint8, waveform (n,) fp32, and the number of the video it is from.
    """

    def __init__(self, recipe: Recipe, data: Path | None, start: int = 0) -> None:
        self.recipe, self.start = recipe, start
        visual = recipe.config.visual
        self.levels = [replace(s, size=visual.size, frames=visual.frames) for s in CURRICULA[recipe.scenes]]
        self.library = Library.load(data, "train") if data else Library.of_drawings("train")
        self.shots = load_shots(data, visual.size) if data and recipe.real_share > 0 else []

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        torch.set_num_threads(1)
        # Batches go round the workers in turn, so each worker makes every n-th batch.
        for batch in count(self.start // self.recipe.batch + number, workers):
            for index in range(batch * self.recipe.batch, (batch + 1) * self.recipe.batch):
                yield self.pair(index)

    def pair(self, index: int) -> tuple[Tensor, Tensor, int]:
        """The pair of that number."""
        rng = np.random.default_rng([self.recipe.seed, index])
        if index < self.recipe.drawn_clips:
            drawn = 1.0 if index < 0.6 * self.recipe.drawn_clips else 0.6
            return self._compose(replace(self.levels[0], drawn=drawn), rng, index)
        unlocked = min(len(self.levels), 1 + index // max(1, self.recipe.easy_clips))
        if self.shots and unlocked > 1 and rng.random() < self.recipe.real_share:
            video = int(rng.integers(len(self.shots)))
            frames, sound = cut_shot(self.shots[video], rng, self.levels[0].size, self.levels[0].frames)
            return torch.from_numpy(frames), torch.from_numpy(sound), video
        return self._compose(self.levels[int(rng.integers(unlocked))], rng, index)

    def _compose(self, level: SceneSettings, rng: np.random.Generator, index: int) -> tuple[Tensor, Tensor, int]:
        scene = compose(self.library, rng, level)
        return torch.from_numpy(scene.frames_THWC), torch.from_numpy(scene.waveform), len(self.shots) + index
