"""How well a map finds boxes, as the field computes it (Senocak et al. 2018, Chen et al. 2021), and trivial rivals.

A map is resized to SIDE x SIDE and its upper half, from the median value on, is taken for the source. cIoU is its
intersection with the boxes' union over their joint area, or, where several people drew boxes, with what they agree on
(`consensus_mask`); "cIoU@0.5" is the share of pictures with at least 0.5, AUC
the area under that share over thresholds 0, 0.05, ..., 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cmac_hub.geometry import CENTERED, Shift, over_frame, peak

SIDE = 224
"""Pixels to which maps and boxes are brought."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of width and height, row 0 on top."""

THRESHOLDS = np.linspace(0, 1, 21)


class BoxScores(NamedTuple):
    """Means over pictures; shares from 0 to 1."""

    ciou: float
    """Share of pictures whose cIoU is at least 0.5."""
    auc: float
    mean_ciou: float
    pointing: float
    """Share of pictures whose highest place lies in a box; NaN for a rival without one."""
    pictures: int


class PictureScores(NamedTuple):
    """Of each picture by itself."""

    cious_N: np.ndarray
    hits_N: np.ndarray | None
    """1.0 where the highest place lies in a box, else 0.0; None for a rival without one."""


def box_mask(boxes: Sequence[Box]) -> np.ndarray:
    """(SIDE, SIDE) bool: the union of boxes, edges at int(x * SIDE) as in the field's code."""
    mask = np.zeros((SIDE, SIDE), bool)
    for x0, y0, x1, y1 in boxes:
        left, top, right, bottom = (max(0, int(v * SIDE)) for v in (x0, y0, x1, y1))
        mask[top:bottom, left:right] = True
    return mask


def consensus_mask(boxes: Sequence[Box], agree: int = 2) -> np.ndarray:
    """(SIDE, SIDE) fp32 in [0, 1]: how many boxes cover a place over `agree`, at most 1 (Senocak et al. 2018)."""
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes:
        drawn += box_mask([box])
    return np.minimum(drawn / agree, 1)


def resize_map(heat_HW: np.ndarray, shape: tuple[int, int] = (SIDE, SIDE), shift: Shift = CENTERED) -> np.ndarray:
    """(H, W) float -> `shape` (rows, columns) fp32, bilinear; `shift` as in `cmac_hub.geometry`."""
    return over_frame(heat_HW.astype(np.float32), shape[1], shape[0], shift, smooth=False)


def points_at(heat_HW: np.ndarray, mask_HW: np.ndarray, shift: Shift = CENTERED) -> bool:
    """Whether the highest place of the map lies inside the mask, which covers the same picture."""
    x, y = peak(heat_HW, shift)
    rows, columns = mask_HW.shape
    return bool(mask_HW[min(rows - 1, int(y * rows)), min(columns - 1, int(x * columns))])


def pointing_accuracy(heats: Sequence[np.ndarray], masks: Sequence[np.ndarray], shift: Shift = CENTERED) -> float:
    """Share of pictures in which the peak lies inside the source."""
    return float(np.mean([points_at(heat, mask, shift) for heat, mask in zip(heats, masks, strict=True)]))


def upper_half(heat_HW: np.ndarray) -> np.ndarray:
    """(SIDE, SIDE) bool: where a map of that size is at least its median (of an even number, the upper of two)."""
    return heat_HW >= np.sort(heat_HW, axis=None)[heat_HW.size // 2]


def intersection_over_union(found: np.ndarray, truth: np.ndarray) -> float:
    """Of a bool mask with a truth of bools, or of weights in [0, 1]: what was found of it, over all of it and what was
    found where there is nothing; 0 when both are empty."""
    joint = float(truth.sum(dtype=np.float64)) + float((found & (truth == 0)).sum())
    return float(truth[found].sum(dtype=np.float64)) / joint if joint else 0.0


def auc(cious: np.ndarray) -> float:
    """Area under the share of pictures with a cIoU of at least t, over t in THRESHOLDS."""
    return float(np.trapezoid([(cious >= t - 1e-12).mean() for t in THRESHOLDS], THRESHOLDS))


def summarize(scores: PictureScores) -> BoxScores:
    """Means over the pictures."""
    cious_N, hits_N = scores
    pointing = float("nan") if hits_N is None else float(hits_N.mean())
    return BoxScores(float((cious_N >= 0.5).mean()), auc(cious_N), float(cious_N.mean()), pointing, len(cious_N))


def score_masks(found: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> PictureScores:
    """Scores of binary answers."""
    cious = [intersection_over_union(one, truth) for one, truth in zip(found, truths, strict=True)]
    return PictureScores(np.array(cious), None)


def score_pictures(heats: Sequence[np.ndarray], truths: Sequence[np.ndarray], shift: Shift = CENTERED) -> PictureScores:
    """Scores of maps of any size, each over the whole picture.

    Args:
        heats: (H, W) each.
        truths: (SIDE, SIDE) each, of `box_mask` or `consensus_mask`.
        shift: how far the maps lie off, see `cmac_hub.geometry`.

    Raises:
        ValueError: a map that is not finite, or no map at all.
    """
    if not heats:
        raise ValueError("there is no map to score; give at least one")
    for heat in heats:
        if not np.isfinite(heat).all():
            raise ValueError("a map holds values that are not finite; mend the network that made it")
    halves = [upper_half(resize_map(heat, shift=shift)) for heat in heats]
    hits = [float(points_at(heat, truth, shift)) for heat, truth in zip(heats, truths, strict=True)]
    return score_masks(halves, truths)._replace(hits_N=np.array(hits))


def score_maps(heats: Sequence[np.ndarray], truths: Sequence[np.ndarray], shift: Shift = CENTERED) -> BoxScores:
    """`score_pictures`, summarized."""
    return summarize(score_pictures(heats, truths, shift))


def score_disc(truths: Sequence[np.ndarray]) -> PictureScores:
    """Scores of a disc in the middle, whose highest place is the picture's center."""
    hits = [float(truth[SIDE // 2, SIDE // 2] > 0) for truth in truths]
    return score_masks([centered_disc()] * len(truths), truths)._replace(hits_N=np.array(hits))


def paired_interval(
    ours_N: np.ndarray, theirs_N: np.ndarray, draws: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """By how much the mean of `ours_N` is above that of `theirs_N`, and the 95 % interval of a paired bootstrap: the
    same pictures are drawn, with replacement, for both."""
    apart_N = ours_N - theirs_N
    drawn = np.random.default_rng(seed).integers(len(apart_N), size=(draws, len(apart_N)))
    low, high = np.quantile(apart_N[drawn].mean(1), [0.025, 0.975])
    return float(apart_N.mean()), float(low), float(high)


def centered_disc() -> np.ndarray:
    """(SIDE, SIDE) bool: a disc in the middle with half of the picture's area."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    return x**2 + y**2 <= SIDE**2 / (2 * np.pi)


def rivals(truths: Sequence[np.ndarray], seed: int = 0) -> dict[str, BoxScores]:
    """What no network is needed for, on the same pictures.

    Returns:
        centered disc, whole image, random map (7x7 noise, resized), and what a map can reach at best under the rule of
        the median: an upper half that holds the source, or is held by it.
    """
    rng = np.random.default_rng(seed)
    best = np.array([_best_half(truth) for truth in truths])
    return {
        "centered disc": summarize(score_disc(truths)),
        "whole image": summarize(score_masks([np.ones((SIDE, SIDE), bool)] * len(truths), truths)),
        "random map": score_maps([rng.random((7, 7)) for _ in truths], truths),
        "ceiling": BoxScores(float((best >= 0.5).mean()), auc(best), float(best.mean()), 1.0, len(truths)),
    }


def _best_half(truth: np.ndarray) -> float:
    """cIoU of the half of the picture that holds most of the truth."""
    falling = np.sort(truth, axis=None)[::-1].astype(np.float64)
    half = falling[: falling.size // 2]
    return float(half.sum() / (falling.sum() + (half == 0).sum()))


def as_json(scores: BoxScores) -> dict[str, float | None]:
    """The scores with None where there is none: NaN is no JSON."""
    return {name: None if value != value else value for name, value in scores._asdict().items()}


def from_json(values: dict[str, Any]) -> BoxScores:
    """The inverse of `as_json`."""
    known: dict[str, Any] = {name: float("nan") if value is None else value for name, value in values.items()}
    return BoxScores(**known)


def as_table(rows: dict[str, BoxScores]) -> str:
    """Markdown, in percent."""
    lines = ["| | cIoU@0.5 | AUC | mean cIoU | pointing | pictures |", "| --- " * 6 + "|"]
    for name, one in rows.items():
        cells = [f"{100 * v:.1f}" if np.isfinite(v) else "-" for v in one[:4]]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {one.pictures} |")
    return "\n".join(lines)
