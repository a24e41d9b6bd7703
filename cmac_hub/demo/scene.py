"""The scene of `cmac demo`: two things before a landscape, of which the source moves with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from cmac_hub.demo.sounds import envelope, synthesize
from cmac_hub.demo.things import PAINTERS, draw_background, draw_thing

KINDS = tuple(PAINTERS)

DEMO_SEEDS = range(1000)
"""Scenes of these seeds belong to the demo; training draws with others."""


@dataclass(frozen=True)
class DemoScene:
    """A drawn scene with its sound and its truth. Frames are painted when they are asked for."""

    seed: int
    width: int
    height: int
    frame_rate: float
    """Hertz."""
    sample_rate: int
    """Hertz."""
    source: str
    distractor: str
    waveform: np.ndarray
    """(n,) fp32 in [-1, 1]."""
    source_centers: np.ndarray
    """(frames, 2): x, y of the source's center in pixels."""
    distractor_centers: np.ndarray
    """(frames, 2): likewise of the distractor."""
    size: int
    """Side of each thing's square in pixels."""

    @cached_property
    def _sprites(self) -> tuple[Image.Image, Image.Image, Image.Image]:
        rng = np.random.default_rng([self.seed, 1])
        things = [Image.fromarray(draw_thing(kind, rng, self.size)) for kind in (self.source, self.distractor)]
        return things[0], things[1], Image.fromarray(draw_background(rng, self.width, self.height))

    def __len__(self) -> int:
        return len(self.source_centers)

    def frame(self, index: int) -> np.ndarray:
        """(height, width, 3) uint8."""
        source, distractor, background = self._sprites
        image = background.copy()
        for thing, center in ((distractor, self.distractor_centers[index]), (source, self.source_centers[index])):
            image.paste(thing, self._corner(center), thing)
        return np.asarray(image)

    def frames(self) -> Iterator[np.ndarray]:
        """All frames in order."""
        return (self.frame(i) for i in range(len(self)))

    def mask(self, index: int) -> np.ndarray:
        """(height, width) bool: where the source is."""
        canvas = Image.new("L", (self.width, self.height))
        alpha = self._sprites[0].getchannel("A")
        canvas.paste(alpha, self._corner(self.source_centers[index]))
        return np.asarray(canvas) > 127

    def _corner(self, center: np.ndarray) -> tuple[int, int]:
        return round(float(center[0]) - self.size / 2), round(float(center[1]) - self.size / 2)


def make_scene(
    seed: int,
    seconds: float = 6.0,
    width: int = 640,
    height: int = 360,
    frame_rate: float = 25.0,
    sample_rate: int = 16000,
) -> DemoScene:
    """Two different things side by side; the source hops in time with its sound, the distractor sways by itself.

    Args:
        seed: the same seed gives the same scene.
        seconds: length.
        width: pixels.
        height: pixels.
        frame_rate: hertz.
        sample_rate: hertz.
    """
    rng = np.random.default_rng([seed, 0])
    source, distractor = (KINDS[i] for i in rng.choice(len(KINDS), 2, replace=False))
    waveform = synthesize(source, rng, seconds, sample_rate)
    count = round(seconds * frame_rate)
    size = round(min(height * rng.uniform(0.42, 0.5), width * 0.4))
    loud = envelope(waveform, sample_rate, frame_rate)
    loud = np.pad(loud, (0, max(0, count - len(loud))))[:count]
    times = np.arange(count) / frame_rate
    left, right = width * rng.uniform(0.24, 0.3), width * rng.uniform(0.7, 0.76)
    x_source, x_distractor = (left, right) if rng.random() < 0.5 else (right, left)
    floor = height * rng.uniform(0.6, 0.68)
    shake = rng.choice([-1.0, 1.0], count) * 0.012 * width
    hops = np.stack([x_source + shake * loud, floor - 0.16 * height * loud], 1)
    swing = 2 * np.pi * rng.uniform(0.25, 0.5) * times + rng.uniform(0, 2 * np.pi)
    sways = np.stack(
        [x_distractor + 0.03 * width * np.sin(swing), floor - 0.06 * height * (1 + np.sin(1.7 * swing)) / 2], 1
    )
    return DemoScene(seed, width, height, frame_rate, sample_rate, source, distractor, waveform, hops, sways, size)
