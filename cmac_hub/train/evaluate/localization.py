"""Does the attention find what sounds? Measured on composed scenes, whose sources are known.

    python -m cmac_hub.train localize --data DATA -o localization.json

Two kinds of test scenes: known things (with pictures, sounds and photographs that training never used, where there are
any) and things never seen. Beside each figure stand random weights and the rivals that need no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cmac_hub.config import Map
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.metrics import SIDE, as_json, from_json, points_at, rivals, score_maps
from cmac_hub.train.evaluate.toolbox.metrics import as_table as boxes_table
from cmac_hub.train.evaluate.toolbox.scene_maps import (
    DEAF,
    MAPS,
    MOVING,
    THINGS,
    ScenePredictions,
    hits_at_1,
    make_scenes,
    predict_scenes,
    source_mask,
)
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.scenes.compose import Scene
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.splits import Split

UNTRAINED: tuple[Map, ...] = ("guidance", "prediction")
"""Maps of random weights that are graded; they have no joint one."""


def recall_at_1(hits_N: np.ndarray) -> float | None:
    """The mean of what `hits_at_1` gave; None where no gallery was full."""
    known_N = hits_N[~np.isnan(hits_N)]
    return float(known_N.mean()) if len(known_N) else None


def error_over_things(right_N: Sequence[bool], things: Sequence[str]) -> float | None:
    """Standard error of a mean whose scenes come from few things: of the things' means; None for a single thing."""
    means = [np.mean([r for r, thing in zip(right_N, things, strict=True) if thing == one]) for one in set(things)]
    return float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None


def score_group(
    trained: ScenePredictions, untrained: ScenePredictions, scenes: Sequence[Scene], rows: Sequence[int] | None = None
) -> dict[str, Any]:
    """One group of scenes.

    Args:
        trained: of the network, for all scenes.
        untrained: of random weights.
        scenes: all of them; the galleries of retrieval are made of all, so that groups can be compared.
        rows: numbers of those in the group; None takes all.

    Returns:
        "scores": name -> the measures of `metrics.BoxScores` on the sources' masks, of all maps, of two that are deaf,
        of random weights and of the rivals that need no network; "chance": the sources' mean area, which is what a
        blind guess points at;
        "retrieval_r1_of_100" with its value of random weights; "scenes": how many there are, "things" of how many
        kinds; "error_over_things": standard error of guidance's pointing, from thing to thing.
    """
    rows = list(range(len(scenes)) if rows is None else rows)
    hits = [recall_at_1(hits_at_1(one.visual_ND, one.audio_ND)[rows]) for one in (trained, untrained)]
    trained, untrained, scenes = trained.part(rows), untrained.part(rows), [scenes[i] for i in rows]
    masks = [square(source_mask(scene)) for scene in scenes]
    maps = {str(which): heats for which, heats in trained.visual_NHW.items()}
    maps |= {DEAF: trained.visual_strength_NHW, MOVING: trained.visual_speed_NHW}
    random = {f"random weights ({which})": untrained.visual_NHW[which] for which in UNTRAINED}
    shift = trained.shift
    scores = {name: score_maps(list(heats), masks, shift) for name, heats in maps.items()}
    scores |= {name: score_maps(list(heats), masks, untrained.shift) for name, heats in random.items()}
    scores |= rivals(masks)
    right = [points_at(heat, mask, shift) for heat, mask in zip(trained.visual_NHW["guidance"], masks, strict=True)]
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
    """Numbers of the scenes with none, 1, 2, ... distractors beside the source; "1+" is where a map must choose."""
    counts = [scene.distractors for scene in scenes]
    groups = {"all": list(range(len(scenes)))}
    groups |= {str(n): [i for i, count in enumerate(counts) if count == n] for n in sorted(set(counts))}
    groups["1+"] = [i for i, count in enumerate(counts) if count > 0]
    return {name: rows for name, rows in groups.items() if rows}


def hardest(groups: dict[str, Any]) -> dict[str, Any]:
    """Of a report's groups the scenes with distractors, the only ones where a map has to choose; else all."""
    return dict(groups.get("1+", groups["all"]))


def measure_scenes(model: CMAC, data: Path, split: Split, count: int) -> tuple[dict[str, Any], str]:
    """`evaluate` and its table."""
    report = evaluate(model, data, split, count)
    return report, as_table(report)


def evaluate(
    model: CMAC, data: Path | None, split: Split = "test", count: int = 500, seed: int = 12345
) -> dict[str, Any]:
    """Known things and things never seen, all scenes together and by the number of distractors; and those alone whose
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
    for which, library in libraries(data, split, model.config.require_visual().size):
        scenes = make_scenes(library, model.config, count, seed)
        ours, theirs = predict_scenes(model, scenes), predict_scenes(untrained, scenes)
        groups = by_distractors(scenes)
        borrowed = {thing.name for thing in library.things if thing.borrowed}
        unused = [i for i, scene in enumerate(scenes) if scene.thing not in borrowed]
        if 0 < len(unused) < len(scenes):
            groups[FILES_NOT_IN_TRAINING] = unused
        report[which] = {name: score_group(ours, theirs, scenes, rows) for name, rows in groups.items()}
    return report


FILES_NOT_IN_TRAINING = "all, files not in training"
"""The scenes of things that have pictures and sounds of the split; other things borrow those of training."""

POINTING: dict[str, str] = {
    **{which: which for which in (*MAPS, DEAF, MOVING)},
    "centered disc": "middle of the picture",
    **{name: name for name in (f"random weights ({which})" for which in UNTRAINED)},
}
"""Score -> its column in the table of pointing."""


def as_table(report: dict[str, Any]) -> str:
    """Markdown: pointing by the number of distractors, then all measures of the field over all scenes."""
    head = ["things", "distractors", *POINTING.values(), "chance", "R@1 of 100", "scenes", "of things", "error"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    kinds = [which for which in THINGS if which in report]
    for which in kinds:
        for group, found in report[which].items():
            cells = [f"{found['scores'][name]['pointing']:.2f}" for name in POINTING]
            recall = found["retrieval_r1_of_100"]
            cells += [f"{found['chance']:.2f}", "-" if recall is None else f"{recall:.2f}"]
            error = found["error_over_things"]
            cells += [str(found["scenes"]), str(found["things"]), "-" if error is None else f"{error:.2f}"]
            lines.append(f"| {THINGS[which]} | {group} | " + " | ".join(cells) + " |")
    for which in kinds:
        scores = {name: from_json(one) for name, one in report[which]["all"]["scores"].items()}
        lines += ["", f"Things {THINGS[which]}, all scenes, in percent:", "", boxes_table(scores)]
    return "\n".join(lines)
