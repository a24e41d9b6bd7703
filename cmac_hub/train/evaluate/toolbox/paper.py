"""The paper's own figures (pretrained on Kinetics-400, percent); they stand beside ours, marked as the paper's."""

from __future__ import annotations

PAPER_SOUNDS: dict[str, dict[str, float]] = {
    "esc50": {"CMAC": 81.4},
    "dcase2013": {"Scratch": 48, "Single-Modal": 61, "Eq. 2": 68, "CMAC": 76},
    "dcase2014": {"Eq. 2": 89, "CMAC": 96},
}
"""Table 6: set -> method -> accuracy."""

PAPER_ACTIONS: dict[str, float] = {"ucf101": 90.3, "hmdb51": 61.1}
"""Table 4: set -> top-1 accuracy, mean of three splits."""

PAPER_RETRIEVAL: dict[str, dict[str, float]] = {
    "ucf101": {"R@1": 58.4, "R@5": 74.2, "R@10": 81.3},
    "hmdb51": {"R@1": 26.0, "R@5": 52.2, "R@10": 64.2},
}
"""Table 5: set -> recall, split 1."""
