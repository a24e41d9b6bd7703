"""Windows: which stretches of a recording the network is shown, and which frames belong to each.

One law for files, tensors, figures and training. Window k lies over [origin + k hop, origin + k hop + window) and holds
T frames, each the one on screen at the middle of one of T equal parts of the window. A frame is on screen from its own
time until the next one begins; the first is taken for all that lies before it, the last for all that comes after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cmac_hub.checks import check_positive, check_whole

INSTANT = 1e-6
"""Seconds: times closer than this are the same."""

MAX_ASPECT = 2.5
"""The long side of a resized frame, at most, in short sides."""


@dataclass(frozen=True)
class Window:
    """A stretch of a recording, ready for the network."""

    time: float
    """Seconds on the recording's clock: its center."""
    frames: np.ndarray | None
    """(T, H, W, 3) uint8 RGB as displayed; None without a video stream."""
    frame_times: np.ndarray | None
    """(T,) float64 seconds: when each of them came on screen, so the same time is the same frame; None without them."""
    waveform: np.ndarray | None
    """(n,) fp32 mono in [-1, 1], n = round(window * sample_rate); None without an audio stream, zeros in silence."""
    padded: bool
    """Whether some of it lay outside of the recording, and is filled with silence and the nearest frame."""


@dataclass(frozen=True)
class WindowGrid:
    """Where windows lie, and at which instants they want frames.

    Args:
        origin: seconds; where the first window begins.
        window: seconds of a window.
        hop: seconds from one window's beginning to the next one's.
        frames: T, frames of a window.

    Raises:
        ValueError: a window or hop that is not a positive number, or fewer than one frame.
    """

    origin: float
    window: float
    hop: float
    frames: int

    def __post_init__(self) -> None:
        check_positive(window=self.window, hop=self.hop)
        check_whole(frames=self.frames)

    def begin(self, k: int) -> float:
        """Seconds: where window k begins."""
        return self.origin + k * self.hop

    def instants(self, k: int) -> np.ndarray:
        """(T,) float64 seconds: when window k looks at the screen."""
        return self.begin(k) + (np.arange(self.frames) + 0.5) / self.frames * self.window

    def includes(self, k: int, end: float) -> bool:
        """Whether a recording that ends at `end` (seconds) has window k: its center lies within; the first always."""
        return k == 0 or self.begin(k) + self.window / 2 < end - INSTANT

    def wanted(self, low: float, high: float) -> bool:
        """Whether any window looks at the screen in [low, high), seconds."""
        low, high = low - INSTANT, high - INSTANT
        step = self.window / self.frames
        first = max(0, math.floor((low - self.origin - self.window) / self.hop))
        last = math.floor((high - self.origin) / self.hop)
        for k in range(first, last + 1):
            begin = self.begin(k)
            lowest = max(0, math.ceil((low - begin) / step - 0.5))
            if lowest < self.frames and begin + (lowest + 0.5) * step < high:
                return True
        return False


def on_screen(times: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """For each instant (T,) the number of the frame that is on screen, of frames that begin at `times` (N,), rising."""
    return np.maximum(0, np.searchsorted(times, instants + INSTANT, side="right") - 1)


def fit_size(width: int, height: int, size: int, multiple: int = 1) -> tuple[int, int]:
    """(width, height) with the short side at `size` and the aspect kept, at most 2.5 times as long as short; both are
    rounded to a multiple of `multiple`, at least one."""
    check_whole(width=width, height=height, size=size, multiple=multiple)
    scale = size / min(width, height)

    def fit(side: int) -> int:
        return max(1, round(min(side * scale, MAX_ASPECT * size) / multiple)) * multiple

    return fit(width), fit(height)
