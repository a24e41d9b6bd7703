"""Figures of evaluations, where a picture says more than a mean. They need scikit-learn, as what they show does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cmac_hub.files import replacing


def draw_confusion(truth: Sequence[str], predicted: Sequence[str], path: Path) -> None:
    """Writes a confusion matrix as a picture: what each class was taken for, in shares of the class."""
    from sklearn.metrics import confusion_matrix

    classes = sorted({*truth, *predicted})
    side = 2 + 0.22 * len(classes)
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(confusion_matrix(truth, predicted, labels=classes, normalize="true"), cmap="magma", vmin=0, vmax=1)
    names = [name.replace("_", " ") for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_precision_recall(peaks: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Is the source in the picture, by the peak of the map?

    Args:
        peaks: name of a curve -> "there" and "absent", the peaks of scenes with and without the source.
        path: of the picture to write.
    """
    from sklearn.metrics import precision_recall_curve

    figure = Figure((4.5, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, found in peaks.items():
        truth = np.repeat([1, 0], [len(found["there"]), len(found["absent"])])
        precision, recall, _ = precision_recall_curve(truth, found["there"] + found["absent"])
        axes.plot(recall, precision, label=f"{name} things")
    axes.axhline(0.5, color="gray", linestyle=":", label="chance")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
