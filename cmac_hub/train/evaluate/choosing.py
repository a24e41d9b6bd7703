"""What a network is drawn with: how much strength its joint map takes, and which map comes first.

Both look at where maps point on validation data: composed scenes with distractors, the only ones where a map has to
choose, of known things and of things never seen; and real shots with boxes of our own, where the data has them. Each of
the three counts as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from cmac_hub.config import AttentionConfig, Map
from cmac_hub.geometry import Shift
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.boxes import shot_boxes
from cmac_hub.train.evaluate.clip_maps import ClipMaps, predict_clips
from cmac_hub.train.evaluate.localization import by_distractors, square
from cmac_hub.train.evaluate.toolbox.metrics import pointing_accuracy
from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes, predict_scenes, source_mask
from cmac_hub.train.scenes.library import Library
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.real_shots import find_shots

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Of strength in the joint map. More than half, and the sound would count for less than what is seen."""


@dataclass(frozen=True)
class GradedMaps:
    """Maps of one set of pictures whose sources are known; the joint map is strength alone (weight 1)."""

    heats: dict[Map, Sequence[np.ndarray]]
    masks: Sequence[np.ndarray]
    shift: Shift

    def pointing(self, which: Map, weight: float) -> float:
        """Share of the pictures in which a map's peak lies on the source; `weight` is that of strength in "joint"."""
        heats = self.heats[which]
        if which == "joint":
            # Both are averages over time already, and the joint map is linear in them.
            heats = [(1 - weight) * g + weight * s for g, s in zip(self.heats["guidance"], heats, strict=True)]
        return pointing_accuracy(heats, self.masks, self.shift)


def measure_strength(model: CMAC, library: Library, count: int = 300) -> AttentionConfig:
    """The network's attention with `visual_strength` and `audio_strength` measured on scenes: between them lie 96 % of
    the places."""
    found = predict_scenes(model, make_scenes(library, model.config, count, 54324))
    return replace(
        model.config.require_attention(),
        visual_strength=_middle(found.visual_strength_NHW),
        audio_strength=_middle(found.audio_strength_NFS),
    )


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = (round(float(v), 3) for v in np.quantile(values, [0.02, 0.98]))
    return low, max(high, low + 0.001)


def grade_maps(model: CMAC, data: Path, count: int = 600) -> list[GradedMaps]:
    """The maps of each set of validation data.

    Args:
        model: in eval mode.
        data: see `cmac_hub.train.scenes.readers`; real shots are found in the collected layout.
        count: scenes of each kind of things.
    """
    attention = replace(model.config.require_attention(), joint_weight=1.0)
    strength = CMAC(replace(model.config, attention=attention)).to(model.device).eval()
    strength.load_state_dict(model.state_dict())
    shift = model.config.require_visual().map_shift
    graded = []
    for _, library in libraries(data, "validation", model.config.require_visual().size):
        scenes = make_scenes(library, model.config, count, 12345)
        groups = by_distractors(scenes)
        scenes = [scenes[i] for i in groups.get("1+", groups["all"])]
        maps = predict_scenes(strength, scenes).visual_NHW
        masks = [square(source_mask(scene)) for scene in scenes]
        graded.append(GradedMaps({which: list(heats) for which, heats in maps.items()}, masks, shift))
    if (found := predict_shots(strength, data)) is not None:
        graded.append(GradedMaps({which: found.heats[which] for which in get_args(Map)}, found.truths(), shift))
    return graded


def predict_shots(model: CMAC, data: Path) -> ClipMaps | None:
    """The maps of the validation shots with boxes of our own; None where the data has none."""
    if not (find_shots(data, "clips") or find_shots(data, "clips_more")):
        return None
    clips = [clip for found in shot_boxes(data, "validation").values() for clip in found]
    found = predict_clips(model, clips, controls=False)
    return found if found.clips else None


def choose_weight(graded: Sequence[GradedMaps]) -> float:
    """The weight of `WEIGHTS` with which the joint map points best; the smallest of equals."""
    return max(WEIGHTS, key=lambda weight: _mean_pointing(graded, "joint", weight))


def choose_map(graded: Sequence[GradedMaps], weight: float) -> Map:
    """The map that points best; of equals guidance, then prediction."""
    maps: tuple[Map, ...] = get_args(Map)
    return max(maps, key=lambda which: _mean_pointing(graded, which, weight))


def _mean_pointing(graded: Sequence[GradedMaps], which: Map, weight: float) -> float:
    return round(float(np.mean([one.pointing(which, weight) for one in graded])), 6)
