"""Real clips with boxes as the network sees them: its maps of each, and those of controls.

Controls are random weights; the strength and the motion of the visual features, which hear nothing; and wrong sounds,
those of others of the clips, with which a map that hears must lose what the right sound gave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cmac_hub.config import HEARING, Map
from cmac_hub.errors import MediaError
from cmac_hub.geometry import Shift
from cmac_hub.inference import batches, windows_for
from cmac_hub.joint import speed
from cmac_hub.media import probe
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.toolbox.scene_maps import DEAF, MOVING
from cmac_hub.train.evaluate.toolbox.untrained import random_weights

WRONG_SOUNDS = 10
"""With how many wrong sounds each clip is shown. One is too few: on 78 shots guidance then points right in 41 to 65 %,
depending on which clip is heard for which, and in 52 % on average."""


@dataclass
class ClipMaps:
    """What a network draws over each clip that could be read."""

    clips: list[BoxedClip] = field(default_factory=list)
    heats: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Name of a map -> (H, W) of each clip."""
    wrong: dict[Map, list[list[np.ndarray]]] = field(default_factory=dict)
    """Map that hears -> for each of several wrong sounds (H, W) of each clip."""
    missing: list[str] = field(default_factory=list)
    """Names of videos that could not be read: neither hits nor misses."""
    shifts: dict[str, Shift] = field(default_factory=dict)
    """Name of a map -> how far it lies off, see `cmac_hub.geometry`; one that is not named lies where it should."""

    def truths(self) -> list[np.ndarray]:
        """(SIDE, SIDE) each: where the boxes are."""
        return [clip.truth() for clip in self.clips]

    def part(self, keep: Sequence[int]) -> ClipMaps:
        """Some of the clips; their wrong sounds stay, whichever clips they are of."""
        return ClipMaps(
            [self.clips[i] for i in keep],
            {name: [maps[i] for i in keep] for name, maps in self.heats.items()},
            {which: [[maps[i] for i in keep] for maps in sounds] for which, sounds in self.wrong.items()},
            shifts=self.shifts,
        )


@torch.inference_mode()
def encode_clip(model: CMAC, clip: BoxedClip) -> tuple[Tensor, Tensor]:
    """Visual map (1, C, T', H', W') and audio map (1, C, F', S') of the window around the clip's time.

    Raises:
        MediaError: the file cannot be read, lacks video or audio, or has no such moment.
    """
    info = probe(clip.path)
    if not info.has_video or not info.has_audio:
        raise MediaError(f"{clip.path} lacks video or audio")
    window = model.config.window
    time = info.start + (info.duration or window) / 2 if clip.time is None else clip.time
    end = math.inf if info.duration is None else info.start + info.duration
    if not info.start - window / 2 < time < end + window / 2:
        raise MediaError(f"{clip.path} has no moment {time:g} s")
    cut = windows_for(model.config, info, start=time - window / 2, stop=time + window / 2)
    batch = next(iter(batches(model, cut)))
    if batch.visual_map is None or batch.audio_map is None:
        raise MediaError(f"{clip.path} has nothing to see or hear around {time:g} s")
    return batch.visual_map[:1], batch.audio_map[:1]


@torch.inference_mode()
def draw_maps(model: CMAC, visual_map: Tensor, audio_map: Tensor) -> dict[str, np.ndarray]:
    """Each visual map (H, W) fp32 over the whole displayed picture, averaged over time, by the map's name."""
    maps = model.attend_maps(visual_map, audio_map)
    found = {which: getattr(maps, f"visual_{which}") for which in get_args(Map)}
    return {which: one[0].mean(0).float().cpu().numpy() for which, one in found.items()}


def predict_clips(model: CMAC, clips: Sequence[BoxedClip], *, controls: bool = True, progress: bool = True) -> ClipMaps:
    """All maps of all clips, and with `controls` those of random weights, of wrong sounds and the deaf ones."""
    untrained = random_weights(model.config, device=model.device) if controls else None
    # Random weights have no shift of their own, and must not be graded with the trained encoder's.
    shift = model.config.require_visual().map_shift
    found, encoded = ClipMaps(shifts=dict.fromkeys((*get_args(Map), DEAF, MOVING), shift)), []
    for clip in tqdm(clips, disable=not progress, unit="clip"):
        try:
            ours = encode_clip(model, clip)
        except MediaError:
            found.missing.append(clip.path.name)
            continue
        found.clips.append(clip)
        encoded.append(ours)
        rows = draw_maps(model, *ours)
        if untrained is not None:
            rows[DEAF] = ours[0][0].float().norm(dim=0).mean(0).cpu().numpy()
            rows[MOVING] = speed(ours[0])[0].cpu().numpy()
            theirs = draw_maps(untrained, *encode_clip(untrained, clip))
            rows |= {f"random weights ({name})": theirs[name] for name in ("guidance", "prediction")}
        for name, heat in rows.items():
            found.heats.setdefault(name, []).append(heat)
    for step in wrong_sounds(len(encoded)) if controls else []:
        sounds = [encoded[(i + step) % len(encoded)][1] for i in range(len(encoded))]
        maps = [draw_maps(model, visual, sound) for (visual, _), sound in zip(encoded, sounds, strict=True)]
        for which in HEARING:
            found.wrong.setdefault(which, []).append([one[which] for one in maps])
    return found


def wrong_sounds(clips: int) -> list[int]:
    """Steps from a clip to those whose sounds it is shown with: `WRONG_SOUNDS` where there are as many others, evenly
    over the set, and never to itself."""
    steps = min(WRONG_SOUNDS, clips - 1)
    return [k * clips // (steps + 1) for k in range(1, steps + 1)]
