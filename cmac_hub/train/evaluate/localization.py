"""Does the attention point at what sounds? Graded on composed scenes, whose sources are known.

    python -m cmac_hub.train localize --data DATA -o localization.json

Two kinds of test scenes: known things (with pictures, sounds and photographs that training never used, where there are
any) and things never seen. Beside each figure stand the centre prior, random weights, and chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from cmac_hub.config import CMACConfig
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.metrics import pointing_accuracy
from cmac_hub.train.library import Library
from cmac_hub.train.own_library import load_library
from cmac_hub.train.scene_settings import CURRICULA
from cmac_hub.train.scenes import Scene, compose
from cmac_hub.train.splits import Split

BATCH = 50
GALLERY = 100
"""Pairs among which retrieval looks for the right one."""


@dataclass(frozen=True)
class Graded:
    """What the network says of a set of scenes."""

    guidance_NHW: np.ndarray
    """fp32, averaged over time, at map resolution."""
    prediction_NHW: np.ndarray
    visual_ND: np.ndarray
    audio_ND: np.ndarray
    audio_guidance_NFS: np.ndarray
    audio_prediction_NFS: np.ndarray

    def part(self, rows: slice) -> Graded:
        """Some of the scenes."""
        return Graded(*(getattr(self, field.name)[rows] for field in fields(self)))


def make_scenes(library: Library, config: CMACConfig, count: int, seed: int) -> list[Scene]:
    """Scenes of all levels of the curriculum in turn, at the network's size; the same seed gives the same scenes."""
    levels = [replace(s, size=config.visual.size, frames=config.visual.frames, drawn=0.0) for s in CURRICULA["mixed"]]
    return [compose(library, np.random.default_rng([seed, i]), levels[i % len(levels)]) for i in range(count)]


@torch.inference_mode()
def look(model: CMAC, scenes: Sequence[Scene]) -> Graded:
    """Maps and embeddings of scenes; the size of a batch changes nothing, since the network is in eval mode."""
    parts: list[list[np.ndarray]] = []
    for start in range(0, len(scenes), BATCH):
        batch = scenes[start : start + BATCH]
        clips, spectrograms = model.prepare(
            torch.from_numpy(np.stack([s.frames_THWC for s in batch])),
            torch.from_numpy(np.stack([s.waveform for s in batch])),
        )
        assert clips is not None and spectrograms is not None
        output = model(clips, spectrograms)
        maps = output.attention
        assert maps.visual_guidance is not None and maps.visual_prediction is not None
        assert maps.audio_guidance is not None and maps.audio_prediction is not None
        values = (
            maps.visual_guidance.mean(1),
            maps.visual_prediction.mean(1),
            output.visual.embedding,
            output.audio.embedding,
            maps.audio_guidance,
            maps.audio_prediction,
        )
        parts.append([v.float().cpu().numpy() for v in values])
    return Graded(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def source_mask(scene: Scene) -> np.ndarray:
    """(H, W) bool: where the source is during at least half of the clip."""
    return scene.masks_THW.mean(0) >= 0.5


def recall_at_1(visual_ND: np.ndarray, audio_ND: np.ndarray) -> float:
    """Picture to sound among `GALLERY` pairs, averaged over galleries and both directions."""
    hits = []
    for start in range(0, len(visual_ND) - GALLERY + 1, GALLERY):
        cosine = visual_ND[start : start + GALLERY] @ audio_ND[start : start + GALLERY].T
        right = np.arange(len(cosine))
        hits += [(cosine.argmax(1) == right).mean(), (cosine.argmax(0) == right).mean()]
    return float(np.mean(hits)) if hits else float("nan")


def grade(graded: Graded, untrained: Graded, scenes: Sequence[Scene]) -> dict[str, float]:
    """Pointing of both maps, retrieval, and the trivial baselines on the same scenes."""
    masks = [source_mask(s) for s in scenes]
    # An even number of rows has no middle one: the pixel right below and right of the centre stands for it.
    height, width = scenes[0].masks_THW.shape[1:]
    centre = np.zeros((height, width), np.float32)
    centre[height // 2, width // 2] = 1
    return {
        "guidance": pointing_accuracy(list(graded.guidance_NHW), masks),
        "prediction": pointing_accuracy(list(graded.prediction_NHW), masks),
        "centre_prior": pointing_accuracy([centre] * len(scenes), masks),
        "random_weights_guidance": pointing_accuracy(list(untrained.guidance_NHW), masks),
        "random_weights_prediction": pointing_accuracy(list(untrained.prediction_NHW), masks),
        "chance": float(np.mean([mask.mean() for mask in masks])),
        "retrieval_r1_of_100": recall_at_1(graded.visual_ND, graded.audio_ND),
        "retrieval_r1_random_weights": recall_at_1(untrained.visual_ND, untrained.audio_ND),
        "scenes": float(len(scenes)),
    }


def random_weights(config: CMACConfig, seed: int = 0) -> CMAC:
    """An untrained network whose batch norms have seen noise, in eval mode: what the architecture alone gives."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CMAC(config).train()
        visual, audio = config.visual, config.audio
        with torch.no_grad():
            for _ in range(20):
                clips = torch.randn(8, 3, visual.frames, visual.size, visual.size)
                model(clips, torch.randn(8, 1, audio.mel_bands, 100))
    return model.eval()


def evaluate(model: CMAC, data: Path, split: Split = "test", count: int = 500, seed: int = 12345) -> dict[str, Any]:
    """Known things and things never seen, all levels together and each by itself.

    Args:
        model: a network in eval mode.
        data: a folder laid out like `shared/data`.
        split: "test", or "validation" while something is still being chosen.
        count: scenes of each kind.
        seed: of the scenes.
    """
    report: dict[str, Any] = {"split": split, "seed": seed}
    for which in ("known", "new"):
        library = load_library(data, split, which)
        scenes = make_scenes(library, model.config, count, seed)
        graded, untrained = look(model, scenes), look(random_weights(model.config), scenes)
        report[which] = {"all": grade(graded, untrained, scenes)}
        for level, name in enumerate(("easy", "medium", "hard")):
            rows = slice(level, None, len(CURRICULA["mixed"]))
            report[which][name] = grade(graded.part(rows), untrained.part(rows), scenes[rows])
    return report


def as_table(report: dict[str, Any]) -> str:
    """The report as a Markdown table."""
    columns = {
        "guidance": "guidance",
        "prediction": "prediction",
        "centre_prior": "centre prior",
        "random_weights_guidance": "random weights (guidance)",
        "random_weights_prediction": "random weights (prediction)",
        "chance": "chance",
        "retrieval_r1_of_100": "R@1 of 100",
        "scenes": "scenes",
    }
    lines = ["| things | scenes | " + " | ".join(columns.values()) + " |", "| --- " * (len(columns) + 2) + "|"]
    for which in ("known", "new"):
        for level, figures in report[which].items():
            cells = [f"{figures[key]:.0f}" if key == "scenes" else f"{figures[key]:.2f}" for key in columns]
            lines.append(f"| {which} | {level} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def calibrate(model: CMAC, data: Path, count: int = 300) -> dict[str, tuple[float, float]]:
    """Where drawing starts and saturates, from validation scenes of known things.

    Returns:
        for each map (low, high): nine tenths of the places outside of a source lie below `low`, and half of the
        sources have a peak above `high`.
    """
    scenes = make_scenes(load_library(data, "validation", "known"), model.config, count, 54321)
    graded, limits = look(model, scenes), {}
    for name, heats in (("guidance", graded.guidance_NHW), ("prediction", graded.prediction_NHW)):
        outside, inside = [], []
        for heat, scene in zip(tqdm(heats, desc=name, disable=None), scenes, strict=True):
            rows, columns = heat.shape
            height, width = scene.masks_THW.shape[1:]
            share = scene.masks_THW.mean(0)[: height // rows * rows, : width // columns * columns]
            share = share.reshape(rows, height // rows, columns, width // columns).mean((1, 3))
            outside.append(heat[share < 0.05])
            inside.append(heat[share > 0.3].max(initial=0) or heat.max())
        low, high = float(np.quantile(np.concatenate(outside), 0.9)), float(np.median(inside))
        limits[name] = (round(low, 3), round(max(high, low + 0.02), 3))
    return limits
