"""What moves in a sounding scene: pictures of things, each with its looks, its place, and a movement in time.

Sources and distractors obey the same law here; `compose.py` lets a distractor move with a sound that is not in the mix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from cmac_hub.train.scenes.settings import SceneSettings

MOTIONS = ("bounce", "pulse", "shake", "glow")


@dataclass
class Actor:
    """One thing on its path through the clip."""

    picture: Image.Image
    center: np.ndarray
    drift: np.ndarray
    motion: str
    envelope_T: np.ndarray
    sounding: bool
    sprites: dict[int, np.ndarray] = field(default_factory=dict)

    def sprite(self, scale: float) -> np.ndarray:
        """(h, w, 4) premultiplied at a scale, in steps of 4 %."""
        step = round(scale * 25)
        if step not in self.sprites:
            width, height = self.picture.size
            size = max(2, round(width * step / 25)), max(2, round(height * step / 25))
            self.sprites[step] = np.asarray(self.picture.resize(size, Image.Resampling.BILINEAR))
        return self.sprites[step]


def envelope(waveform: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) loudness in [0, 1] around each frame's instant."""
    blocks = waveform[: len(waveform) // frames * frames].reshape(frames, -1)
    loudness = np.sqrt((blocks**2).mean(1))
    return loudness / max(1e-6, float(loudness.max()))


def act(
    rng: np.random.Generator, pixels: np.ndarray, sound: np.ndarray, sounding: bool, settings: SceneSettings
) -> Actor:
    """Gives a picture its looks, place and movement: the same law for sources and distractors."""
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    matrix = np.eye(3) + rng.normal(0, 0.08, (3, 3))
    color = (pixels[..., :3].astype(np.float32) @ matrix.astype(np.float32)) * rng.uniform(0.75, 1.15)
    tinted = np.concatenate([np.clip(color, 0, pixels[..., 3:]).astype(np.uint8), pixels[..., 3:]], 2)
    picture = Image.fromarray(tinted, "RGBa")
    if rng.random() < 0.5:
        picture = picture.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, expand=True)
    scale = rng.uniform(*settings.thing_size) * settings.size / max(picture.size)
    size = max(4, round(picture.width * scale)), max(4, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    margin = min(0.5, 0.35 * max(picture.size) / settings.size)
    center = rng.uniform(margin, 1 - margin, 2) * settings.size
    drift = rng.normal(0, 0.06, 2) * settings.size
    motion = str(rng.choice(MOTIONS)) if rng.random() < settings.moving else "still"
    return Actor(picture, center, drift, motion, envelope(sound, settings.frames), sounding)


class Painted(NamedTuple):
    """What became of the actors."""

    owner_THW: np.ndarray
    """int16: the number of the actor that is visible at a pixel, -1 where none is."""
    whole_A: np.ndarray
    """Pixels that each actor would cover in all frames together, were nothing before it and the picture endless."""

    @property
    def visible_A(self) -> np.ndarray:
        """Pixels that are visible of each actor in all frames together."""
        return np.bincount(self.owner_THW.ravel() + 1, minlength=len(self.whole_A) + 1)[1:]


def paint(frames_THWC: np.ndarray, actors: list[Actor]) -> Painted:
    """Paints the actors over the frames, in order."""
    count, height, width, _ = frames_THWC.shape
    owner_THW = np.full((count, height, width), -1, np.int16)
    whole_A = np.zeros(len(actors), int)
    for t in range(count):
        for number, actor in enumerate(actors):
            sprite, gain, left, top = _place(actor, t, count, height, width)
            whole_A[number] += int((sprite[..., 3] > 127).sum())
            h, w = sprite.shape[:2]
            y0, y1, x0, x1 = max(0, top), min(height, top + h), max(0, left), min(width, left + w)
            if y0 >= y1 or x0 >= x1:
                continue
            part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
            alpha = part[..., 3:].astype(np.uint16)
            color = part[..., :3].astype(np.uint16)
            if gain != 1.0:
                color = np.minimum((color * gain).astype(np.uint16), alpha)
            place = frames_THWC[t, y0:y1, x0:x1]
            place[...] = color + place * (255 - alpha) // 255
            owner_THW[t, y0:y1, x0:x1][alpha[..., 0] > 127] = number
    return Painted(owner_THW, whole_A)


def _place(actor: Actor, t: int, count: int, height: int, width: int) -> tuple[np.ndarray, float, int, int]:
    """The actor's sprite in frame t, its brightness, and its left and top edge."""
    loud = float(actor.envelope_T[t])
    center = actor.center + actor.drift * ((t + 0.5) / count - 0.5)
    scale, gain = 1.0, 1.0
    if actor.motion == "bounce":
        center = center - np.array([0, 0.16 * height * loud])
    elif actor.motion == "pulse":
        scale = 0.85 + 0.4 * loud
    elif actor.motion == "shake":
        center = center + np.array([0.09 * width * loud * (-1) ** t, 0])
    elif actor.motion == "glow":
        gain = 0.6 + 0.6 * loud
    sprite = actor.sprite(scale)
    h, w = sprite.shape[:2]
    return sprite, gain, round(center[0] - w / 2), round(center[1] - h / 2)
