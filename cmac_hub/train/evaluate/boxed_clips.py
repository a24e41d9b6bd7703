"""Localization on real videos with boxes: all maps, beside what must be worse.

    python -m cmac_hub.train localize --on clips --data DATA
    python -m cmac_hub.train localize --on vggss --data vggss.json --videos FOLDER

Beside the maps stand the trivial rivals and the controls of `clip_maps.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from cmac_hub.config import Map
from cmac_hub.errors import CMACError
from cmac_hub.geometry import CENTERED
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.as_drawn import grade_drawn
from cmac_hub.train.evaluate.boxes import BoxedClip, shot_boxes
from cmac_hub.train.evaluate.clip_maps import ClipMaps, predict_clips
from cmac_hub.train.evaluate.toolbox.metrics import (
    BoxScores,
    PictureScores,
    as_json,
    as_table,
    paired_interval,
    rivals,
    score_disc,
    score_pictures,
    summarize,
)
from cmac_hub.train.scenes.splits import Split

DRUMSTICKS = "drumstick"
"""In the names of the shots of Greatest Hits: they are many of one kind, and reported apart."""

Apart = dict[str, tuple[float, float, float]]
"""`pointing` and `mean_ciou` -> by how much one map is above another, and the 95 % interval of that (a paired bootstrap
over the clips)."""


class Grades(NamedTuple):
    """How well the maps of some clips find what sounds, clip by clip."""

    maps: dict[str, PictureScores]
    wrong: dict[Map, list[PictureScores]]
    """Map that hears -> for each of several wrong sounds."""
    truths: list[np.ndarray]


def grade(found: ClipMaps) -> Grades:
    """Maps at their places, beside what sounds there."""
    truths = found.truths()

    def scored(name: str, heats: list[np.ndarray]) -> PictureScores:
        return score_pictures(heats, truths, found.shifts.get(name, CENTERED))

    return Grades(
        {name: scored(name, heats) for name, heats in found.heats.items()},
        {which: [scored(which, heats) for heats in each] for which, each in found.wrong.items()},
        truths,
    )


def score(grades: Grades) -> dict[str, BoxScores]:
    """Scores of all maps and of the trivial rivals, by name; those of wrong sounds are means over the sounds."""
    scores = {name: summarize(one) for name, one in grades.maps.items()}
    for which, sounds in grades.wrong.items():
        means = np.mean([summarize(one) for one in sounds], 0).tolist()
        scores[f"{which}, wrong sound"] = BoxScores(*means)._replace(pictures=len(grades.truths))
    return scores | rivals(grades.truths)


def compare(grades: Grades) -> dict[str, dict[str, Apart]]:
    """How sure the distances are that matter: of each map from the disc, and of those that hear from what they are with
    a wrong sound.

    Returns:
        "over_disc" and, of more than one clip, "over_wrong_sound" -> map -> `Apart`.
    """
    disc = score_disc(grades.truths)
    return {
        "over_disc": {which: _apart(grades.maps[which], [disc]) for which in get_args(Map)},
        "over_wrong_sound": {which: _apart(grades.maps[which], sounds) for which, sounds in grades.wrong.items()},
    }


def _apart(ours: PictureScores, theirs: Sequence[PictureScores]) -> Apart:
    """`theirs` is the mean over several maps of each picture."""
    hits = [one.hits_N for one in (ours, *theirs) if one.hits_N is not None]
    return {
        "pointing": paired_interval(hits[0], np.mean(hits[1:], 0)),
        "mean_ciou": paired_interval(ours.cious_N, np.mean([one.cious_N for one in theirs], 0)),
    }


def evaluate_boxes(model: CMAC, clips: Sequence[BoxedClip], *, progress: bool = True) -> dict[str, Any]:
    """Scores of a network's maps, of controls and of trivial rivals on the same videos.

    Returns:
        {"scores": name -> BoxScores, "over_disc" and "over_wrong_sound": see `compare`, "as_drawn": map -> fields of
        `Drawn`, "missing": names of videos that could not be read}.

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
    """Markdown: the scores in percent, a line for each distance of `compare`, and one for each map as it is drawn."""
    lines = [as_table(report["scores"]), ""]
    for key, rival in (("over_disc", "the centered disc"), ("over_wrong_sound", "a wrong sound")):
        for name, compared in report[key].items():
            told = [
                f"{what.replace('_ciou', ' cIoU')} {100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
                for what, (value, low, high) in compared.items()
            ]
            lines.append(f"{name} over {rival}, points and 95 % interval: {', '.join(told)}")
    for name, drawn in report["as_drawn"].items():
        shares = ", ".join(f"{what} {100 * drawn[what]:.1f}" for what in ("right", "wrong", "dark"))
        lines.append(f"{name} as drawn, percent: {shares}; median lit area {100 * drawn['area']:.1f}")
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
    grades = grade(found)
    display, shift = model.config.display, model.config.require_visual().map_shift
    return {
        "scores": score(grades),
        **compare(grades),
        "as_drawn": {
            which: grade_drawn(found.heats[which], grades.truths, display.limits("visual", which), shift)._asdict()
            for which in get_args(Map)
        },
        "missing": found.missing,
    }
