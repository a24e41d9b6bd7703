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
from cmac_hub.train.evaluate.metrics import SIDE, as_json, from_json, points_at, rivals, score_maps
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
    """Scenes of the medium level with another thing in the source's place. `changes` go to its `SceneSettings`."""
    level = replace(MEDIUM, size=config.visual.size, frames=config.visual.frames, drawn=0.0, **changes)
    return list(Scenes(library, [replace(level, offscreen=1.0)], count, seed))


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


def source_shares(cells: tuple[int, ...], scenes: Sequence[Scene]) -> np.ndarray:
    """(N, H, W): the share of each of H x W cells of the picture that the source covers, over the clip."""
    rows, columns = cells
    found = []
    for scene in scenes:
        height, width = scene.masks_THW.shape[1:]
        whole = scene.masks_THW.mean(0)[: height // rows * rows, : width // columns * columns]
        found.append(whole.reshape(rows, height // rows, columns, width // columns).mean((1, 3)))
    return np.stack(found)


def on_source(shares_NHW: np.ndarray) -> np.ndarray:
    """(N, H, W) bool: the cells that lie on the source, of `source_shares`; where it covers none well, its best."""
    return shares_NHW >= np.minimum(0.3, shares_NHW.max((1, 2), keepdims=True))


def hits_at_1(visual_ND: np.ndarray, audio_ND: np.ndarray) -> np.ndarray:
    """(N,): how often the right one of `GALLERY` pairs is nearest, from picture to sound and back: 0, 0.5 or 1; NaN for
    the pairs that are left over."""
    hits_N = np.full(len(visual_ND), np.nan)
    for start in range(0, len(visual_ND) - GALLERY + 1, GALLERY):
        rows = slice(start, start + GALLERY)
        cosine, right = visual_ND[rows] @ audio_ND[rows].T, np.arange(GALLERY)
        hits_N[rows] = ((cosine.argmax(1) == right) + (cosine.argmax(0) == right).astype(float)) / 2
    return hits_N


def recall_at_1(hits_N: np.ndarray) -> float | None:
    """The mean of what `hits_at_1` gave; None where no gallery was full."""
    known_N = hits_N[~np.isnan(hits_N)]
    return float(known_N.mean()) if len(known_N) else None


def error_over_things(right_N: Sequence[bool], things: Sequence[str]) -> float | None:
    """Standard error of a mean whose scenes come from few things: of the things' means; None for a single thing."""
    means = [np.mean([r for r, thing in zip(right_N, things, strict=True) if thing == one]) for one in set(things)]
    return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None


def grade(
    graded: Graded, untrained: Graded, scenes: Sequence[Scene], rows: Sequence[int] | None = None
) -> dict[str, Any]:
    """One group of scenes.

    Args:
        graded: what the network says of all scenes.
        untrained: what random weights say of them.
        scenes: all of them; the galleries of retrieval are made of all, so that groups can be compared.
        rows: numbers of those in the group; None takes all.

    Returns:
        "scores": name -> the measures of `metrics.BoxScores` on the sources' masks, of both maps, of random weights and
        of the rivals that need no network; "chance": the sources' mean area, which is what a blind guess points at;
        "retrieval_r1_of_100" with its value of random weights; "scenes": how many there are, "things" of how many
        kinds; "error_over_things": standard error of guidance's pointing, from thing to thing.
    """
    rows = list(range(len(scenes)) if rows is None else rows)
    hits = [recall_at_1(hits_at_1(one.visual_ND, one.audio_ND)[rows]) for one in (graded, untrained)]
    graded, untrained, scenes = graded.part(rows), untrained.part(rows), [scenes[i] for i in rows]
    masks = [square(source_mask(scene)) for scene in scenes]
    maps = {
        "guidance": graded.guidance_NHW,
        "prediction": graded.prediction_NHW,
        "random weights (guidance)": untrained.guidance_NHW,
        "random weights (prediction)": untrained.prediction_NHW,
    }
    scores = {name: score_maps(list(heats), masks) for name, heats in maps.items()} | rivals(masks)
    right = [points_at(heat, mask) for heat, mask in zip(graded.guidance_NHW, masks, strict=True)]
    things = [scene.thing for scene in scenes]
    return {
        "scores": {name: as_json(one) for name, one in scores.items()},
        "chance": float(np.mean([mask.mean() for mask in masks])),
        "retrieval_r1_of_100": hits[0],
        "retrieval_r1_random_weights": hits[1],
        "scenes": len(scenes),
        "things": len(set(things)),
        "error_over_things": error_over_things(right, things),
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CMAC(config).train().to(device)
        visual, audio = config.visual, config.audio
        with torch.no_grad():
            for _ in range(20):
                clips = torch.randn(8, 3, visual.frames, visual.size, visual.size)
                sounds = torch.randn(8, 1, audio.mel_bands, 100)
                model(clips.to(device), sounds.to(device))
    return model.eval()


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
        report[which] = {name: grade(ours, theirs, scenes, rows) for name, rows in groups.items()}
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
    head = ["things", "silent things", *POINTING.values(), "chance", "R@1 of 100", "scenes", "of things", "error"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    told = [which for which in THINGS if which in report]
    for which in told:
        for group, found in report[which].items():
            cells = [f"{found['scores'][name]['pointing']:.2f}" for name in POINTING]
            recall = found["retrieval_r1_of_100"]
            cells += [f"{found['chance']:.2f}", "-" if recall is None else f"{recall:.2f}"]
            error = found["error_over_things"]
            cells += [str(found["scenes"]), str(found["things"]), "-" if error is None else f"{error:.2f}"]
            lines.append(f"| {THINGS[which]} | {group} | " + " | ".join(cells) + " |")
    for which in told:
        scores = {name: from_json(one) for name, one in report[which]["all"]["scores"].items()}
        lines += ["", f"Things {THINGS[which]}, all scenes, in percent:", "", boxes_table(scores)]
    return "\n".join(lines)
