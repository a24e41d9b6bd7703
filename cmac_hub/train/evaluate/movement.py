"""Does the network use that a source moves with its sound? The one cue that carries over to things never seen.

    python -m cmac_hub.train localize --on movement --data DATA

Twins are two scenes of one thing, with the same picture and the same recording, at moments of their own: looks cannot
tell which sound belongs to which scene, movement can. Beside scenes as they are stand scenes of which fewer moments are
shown, and scenes in which nothing moves; there nothing but chance (0.5) is left.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.scene_maps import THINGS, for_network, predict_scenes
from cmac_hub.train.scenes.compose import Scene, compose
from cmac_hub.train.scenes.library import Library, Thing, pick
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.settings import EASY
from cmac_hub.train.scenes.splits import Split


def measure_movement(model: CMAC, data: Path, split: Split, count: int) -> tuple[dict[str, Any], str]:
    """`evaluate_movement` for known and for new things, and its table."""
    report = {
        which: evaluate_movement(model, library, count)
        for which, library in libraries(data, split, model.config.require_visual().size)
    }
    return report, as_table(report)


def evaluate_movement(model: CMAC, library: Library, count: int = 300, seed: int = 77) -> dict[str, float]:
    """Share of twins whose sounds are matched with the right scenes, by the sum of both cosines.

    Args:
        model: in eval mode.
        library: of the split that is graded.
        count: twins.
        seed: of the scenes.

    Returns:
        "all moments", half of them, a quarter, and so on down to "1 moment", and "nothing moves" -> share.
    """
    frames = model.config.require_visual().frames
    moving, still = (make_twins(library, model, count, seed, share) for share in (1.0, 0.0))
    found = {"all moments": told_apart(model, *moving)}
    kept = frames // 2
    while kept >= 1:
        fewer = [[show_moments(scene, kept) for scene in side] for side in moving]
        found["1 moment" if kept == 1 else f"{kept} moments"] = told_apart(model, *fewer)
        kept //= 2
    return {**found, "nothing moves": told_apart(model, *still)}


def make_twins(library: Library, model: CMAC, count: int, seed: int, moving: float) -> tuple[list[Scene], list[Scene]]:
    """(first scenes, second scenes), row by row twins of one large thing; `moving` as in `SceneSettings`."""
    settings = for_network(EASY, model.config, moving=moving)
    sides: tuple[list[Scene], list[Scene]] = ([], [])
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        thing = pick(rng, library.things)
        source = Thing(thing.name, (pick(rng, thing.pictures),), (pick(rng, thing.sounds),))
        for side in sides:
            side.append(compose(library, rng, settings, source))
    return sides


def show_moments(scene: Scene, count: int) -> Scene:
    """The scene with so many of its frames, evenly chosen, each held until the next."""
    frames = len(scene.frames_THWC)
    return replace(scene, frames_THWC=scene.frames_THWC[np.arange(frames) * count // frames * frames // count])


def told_apart(model: CMAC, first: list[Scene], second: list[Scene]) -> float:
    """Share of rows in which each scene is nearer to its own sound than to its twin's, both summed; a tie is half."""
    one, two = predict_scenes(model, first), predict_scenes(model, second)
    matched = (one.visual_ND * one.audio_ND).sum(1) + (two.visual_ND * two.audio_ND).sum(1)
    crossed = (one.visual_ND * two.audio_ND).sum(1) + (two.visual_ND * one.audio_ND).sum(1)
    return float(np.mean((matched > crossed) + 0.5 * (matched == crossed)))


def as_table(report: dict[str, dict[str, Any]]) -> str:
    """Markdown: kind of things -> the result of `evaluate_movement`."""
    columns = list(next(iter(report.values())))
    lines = ["| twins matched | " + " | ".join(columns) + " | chance |", "| --- " * (len(columns) + 2) + "|"]
    for which, found in report.items():
        lines.append(f"| {THINGS[which]} | " + " | ".join(f"{found[name]:.2f}" for name in columns) + " | 0.50 |")
    return "\n".join(lines)
