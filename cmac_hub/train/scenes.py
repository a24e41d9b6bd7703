"""Sounding scenes: clips composed so that it is known what sounds, where, and how loud.

A scene is a photograph with a drifting camera, one or two sources and some silent things. All things obey the same law
of size, place, path and looks, so neither tells what sounds. What tells: a thing's looks agree with the sound, and a
source moves in time with its own sound, while a silent thing moves in time with a sound that is not heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFilter

from cmac_hub.train.library import BLOCK, SAMPLE_RATE, Library, Thing

T = TypeVar("T")


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
    """Fewest and most silent things."""
    thing_size: tuple[float, float] = (0.35, 0.8)
    """A thing's longest side as a share of the clip's."""
    moving: float = 0.9
    """Probability that a thing moves in time with its sound."""
    background_sound: float = 0.3
    """Probability of a second, unseen sound 5 to 25 dB below the source."""
    drawn: float = 0.1
    """Probability that the source is one of the package's own drawings."""
    offscreen: float = 0.0
    """Probability that the sound's source is not in the picture."""
    blur: float = 0.0
    """Probability that the whole clip is out of focus."""


@dataclass(frozen=True)
class Scene:
    """One composed clip with its ground truth."""

    frames_THWC: np.ndarray
    """uint8 RGB."""
    waveform: np.ndarray
    """(n,) float32 in [-1, 1] at 16 kHz."""
    masks_THW: np.ndarray
    """bool: the visible part of what sounds; all False if that is not in the picture."""
    thing: str
    """What sounds (for evaluation; training never sees it)."""
    source_waveform: np.ndarray
    """(n,) float32: the sources' share of `waveform`; the rest is unseen sound and noise."""
    distractors: int


@dataclass
class _Actor:
    """One thing on its path through the clip."""

    picture: Image.Image
    centre: np.ndarray
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


def compose(library: Library, rng: np.random.Generator, settings: SceneSettings) -> Scene:
    """One scene; the same library, settings and state of `rng` give the same scene.

    The source is visible on at least 2 % of the picture and by at least half of its own area, else all is drawn again.
    """
    while True:
        scene = _try_compose(library, rng, settings)
        if scene is not None:
            return scene


def _try_compose(library: Library, rng: np.random.Generator, settings: SceneSettings) -> Scene | None:
    sources = _choose_sources(library, rng, settings)
    parts = [_cut_sound(rng, thing, settings.seconds) for thing in sources]
    for part in parts[1:]:
        part *= 10 ** (rng.uniform(-6, 0) / 20)
    offscreen = rng.random() < settings.offscreen
    count = int(rng.integers(settings.distractors[0], settings.distractors[1] + 1))
    actors = (
        []
        if offscreen
        else [
            _act(rng, _pick(rng, thing.pictures), part, True, settings)
            for thing, part in zip(sources, parts, strict=True)
        ]
    )
    for _ in range(count):
        other = _other_thing(library, rng, sources)
        unheard = _cut_sound(rng, other, settings.seconds)
        # Half of the silent things are known to sound elsewhere: to be able to sound is no clue.
        silent = library.silent and rng.random() < 0.5
        picture = _pick(rng, library.silent) if silent else _pick(rng, other.pictures)
        actors.append(_act(rng, picture, unheard, False, settings))
    frames_THWC = _background(library, rng, settings)
    masks_THW, whole = _paint(frames_THWC, [actors[i] for i in rng.permutation(len(actors))])
    visible = masks_THW.sum()
    if not offscreen and (visible < 0.02 * masks_THW.size or visible < 0.5 * whole):
        return None
    waveform, source = _mix(library, rng, sources, parts, settings)
    graded = _grade(frames_THWC, rng)
    if settings.blur > 0 and rng.random() < settings.blur:
        graded = _blur(graded, float(rng.uniform(0.5, 1.5)) * settings.size / 64)
    return Scene(graded, waveform, masks_THW, sources[0].name, source, count)


def _pick(rng: np.random.Generator, items: tuple[T, ...]) -> T:
    return items[int(rng.integers(len(items)))]


def _choose_sources(library: Library, rng: np.random.Generator, settings: SceneSettings) -> list[Thing]:
    drawn = bool(library.drawn) and rng.random() < settings.drawn
    sources = [_pick(rng, library.drawn if drawn else library.things)]
    if rng.random() < settings.two_sources:
        sources.append(_other_thing(library, rng, sources))
    return sources


def _other_thing(library: Library, rng: np.random.Generator, taken: list[Thing]) -> Thing:
    names = {thing.name for thing in taken}
    pool = library.drawn if library.drawn and taken[0].name.startswith("drawn_") else library.things
    while (thing := _pick(rng, pool)).name in names:
        pass
    return thing


def _cut_sound(rng: np.random.Generator, thing: Thing, seconds: float) -> np.ndarray:
    """(n,) float32 with an RMS of 1: a loud stretch of one of the thing's sounds, a short sound at a random moment."""
    sound, length = _pick(rng, thing.sounds), round(seconds * SAMPLE_RATE)
    samples = sound.samples
    if len(samples) <= length:
        cut = np.zeros(length, np.float32)
        start = int(rng.integers(length - len(samples) + 1))
        cut[start : start + len(samples)] = samples
    else:
        span = min(len(sound.energy), length // BLOCK)
        energy = np.convolve(sound.energy, np.ones(span, np.float32), "valid")
        starts = np.flatnonzero(energy >= 0.2 * energy.max())
        start = min(int(rng.choice(starts)) * BLOCK, len(samples) - length)
        cut = samples[start : start + length].astype(np.float32)
    return cut / max(1.0, float(np.sqrt(np.mean(cut**2))))


def _envelope(waveform: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) loudness in [0, 1] around each frame's instant."""
    blocks = waveform[: len(waveform) // frames * frames].reshape(frames, -1)
    loudness = np.sqrt((blocks**2).mean(1))
    return loudness / max(1e-6, float(loudness.max()))


def _act(
    rng: np.random.Generator, pixels: np.ndarray, sound: np.ndarray, sounding: bool, settings: SceneSettings
) -> _Actor:
    """Gives a picture its looks, place and movement: the same law for what sounds and what is silent."""
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    matrix = np.eye(3) + rng.normal(0, 0.08, (3, 3))
    colour = (pixels[..., :3].astype(np.float32) @ matrix.astype(np.float32)) * rng.uniform(0.75, 1.15)
    tinted = np.concatenate([np.clip(colour, 0, pixels[..., 3:]).astype(np.uint8), pixels[..., 3:]], 2)
    picture = Image.fromarray(tinted, "RGBa")
    if rng.random() < 0.5:
        picture = picture.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, expand=True)
    scale = rng.uniform(*settings.thing_size) * settings.size / max(picture.size)
    size = max(4, round(picture.width * scale)), max(4, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    margin = min(0.5, 0.35 * max(picture.size) / settings.size)
    centre = rng.uniform(margin, 1 - margin, 2) * settings.size
    drift = rng.normal(0, 0.06, 2) * settings.size
    motion = str(rng.choice(["bounce", "pulse", "shake", "glow"])) if rng.random() < settings.moving else "still"
    return _Actor(picture, centre, drift, motion, _envelope(sound, settings.frames), sounding)


def _paint(frames_THWC: np.ndarray, actors: list[_Actor]) -> tuple[np.ndarray, int]:
    """Paints the actors in order. Returns the visible mask of what sounds and its area were nothing before it."""
    count, height, width, _ = frames_THWC.shape
    masks_THW = np.zeros((count, height, width), bool)
    whole = 0
    for t in range(count):
        for actor in actors:
            loud = float(actor.envelope_T[t])
            centre = actor.centre + actor.drift * ((t + 0.5) / count - 0.5)
            scale, gain = 1.0, 1.0
            if actor.motion == "bounce":
                centre = centre - np.array([0, 0.16 * height * loud])
            elif actor.motion == "pulse":
                scale = 0.85 + 0.4 * loud
            elif actor.motion == "shake":
                centre = centre + np.array([0.09 * width * loud * (-1) ** t, 0])
            elif actor.motion == "glow":
                gain = 0.6 + 0.6 * loud
            sprite = actor.sprite(scale)
            h, w = sprite.shape[:2]
            left, top = round(centre[0] - w / 2), round(centre[1] - h / 2)
            y0, y1, x0, x1 = max(0, top), min(height, top + h), max(0, left), min(width, left + w)
            if y0 >= y1 or x0 >= x1:
                continue
            part = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
            alpha = part[..., 3:].astype(np.uint16)
            colour = part[..., :3].astype(np.uint16)
            if gain != 1.0:
                colour = np.minimum((colour * gain).astype(np.uint16), alpha)
            place = frames_THWC[t, y0:y1, x0:x1]
            place[...] = colour + place * (255 - alpha) // 255
            solid = alpha[..., 0] > 127
            masks_THW[t, y0:y1, x0:x1] &= ~solid
            if actor.sounding:
                masks_THW[t, y0:y1, x0:x1] |= solid
                whole += int((sprite[..., 3] > 127).sum())
    return masks_THW, whole


def _background(library: Library, rng: np.random.Generator, settings: SceneSettings) -> np.ndarray:
    """(T, H, W, 3) uint8: a random cut of a photograph under a slowly drifting camera."""
    photo = _pick(rng, library.backgrounds)
    margin = settings.size // 8
    side = settings.size + margin
    cut = int(rng.uniform(0.5, 1) * min(photo.shape[:2]))
    top, left = (int(rng.integers(n - cut + 1)) for n in photo.shape[:2])
    image = Image.fromarray(photo[top : top + cut, left : left + cut]).resize((side, side), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    ends = (
        rng.integers(0, margin + 1, (2, 2))
        if rng.random() < 0.5
        else np.repeat(rng.integers(0, margin + 1, (1, 2)), 2, 0)
    )
    frames_THWC = np.empty((settings.frames, settings.size, settings.size, 3), np.uint8)
    for t in range(settings.frames):
        y, x = np.round(ends[0] + (ends[1] - ends[0]) * t / max(1, settings.frames - 1)).astype(int)
        frames_THWC[t] = pixels[y : y + settings.size, x : x + settings.size]
    return frames_THWC


def _grade(frames_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light and contrast of the whole clip: one table a channel."""
    levels = np.arange(256) / 255
    tables = []
    exposure, gamma = rng.uniform(0.8, 1.15), rng.uniform(0.75, 1.3)
    for gain in rng.uniform(0.92, 1.08, 3):
        tables.append((np.clip(levels**gamma * exposure * gain, 0, 1) * 255).astype(np.uint8))
    graded = np.stack([table[frames_THWC[..., c]] for c, table in enumerate(tables)], 3)
    if rng.random() < 0.08:
        graded[...] = graded.mean(3, keepdims=True).astype(np.uint8)
    return graded


def _blur(frames_THWC: np.ndarray, radius: float) -> np.ndarray:
    """Every frame out of focus by so many pixels."""
    return np.stack([np.asarray(Image.fromarray(f).filter(ImageFilter.GaussianBlur(radius))) for f in frames_THWC])


def _mix(
    library: Library, rng: np.random.Generator, sources: list[Thing], parts: list[np.ndarray], settings: SceneSettings
) -> tuple[np.ndarray, np.ndarray]:
    """(mixture, sources alone), float32 within [-1, 1]."""
    source = np.sum(parts, 0)
    rest = rng.normal(0, 10 ** (rng.uniform(-45, -20) / 20), len(source))
    if rng.random() < settings.background_sound:
        unseen = _cut_sound(rng, _other_thing(library, rng, sources), settings.seconds)
        rest = rest + unseen * 10 ** (rng.uniform(-25, -5) / 20)
    level = 10 ** (rng.uniform(-30, -12) / 20)
    level = min(level, 0.99 / float(np.abs(source + rest).max()))
    return ((source + rest) * level).astype(np.float32), (source * level).astype(np.float32)
