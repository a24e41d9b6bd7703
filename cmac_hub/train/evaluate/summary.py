"""A few figures that tell one pretrained network from another: does it localize, retrieve, and classify sounds?"""

from __future__ import annotations

from pathlib import Path

from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.localization import evaluate, hardest
from cmac_hub.train.evaluate.probe import probe

POINTING_KNOWN, POINTING_NEW, RECALL, HEARING = SUMMARY = (
    "pointing, known",
    "pointing, new",
    "R@1 of 100",
    "ESC-50 fold 5",
)
"""Guidance's pointing on validation scenes with at least one distractor, retrieval on all of known things, and the
linear probe's accuracy. Fold 5 is the card's test: it is reported, and nothing may be chosen by it."""


def summarize(model: CMAC, data: Path | None, esc50: Path | None = None, scenes: int = 500) -> dict[str, float]:
    """What can be measured with this data.

    Args:
        model: in eval mode.
        data: a folder of pictures and sounds, or None for scenes that the package draws; of a manifest of videos
            nothing is known that a map could be compared with.
        esc50: of the probe, see `esc50_of`; None leaves it out.
        scenes: of each kind.
    """
    figures = {}
    if data is None or data.is_dir():
        found = evaluate(model, data, "validation", scenes)
        figures = {
            name: hardest(found[which])["scores"]["guidance"]["pointing"]
            for name, which in ((POINTING_KNOWN, "known"), (POINTING_NEW, "new"))
            if which in found
        }
        if (recall := found["known"]["all"]["retrieval_r1_of_100"]) is not None:
            figures[RECALL] = recall
    if esc50 is not None:
        figures[HEARING] = probe(model, "esc50", esc50, ["5"], floors=False)["accuracy"]["CMAC"]["5"]
    return figures


def esc50_of(data: Path | None) -> Path | None:
    """The folder of ESC-50 that lies in the data, if one does."""
    return data / "esc50" if data is not None and (data / "esc50").is_dir() else None
