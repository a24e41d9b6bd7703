"""What a network is drawn with: how its joint map is mixed, and which map comes first.

Both look at validation data. On composed scenes with distractors, the only ones where a map has to choose, of known
things and of things never seen, it counts where maps point. On real shots with boxes of our own, where the data has
them, it counts where maps point and how well they fit the boxes. The shots count as much as all scenes together: real
videos are what the network is for, and in composed scenes distractors move as much as what sounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from cmac_hub.config import AttentionConfig, Map
from cmac_hub.errors import MediaError
from cmac_hub.geometry import Shift
from cmac_hub.joint import affinity, join, motion, spread, strength
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.boxes import BoxedClip, shot_boxes
from cmac_hub.train.evaluate.clip_maps import ClipMaps, encode_clip, predict_clips
from cmac_hub.train.evaluate.localization import by_distractors, square
from cmac_hub.train.evaluate.toolbox.metrics import pointing_accuracy, rivals, score_maps
from cmac_hub.train.evaluate.toolbox.scene_maps import encode_scenes, make_scenes, predict_scenes, source_mask
from cmac_hub.train.scenes.library import Library
from cmac_hub.train.scenes.readers import libraries
from cmac_hub.train.scenes.real_shots import find_shots

STRENGTH_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
MOTION_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
MOST_UNHEARD = 0.5
"""What both make together at most: with more the sound would count for less than what is seen."""

SMOOTHINGS = (0, 1, 2)
TEMPERATURES = (0.0, 0.1, 0.15)
"""Higher ones point as well, but flatten the map: a thing that fills half of the picture is then hardly above the
median, below which nothing is drawn."""


class Mixture(NamedTuple):
    """How a joint map is mixed: fields of `AttentionConfig`."""

    strength_weight: float = 0.0
    motion_weight: float = 0.0
    joint_smoothing: int = 0
    affinity_temperature: float = 0.0


def mixtures() -> list[Mixture]:
    """Those that are tried, less of everything first."""
    tried = itertools.product(STRENGTH_WEIGHTS, MOTION_WEIGHTS, SMOOTHINGS, TEMPERATURES)
    found = [Mixture(*one) for one in tried if one[0] + one[1] <= MOST_UNHEARD]
    return sorted(found, key=lambda one: (one.strength_weight + one.motion_weight, *one))


class Parts(NamedTuple):
    """What a joint map of one window is mixed from, averaged over time; (H, W) fp32 each."""

    guidance: Tensor
    strength: Tensor
    motion: Tensor


class Picture(NamedTuple):
    """One window, as it is graded."""

    parts: Mapping[float, Parts]
    """Temperature -> the parts spread by it, which gives what their mixture would give, as it is linear."""
    prediction: Tensor
    """(H, W) fp32."""

    @property
    def guidance(self) -> Tensor:
        """(H, W) fp32."""
        return self.parts[0.0].guidance


@dataclass(frozen=True)
class GradedMaps:
    """One set of pictures whose sources are known."""

    pictures: Sequence[Picture]
    masks: Sequence[np.ndarray]
    shift: Shift
    reachable: float | None = None
    """Of real shots: the mean cIoU that a half of the picture can reach; None of scenes."""

    def score(self, which: Map, mixture: Mixture) -> float:
        """Share of the pictures in which a map's peak lies on the source; of real ones the mean of that and of the mean
        cIoU, as a share of what a half of the picture can reach."""
        heats = self.joint(mixture) if which == "joint" else [getattr(one, which).numpy() for one in self.pictures]
        if self.reachable is None:
            return pointing_accuracy(heats, self.masks, self.shift)
        found = score_maps(heats, self.masks, self.shift)
        return (found.pointing + found.mean_ciou / self.reachable) / 2

    def joint(self, mixture: Mixture) -> list[np.ndarray]:
        """The joint maps (H, W) of a mixture: averaged over time before, which changes nothing, as they are linear."""
        return [_mix(mixture, one.parts[mixture.affinity_temperature]) for one in self.pictures]


def _mix(mixture: Mixture, parts: Parts) -> np.ndarray:
    guidance, strength, motion = (one[None] for one in parts)
    weights = mixture.strength_weight, mixture.motion_weight
    return join(guidance, strength, weights[0], motion, weights[1], mixture.joint_smoothing)[0].numpy()


def measure_parts(model: CMAC, library: Library, count: int = 300) -> AttentionConfig:
    """The network's attention with `visual_strength`, `audio_strength` and `visual_motion` measured on scenes: between
    them lie 96 % of the places."""
    found = predict_scenes(model, make_scenes(library, model.config, count, 54324))
    return replace(
        model.config.require_attention(),
        visual_strength=_middle(found.visual_strength_NHW),
        audio_strength=_middle(found.audio_strength_NFS),
        visual_motion=_middle(found.visual_speed_NHW),
    )


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = (round(float(v), 3) for v in np.quantile(values, [0.02, 0.98]))
    return low, max(high, low + 0.001)


def grade_maps(model: CMAC, data: Path, count: int = 2000) -> list[GradedMaps]:
    """The maps of each set of validation data.

    Args:
        model: in eval mode.
        data: see `cmac_hub.train.scenes.readers`; real shots are found in the collected layout.
        count: scenes of each kind of things.
    """
    shift = model.config.require_visual().map_shift
    graded = []
    for _, library in libraries(data, "validation", model.config.require_visual().size):
        scenes = make_scenes(library, model.config, count, 12345)
        groups = by_distractors(scenes)
        scenes = [scenes[i] for i in groups.get("1+", groups["all"])]
        pictures = [one for encoded in encode_scenes(model, scenes) for one in take_apart(model, *encoded)]
        graded.append(GradedMaps(pictures, [square(source_mask(scene)) for scene in scenes], shift))
    pictures, truths = [], []
    for clip in find_boxed(data):
        with suppress(MediaError):
            pictures += take_apart(model, *encode_clip(model, clip))
            truths.append(clip.truth())
    if pictures:
        graded.append(GradedMaps(pictures, truths, shift, rivals(truths)["ceiling"].mean_ciou))
    return graded


@torch.inference_mode()
def take_apart(model: CMAC, visual_map: Tensor, audio_map: Tensor) -> list[Picture]:
    """The encoders' maps (B, C, T', H', W') and (B, C, F', S') of B windows -> what their joint maps are mixed from."""
    size, maps = model.config.require_attention(), model.attend_maps(visual_map, audio_map)
    assert maps.visual_guidance is not None and maps.visual_prediction is not None
    alike = affinity(visual_map, model.level_channels("visual"))
    seen = strength(visual_map, size.visual_strength), motion(visual_map, size.visual_motion)
    parts_B3HW = torch.stack([one.float().mean(1) for one in (maps.visual_guidance, *seen)], 1)
    spread_at = {t: spread(parts_B3HW, alike, t) if t else parts_B3HW for t in TEMPERATURES}
    return [
        Picture({t: Parts(*parts_B3HW[i].cpu()) for t, parts_B3HW in spread_at.items()}, prediction_HW)
        for i, prediction_HW in enumerate(maps.visual_prediction.float().mean(1).cpu())
    ]


def find_boxed(data: Path) -> list[BoxedClip]:
    """The validation shots with boxes of our own, if the data has any."""
    if not (find_shots(data, "clips") or find_shots(data, "clips_more")):
        return []
    return [clip for found in shot_boxes(data, "validation").values() for clip in found]


def predict_shots(model: CMAC, data: Path) -> ClipMaps | None:
    """The maps of the validation shots with boxes of our own; None where the data has none."""
    clips = find_boxed(data)
    found = predict_clips(model, clips, controls=False) if clips else ClipMaps()
    return found if found.clips else None


def choose_mixture(graded: Sequence[GradedMaps]) -> Mixture:
    """The mixture with the best joint map; of equals that with the least of everything."""
    return max(mixtures(), key=lambda mixture: _mean_score(graded, "joint", mixture))


def choose_map(graded: Sequence[GradedMaps], mixture: Mixture) -> Map:
    """The best map; of equals guidance, then prediction."""
    maps: tuple[Map, ...] = get_args(Map)
    return max(maps, key=lambda which: _mean_score(graded, which, mixture))


def _mean_score(graded: Sequence[GradedMaps], which: Map, mixture: Mixture) -> float:
    """Each kind of scenes counts as much, and real shots as much as all scenes."""
    scenes = [one.score(which, mixture) for one in graded if one.reachable is None]
    shots = [one.score(which, mixture) for one in graded if one.reachable is not None]
    # Rounded, so that equals are equal.
    return round(float(np.mean([np.mean(scores) for scores in (scenes, shots) if scores])), 9)
