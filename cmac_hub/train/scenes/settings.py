"""How sounding scenes are composed (`compose.py`), and three levels of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

QUIETEST = -25.0
"""Lowest level of a background sound over the source's, decibels."""


@dataclass(frozen=True)
class SceneSettings:
    """How a scene is composed; ranges are drawn from uniformly."""

    size: int = 64
    """Height and width in pixels."""
    frames: int = 8
    seconds: float = 1.0
    two_sources: float = 0.0
    """Probability of a second source."""
    distractors: tuple[int, int] = (0, 0)
    """Fewest and most things beside the source that make no sound."""
    thing_size: tuple[float, float] = (0.35, 0.8)
    """A thing's longest side as a share of the clip's."""
    moving: float = 0.9
    """Probability that a thing moves in time with its sound."""
    background_sound: float = 0.3
    """Probability of a background sound: a second one, whose source is not in the picture."""
    background_level: tuple[float, float] = (QUIETEST, -5.0)
    """Its level over the source's, decibels."""
    noise_level: tuple[float, float] = (-45.0, -20.0)
    """Level of white noise over the source's, decibels."""
    drawn: float = 0.1
    """Probability that the source is one of the package's own drawings."""
    offscreen: float = 0.0
    """Probability that the sound's source is not in the picture; a distractor takes its place."""
    blur: float = 0.0
    """Probability that the whole clip is out of focus."""
    filmed: float = 0.0
    """Probability that the background is one of the library's films instead of a photograph."""


EASY = SceneSettings()
"""One large thing on a photograph."""
MEDIUM = SceneSettings(distractors=(0, 1), thing_size=(0.3, 0.65))
HARD = SceneSettings(distractors=(1, 3), thing_size=(0.22, 0.55), two_sources=0.1)
"""Small things, most of them distractors, and moving."""

Curriculum = Literal["easy", "mixed"]

Footage = Literal["clips", "original", "all"]
"""Which real shots are trained on, see `cmac_hub.train.scenes.real_shots.training_shots`."""

CURRICULA: dict[Curriculum, tuple[SceneSettings, ...]] = {
    "easy": (EASY,),
    "mixed": (EASY, MEDIUM, HARD),
}
"""Levels in order; after `easy_clips` of each a level is unlocked, then all unlocked ones come equally often."""
