"""Does the attention find what sounds? Graded on composed scenes, whose sources are known.

    python -m cmac_hub.train localize --data DATA -o localization.json

Two kinds of test scenes: known things (with pictures, sounds and photographs that training never used, where there are
any) and things never seen. Beside each figure stand random weights and the rivals that need no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cmac_hub.config import CMACConfig
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.metrics import SIDE, as_json, from_json, rivals, score_maps
from cmac_hub.train.evaluate.metrics import as_table as boxes_table
from cmac_hub.train.library import Library
from cmac_hub.train.own_library import libraries
from cmac_hub.train.scene_settings import CURRICULA, MEDIUM
from cmac_hub.train.scenes import Scene, Scenes
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

    def part(self, rows: Sequence[int]) -> Graded:
        """Some of the scenes."""
        return Graded(*(getattr(self, field.name)[list(rows)] for field in fields(self)))


def make_scenes(library: Library, config: CMACConfig, count: int, seed: int) -> list[Scene]:
    """Scenes of all levels of the curriculum in turn, at the network's size; the same seed gives the same scenes."""
    levels = [replace(s, size=config.visual.size, frames=config.visual.frames, drawn=0.0) for s in CURRICULA["mixed"]]
    return list(Scenes(library, levels, count, seed))


def make_absent(library: Library, config: CMACConfig, count: int, seed: int, **changes: Any) -> list[Scene]:
    """Scenes of the medium level whose source is not in the picture, with one silent thing that could be lit.

    `changes` go to its `SceneSettings`.
    """
    level = replace(MEDIUM, size=config.visual.size, frames=config.visual.frames, drawn=0.0, **changes)
    return list(Scenes(library, [replace(level, offscreen=1.0, distractors=(1, 1))], count, seed))


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


def recall_at_1(visual_ND: np.ndarray, audio_ND: np.ndarray) -> float | None:
    """Picture to sound among `GALLERY` pairs, averaged over galleries and both directions; None for fewer pairs."""
    hits = []
    for start in range(0, len(visual_ND) - GALLERY + 1, GALLERY):
        cosine = visual_ND[start : start + GALLERY] @ audio_ND[start : start + GALLERY].T
        right = np.arange(len(cosine))
        hits += [(cosine.argmax(1) == right).mean(), (cosine.argmax(0) == right).mean()]
    return float(np.mean(hits)) if hits else None


def grade(graded: Graded, untrained: Graded, scenes: Sequence[Scene]) -> dict[str, Any]:
    """One group of scenes.

    Returns:
        "scores": name -> the measures of `metrics.BoxScores` on the sources' masks, of both maps, of random weights and
        of the rivals that need no network; "chance": the sources' mean area, which is what a blind guess points at;
        "retrieval_r1_of_100" with its value of random weights; "scenes": how many there are.
    """
    masks = [square(source_mask(scene)) for scene in scenes]
    maps = {
        "guidance": graded.guidance_NHW,
        "prediction": graded.prediction_NHW,
        "random weights (guidance)": untrained.guidance_NHW,
        "random weights (prediction)": untrained.prediction_NHW,
    }
    scores = {name: score_maps(list(heats), masks) for name, heats in maps.items()} | rivals(masks)
    return {
        "scores": {name: as_json(one) for name, one in scores.items()},
        "chance": float(np.mean([mask.mean() for mask in masks])),
        "retrieval_r1_of_100": recall_at_1(graded.visual_ND, graded.audio_ND),
        "retrieval_r1_random_weights": recall_at_1(untrained.visual_ND, untrained.audio_ND),
        "scenes": len(scenes),
    }


def square(mask_HW: np.ndarray) -> np.ndarray:
    """A bool mask at the size at which the field grades boxes."""
    return np.asarray(Image.fromarray(mask_HW).resize((SIDE, SIDE), Image.Resampling.NEAREST))


def by_distractors(scenes: Sequence[Scene]) -> dict[str, list[int]]:
    """Numbers of the scenes with none, 1, 2, ... silent things beside the source; "1+" is where a map must choose."""
    counts = [scene.distractors for scene in scenes]
    groups = {"all": list(range(len(scenes)))}
    groups |= {str(n): [i for i, count in enumerate(counts) if count == n] for n in sorted(set(counts))}
    groups["1+"] = [i for i, count in enumerate(counts) if count > 0]
    return {name: rows for name, rows in groups.items() if rows}


def hardest(groups: dict[str, Any]) -> dict[str, Any]:
    """Of a report's groups the scenes with silent things, the only ones where a map has to choose; else all."""
    return dict(groups.get("1+", groups["all"]))


def random_weights(config: CMACConfig, seed: int = 0, device: torch.device | str = "cpu") -> CMAC:
    """An untrained network whose batch norms have seen noise, in eval mode: what the architecture alone gives."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CMAC(config).train()
        visual, audio = config.visual, config.audio
        with torch.no_grad():
            for _ in range(20):
                clips = torch.randn(8, 3, visual.frames, visual.size, visual.size)
                model(clips, torch.randn(8, 1, audio.mel_bands, 100))
    return model.eval().to(device)


def evaluate(
    model: CMAC, data: Path | None, split: Split = "test", count: int = 500, seed: int = 12345
) -> dict[str, Any]:
    """Known things and things never seen, all scenes together and by the number of silent things; and those alone whose
    source has pictures and sounds that are not in training, where others have not.

    Args:
        model: a network in eval mode.
        data: see `load_library`; None grades on scenes that the package draws.
        split: "test", or "validation" while something is still being chosen.
        count: scenes of each kind.
        seed: of the scenes.
    """
    report: dict[str, Any] = {"split": split, "seed": seed}
    untrained = random_weights(model.config, device=model.device)
    for which, library in libraries(data, split):
        scenes = make_scenes(library, model.config, count, seed)
        ours, theirs = look(model, scenes), look(untrained, scenes)
        groups = by_distractors(scenes)
        lent = {thing.name for thing in library.things if thing.lent}
        own = [i for i, scene in enumerate(scenes) if scene.thing not in lent]
        if 0 < len(own) < len(scenes):
            groups[OWN] = own
        report[which] = {
            name: grade(ours.part(rows), theirs.part(rows), [scenes[i] for i in rows]) for name, rows in groups.items()
        }
    return report


OWN = "all, files not in training"
"""The scenes of things that have pictures and sounds of the split; the other things lend those of training."""

POINTING = {
    "guidance": "guidance",
    "prediction": "prediction",
    "centred disc": "middle of the picture",
    "random weights (guidance)": "random weights (guidance)",
    "random weights (prediction)": "random weights (prediction)",
}
"""Score -> its column in the table of pointing."""

THINGS = {"known": "seen in training", "new": "never seen"}
"""Kind of things -> how tables name it."""


def as_table(report: dict[str, Any]) -> str:
    """Markdown: pointing by the number of silent things, then all measures of the field over all scenes."""
    head = ["things", "silent things", *POINTING.values(), "chance", "R@1 of 100", "scenes"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    told = [which for which in THINGS if which in report]
    for which in told:
        for group, found in report[which].items():
            cells = [f"{found['scores'][name]['pointing']:.2f}" for name in POINTING]
            recall = found["retrieval_r1_of_100"]
            cells += [f"{found['chance']:.2f}", "-" if recall is None else f"{recall:.2f}", str(found["scenes"])]
            lines.append(f"| {THINGS[which]} | {group} | " + " | ".join(cells) + " |")
    for which in told:
        scores = {name: from_json(one) for name, one in report[which]["all"]["scores"].items()}
        lines += ["", f"Things {THINGS[which]}, all scenes, in percent:", "", boxes_table(scores)]
    return "\n".join(lines)
