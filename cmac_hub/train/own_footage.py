"""A trained network goes on learning from your own videos, and is kept only if it got better on some of them.

    python -m cmac_hub.train index VIDEOS -o manifest.csv
    python -m cmac_hub.train pretrain --recipe finetune_own --from cmac-lite --data manifest.csv -o runs/own

A share of the videos (`held_out`) is never trained on. Before and after training each of their sounds looks for its
video among them, and the map is drawn with the sounds of the others, which should light less. `runs/own/released` is
the network to use: the new one, or the start's copy where the new one finds no more. Both are drawn as the start is.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from cmac_hub.config import CMACConfig
from cmac_hub.errors import CMACError, MediaError
from cmac_hub.files import make_folder
from cmac_hub.media import probe
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.distributed import World
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.clip_maps import encode_clip, wrong_sounds
from cmac_hub.train.fields import RecipeError
from cmac_hub.train.networks import training_summary
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.release import write
from cmac_hub.train.videos.manifest import AS_BYTES, COLUMNS, Manifest, Segment
from cmac_hub.train.writing import write_json, writing

FEWEST = 10
"""Videos with picture and sound: of fewer nothing can be kept from training that tells anything."""


class OwnScores(NamedTuple):
    """What a network makes of the videos that were kept from training; the mean of both directions for ranks."""

    videos: int
    recall_1: float
    """Share of the sounds that find their video first, and of the videos that find their sound."""
    recall_5: float
    mean_reciprocal_rank: float
    """1 where each finds its partner first; what tells which network is kept."""
    peak: float
    """Of guidance with a video's own sound, in [0, 1]."""
    drop: float
    """By how much that peak is lower with the sounds of other videos."""


def finetune(
    recipe: Recipe,
    data: Path | None,
    run: Path,
    *,
    initial: CMAC | None,
    resume: bool = False,
    world: World = World(),  # noqa: B008
) -> dict[str, Any]:
    """Trains, measures before and after, and writes RUN/training.csv, RUN/held_out.csv, RUN/own.json, RUN/released.

    Args:
        recipe: with a `held_out` above 0.
        data: a manifest.
        run: folder.
        initial: the trained network to begin with.
        resume: go on with the run in that folder.
        world: this process; the files are written by the first of several.

    Returns:
        {"before" and "after": the fields of `OwnScores`, "kept": "after" or "before"}.

    Raises:
        RecipeError: no network to begin with, or no manifest.
        CMACError: fewer than `FEWEST` videos with picture and sound; the folder holds a run and `resume` is False, or a
            run of other videos; see `pretrain`.
    """
    if initial is None:
        raise RecipeError(f"recipe {recipe.name!r} goes on from a trained network; say --from cmac-lite")
    if data is None or data.suffix != ".csv":
        raise RecipeError(f"recipe {recipe.name!r} learns from videos; give their manifest: --data manifest.csv")
    training, held = split(usable(Manifest.load(data), progress=world.first), recipe.held_out)
    path = run / "training.csv"
    if Checkpoints(run).latest() is None:
        if world.first:
            make_folder(run)
            write_segments(path, training)
            write_segments(run / "held_out.csv", held)
        world.any(False)  # the others wait for the files
    elif not resume:
        raise CMACError(f"{run} holds a run; add --resume, or choose another folder")
    elif {Path(segment.path).absolute() for segment in training} != set(read_paths(path)):
        raise CMACError(f"{run} began with other videos than {data} has; give the same --data, or another folder")
    before = measure(initial, held)
    trained = pretrain(recipe, path, run, resume=resume, initial=initial, world=world)
    after = measure(trained, held)
    better = after.mean_reciprocal_rank > before.mean_reciprocal_rank
    report = {"before": before._asdict(), "after": after._asdict(), "kept": "after" if better else "before"}
    if world.first:
        kept = CMAC(_trained_config(initial.config, recipe.config, training_summary(read_checkpoint(run))))
        kept.load_state_dict((trained if better else initial).state_dict())
        kept.config = kept.config if better else initial.config
        write(kept, run / "released")
        write_json(run / "own.json", report)
    return report


def _trained_config(before: CMACConfig, trained: CMACConfig, training: dict[str, Any]) -> CMACConfig:
    """That of the network before, with what it was trained and measured with."""
    clips, compared = trained.require_visual(), trained.require_attention()
    visual = dataclasses.replace(before.require_visual(), size=clips.size, frames=clips.frames)
    attention = dataclasses.replace(
        before.require_attention(), scales=compared.scales, normalization=compared.normalization
    )
    return dataclasses.replace(before, visual=visual, attention=attention, training=training)


def usable(manifest: Manifest, *, progress: bool = True) -> list[Segment]:
    """The segments of the videos that have picture and sound; `progress` shows a bar, and says on stderr what is left
    out. Raises CMACError when they are too few."""
    segments = [manifest[i] for i in range(len(manifest))]
    paths = tqdm(dict.fromkeys(segment.path for segment in segments), disable=not progress, unit="video")
    reasons = {path: _why_not(path) for path in paths}
    found = [segment for segment in segments if not reasons[segment.path]]
    left_out = Counter(reason for reason in reasons.values() if reason)
    told = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    if (videos := len(reasons) - left_out.total()) < FEWEST:
        raise CMACError(
            f"{videos} of {len(reasons)} videos have picture and sound{f' ({told})' if told else ''}; give at least "
            f"{FEWEST}"
        )
    if told and progress:
        print(f"cmac_hub.train: {told} of {len(reasons)} videos are left out", file=sys.stderr)
    return found


def _why_not(path: str) -> str:
    try:
        info = probe(path)
    except MediaError:
        return "cannot be read"
    return "" if info.has_video and info.has_audio else "without picture or sound"


def split(segments: list[Segment], share: float) -> tuple[list[Segment], list[Segment]]:
    """(training, held out): whole groups, or videos where no group is named; at least two are held out.

    A group's place in the order comes from its name alone, so a video that is added moves few others.
    """
    groups: dict[str, list[Segment]] = {}
    for segment in segments:
        groups.setdefault(segment.group or segment.path, []).append(segment)
    names = sorted(groups, key=lambda name: hashlib.sha256(Path(name).name.encode("utf-8", AS_BYTES)).digest())
    if len(names) < 4:
        raise CMACError(f"the videos are of {len(names)} groups; give at least 4, of which some are kept from training")
    count = max(2, round(share * len(names)))
    held, training = ([one for name in part for one in groups[name]] for part in (names[:count], names[count:]))
    return training, held


def write_segments(path: Path, segments: list[Segment]) -> None:
    """A manifest with absolute paths."""
    with writing(path, errors=AS_BYTES) as file:
        rows = [(Path(s.path).absolute(), f"{s.start:.3f}", f"{s.end:.3f}", s.label, s.group) for s in segments]
        csv.writer(file).writerows([COLUMNS, *rows])


def read_paths(path: Path) -> list[Path]:
    """The videos of such a manifest."""
    manifest = Manifest.load(path)
    return [Path(manifest[i].path) for i in range(len(manifest))]


@torch.inference_mode()
def measure(model: CMAC, held: list[Segment]) -> OwnScores:
    """How well the middle second of each segment fits to its own sound and to the others'."""
    maps: list[tuple[Tensor, Tensor]] = []
    for segment in held:
        try:
            maps.append(encode_clip(model, BoxedClip(Path(segment.path), (segment.start + segment.end) / 2, ())))
        except MediaError:
            continue
    if len(maps) < 2:
        raise CMACError(f"{len(maps)} of {len(held)} videos that are held out could be read; give others")
    visual_ND, audio_ND = (
        torch.cat([model.embed(name, pair[i]).embedding for pair in maps])  # type: ignore[misc]
        for i, name in enumerate(("visual", "audio"))
    )
    cosine_NN = visual_ND @ audio_ND.T
    ranks = torch.cat([(one >= one.diag()[:, None]).sum(1) for one in (cosine_NN, cosine_NN.T)]).float()
    peaks = [_peak(model, *pair) for pair in maps]
    wrong = [
        _peak(model, maps[i][0], maps[(i + step) % len(maps)][1])
        for step in wrong_sounds(len(maps))
        for i in range(len(maps))
    ]
    return OwnScores(
        len(maps),
        float((ranks <= 1).float().mean()),
        float((ranks <= 5).float().mean()),
        float((1 / ranks).mean()),
        float(np.mean(peaks)),
        float(np.mean(peaks) - np.mean(wrong)),
    )


def _peak(model: CMAC, visual_map: Tensor, audio_map: Tensor) -> float:
    guidance = model.attend_maps(visual_map, audio_map).visual_guidance
    assert guidance is not None
    return float(guidance.mean(1).max())


def as_table(report: dict[str, Any]) -> str:
    """Markdown, and a line that says which network was kept."""
    names = {
        "recall_1": "found first",
        "recall_5": "among the first five",
        "mean_reciprocal_rank": "mean reciprocal rank",
        "peak": "peak of guidance",
        "drop": "lower with a wrong sound by",
    }
    videos = report["before"]["videos"]
    lines = [f"| {videos} videos that were held out | " + " | ".join(names.values()) + " |"]
    lines.append("| --- " * (len(names) + 1) + "|")
    for when in ("before", "after"):
        lines.append(f"| {when} | " + " | ".join(f"{report[when][name]:.3f}" for name in names) + " |")
    lines.append("")
    if report["kept"] == "after":
        lines.append("Better: the new network is kept.")
    else:
        lines.append("Not better: the network that you began with is kept. More videos, or fewer steps, may help.")
    return "\n".join(lines)
