"""Localization on real videos with boxes: all maps, beside what must be worse.

    python -m cmac_hub.train localize --on clips --data DATA
    python -m cmac_hub.train localize --on vggss --data vggss.json --videos FOLDER

Beside the maps stand the trivial rivals; random weights; the maps of a wrong sound, that of another of the clips, which
must lose what the right sound gave; and the strength of the visual features, which hears nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cmac_hub.config import HEARING, Map
from cmac_hub.errors import CMACError, MediaError
from cmac_hub.inference import batches, windows_for
from cmac_hub.media import probe
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.boxes import BoxedClip, shot_boxes
from cmac_hub.train.evaluate.toolbox.metrics import (
    BoxScores,
    PictureScores,
    as_json,
    as_table,
    box_mask,
    consensus_mask,
    paired_interval,
    rivals,
    score_disc,
    score_pictures,
    summarize,
)
from cmac_hub.train.evaluate.toolbox.scene_maps import DEAF
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.scenes.splits import Split

DRUMSTICKS = "drumstick"
"""In the names of the shots of Greatest Hits: they are many of one kind, and reported apart."""

WRONG = "{}, wrong sound"
"""How tables name a map whose sound is that of another clip."""

Apart = dict[str, tuple[float, float, float]]
"""`pointing` and `mean_ciou` -> by how much one map is above another, and the 95 % interval of that (a paired bootstrap
over the clips)."""


@dataclass
class ClipMaps:
    """What a network draws over each clip that could be read."""

    clips: list[BoxedClip] = field(default_factory=list)
    heats: dict[str, list[np.ndarray]] = field(default_factory=dict)
    """Name of a map -> (H, W) of each clip."""
    missing: list[str] = field(default_factory=list)
    """Names of videos that could not be read: neither hits nor misses."""

    def truths(self) -> list[np.ndarray]:
        """(SIDE, SIDE) each: where the boxes are."""
        return [(consensus_mask if clip.consensus else box_mask)(clip.boxes) for clip in self.clips]

    def part(self, keep: Sequence[int]) -> ClipMaps:
        """Some of the clips."""
        heats = {name: [maps[i] for i in keep] for name, maps in self.heats.items()}
        return ClipMaps([self.clips[i] for i in keep], heats)


@torch.inference_mode()
def encode_clip(model: CMAC, clip: BoxedClip) -> tuple[Tensor, Tensor]:
    """Visual map (1, C, T', H', W') and audio map (1, C, F', S') of the window around the clip's time.

    Raises:
        MediaError: the file cannot be read or lacks video or audio.
    """
    info = probe(clip.path)
    if not info.has_video or not info.has_audio:
        raise MediaError(f"{clip.path} lacks video or audio")
    window = model.config.window
    time = info.start + (info.duration or window) / 2 if clip.time is None else clip.time
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
    """All maps of all clips; as controls the deaf map, and those of random weights and of wrong sounds.

    The wrong sound of a clip is that of the clip half of the set further on: always another, and always the same.
    """
    untrained = random_weights(model.config, device=model.device) if controls else None
    found, encoded = ClipMaps(), []
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
            theirs = draw_maps(untrained, *encode_clip(untrained, clip))
            rows |= {f"random weights ({name})": theirs[name] for name in ("guidance", "prediction")}
        for name, heat in rows.items():
            found.heats.setdefault(name, []).append(heat)
    if controls and len(encoded) > 1:
        wrong = [encoded[(i + len(encoded) // 2) % len(encoded)][1] for i in range(len(encoded))]
        for (visual_map, _), audio_map in zip(encoded, wrong, strict=True):
            heats = draw_maps(model, visual_map, audio_map)
            for name in HEARING:
                found.heats.setdefault(WRONG.format(name), []).append(heats[name])
    return found


def score_clips(model: CMAC, found: ClipMaps) -> dict[str, BoxScores]:
    """Scores of all maps and of the trivial rivals, by name."""
    shift, truths = model.config.require_visual().map_shift, found.truths()
    scores = {name: summarize(score_pictures(heats, truths, shift)) for name, heats in found.heats.items()}
    return scores | rivals(truths)


def compare(model: CMAC, found: ClipMaps) -> dict[str, dict[str, Apart]]:
    """How sure the distances are that matter: of each map from the disc, and of those that hear from themselves when
    the sound is a wrong one.

    Returns:
        "over_disc" and, of more than one clip, "over_wrong_sound" -> map -> `Apart`.
    """
    shift, truths = model.config.require_visual().map_shift, found.truths()
    disc, pictures = score_disc(truths), {n: score_pictures(h, truths, shift) for n, h in found.heats.items()}
    return {
        "over_disc": {which: _apart(pictures[which], disc) for which in get_args(Map)},
        "over_wrong_sound": {
            which: _apart(pictures[which], pictures[WRONG.format(which)])
            for which in HEARING
            if WRONG.format(which) in pictures
        },
    }


def _apart(ours: PictureScores, theirs: PictureScores) -> Apart:
    assert ours.hits_N is not None and theirs.hits_N is not None
    return {
        "pointing": paired_interval(ours.hits_N, theirs.hits_N),
        "mean_ciou": paired_interval(ours.cious_N, theirs.cious_N),
    }


def evaluate_boxes(model: CMAC, clips: Sequence[BoxedClip], *, progress: bool = True) -> dict[str, Any]:
    """Scores of a network's maps, of controls and of trivial rivals on the same videos.

    Returns:
        {"scores": name -> BoxScores, "over_disc" and "over_wrong_sound": see `compare`, "missing": names of videos that
        could not be read}.

    Raises:
        CMACError: no video could be read.
    """
    return _evaluate(model, _read(model, clips, progress))


def measure_shots(model: CMAC, data: Path, split: Split = "test") -> tuple[dict[str, Any], str]:
    """The real shots of a split with our own boxes: all of them, each folder, and all by whether drumsticks sound."""
    parts = shot_boxes(data, split)
    found = _read(model, [clip for clips in parts.values() for clip in clips], True)
    places = {folder: [i for i, clip in enumerate(found.clips) if clip in clips] for folder, clips in parts.items()}
    drumsticks = [DRUMSTICKS in clip.path.name for clip in found.clips]
    places["drumsticks"] = [i for i, one in enumerate(drumsticks) if one]
    places["others"] = [i for i, one in enumerate(drumsticks) if not one]
    reports = {"all": _evaluate(model, found)}
    reports |= {part: _evaluate(model, found.part(keep)) for part, keep in places.items() if keep}
    tables = [f"{part.replace('_', ' ').capitalize()}:\n\n{tabulate(one)}" for part, one in reports.items()]
    return {part: jsonable(one) for part, one in reports.items()}, "\n\n".join(tables)


def measure_clips(model: CMAC, clips: Sequence[BoxedClip]) -> tuple[dict[str, Any], str]:
    """`evaluate_boxes`, ready for a file, and its table."""
    report = evaluate_boxes(model, clips)
    return jsonable(report), tabulate(report)


def tabulate(report: dict[str, Any]) -> str:
    """Markdown: the scores in percent, and a line for each distance of `compare`."""
    lines = [as_table(report["scores"]), ""]
    for key, rival in (("over_disc", "the centered disc"), ("over_wrong_sound", "a wrong sound")):
        for name, compared in report[key].items():
            told = [
                f"{what.replace('_ciou', ' cIoU')} {100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
                for what, (value, low, high) in compared.items()
            ]
            lines.append(f"{name} over {rival}, points and 95 % interval: {', '.join(told)}")
    return "\n".join(lines)


def jsonable(report: dict[str, Any]) -> dict[str, Any]:
    """The same as json holds it."""
    return {**report, "scores": {name: as_json(one) for name, one in report["scores"].items()}}


def _read(model: CMAC, clips: Sequence[BoxedClip], progress: bool) -> ClipMaps:
    found = predict_clips(model, clips, progress=progress)
    if not found.clips:
        raise CMACError(
            f"none of the {len(clips)} videos could be read, the first is {clips[0].path if clips else '-'}"
        )
    return found


def _evaluate(model: CMAC, found: ClipMaps) -> dict[str, Any]:
    return {
        "scores": score_clips(model, found),
        **compare(model, found),
        "missing": found.missing,
    }
