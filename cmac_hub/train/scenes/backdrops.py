"""What lies behind a sounding scene, a photograph or a film, and how the camera renders it: light, color, focus."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from cmac_hub.train.scenes.library import FILM_RATE, Library, pick
from cmac_hub.train.scenes.settings import SceneSettings


def background(library: Library, rng: np.random.Generator, settings: SceneSettings) -> np.ndarray:
    """(T, H, W, 3) uint8: a random cut of a photograph under a slowly drifting camera, or of a film."""
    if library.films and settings.filmed > 0 and rng.random() < settings.filmed:
        film_THWC = pick(rng, library.films)
        return cut_film(film_THWC, rng, settings.size, settings.frames, settings.seconds, smallest=0.6)[0]
    photo = pick(rng, library.backgrounds)
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


def cut_film(
    film_THWC: np.ndarray, rng: np.random.Generator, size: int, frames: int, seconds: float, smallest: float
) -> tuple[np.ndarray, int]:
    """A random square cut of a random stretch of footage at FILM_RATE, mirrored or not.

    Args:
        film_THWC: uint8; one that is shorter than the stretch is taken whole.
        rng: all randomness.
        size: height and width of the result in pixels.
        frames: of the result.
        seconds: of the stretch.
        smallest: side of the smallest cut, as a share of the short side.

    Returns:
        (frames, size, size, 3) uint8, and the number of the film's frame at which the stretch begins.
    """
    span = max(1, min(len(film_THWC), round(FILM_RATE * seconds)))
    start = int(rng.integers(len(film_THWC) - span + 1))
    picked = start + ((np.arange(frames) + 0.5) / frames * span).astype(int)
    side = int(rng.uniform(smallest, 1) * min(film_THWC.shape[1:3]))
    top, left = (int(rng.integers(n - side + 1)) for n in film_THWC.shape[1:3])
    cut = film_THWC[picked, top : top + side, left : left + side]
    cut = cut[:, :, ::-1] if rng.random() < 0.5 else cut
    resized = [np.asarray(Image.fromarray(f).resize((size, size), Image.Resampling.BILINEAR)) for f in cut]
    return np.stack(resized), start


def grade(frames_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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


def blur(frames_THWC: np.ndarray, radius: float) -> np.ndarray:
    """Every frame out of focus by so many pixels."""
    return np.stack([np.asarray(Image.fromarray(f).filter(ImageFilter.GaussianBlur(radius))) for f in frames_THWC])
