"""Figures of evaluations, where a picture says more than a mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def confusion_matrix(truth: Sequence[str], said: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """(classes, counts): row r, column c counts recordings of class r that were taken for class c."""
    classes = sorted(set(truth) | set(said))
    place = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), int)
    for one, other in zip(truth, said, strict=True):
        counts[place[one], place[other]] += 1
    return classes, counts


def draw_confusion(truth: Sequence[str], said: Sequence[str], path: Path) -> None:
    """Writes the confusion matrix as a picture, rows in shares of their class."""
    classes, counts = confusion_matrix(truth, said)
    side = 2 + 0.22 * len(classes)
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts / np.maximum(1, counts.sum(1, keepdims=True)), cmap="magma", vmin=0, vmax=1)
    names = [name.replace("_", " ") for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    figure.savefig(path, dpi=120)


def precision_recall(there: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(precision, recall) at every threshold of a score, highest first; equal scores fall together."""
    thresholds = np.unique(np.r_[there, absent])[::-1]
    found = (there[None] >= thresholds[:, None]).sum(1)
    wrong = (absent[None] >= thresholds[:, None]).sum(1)
    return found / np.maximum(1, found + wrong), found / max(1, len(there))


def draw_precision_recall(peaks: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Is the source in the picture, by the peak of the map?

    Args:
        peaks: name of a curve -> "there" and "absent", the peaks of scenes with and without the source.
        path: of the picture to write.
    """
    figure = Figure((4.5, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, found in peaks.items():
        precision, recall = precision_recall(np.array(found["there"]), np.array(found["absent"]))
        axes.plot(recall, precision, label=f"{name} things")
    axes.axhline(0.5, color="grey", linestyle=":", label="chance")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=120)
