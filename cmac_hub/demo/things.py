"""Pictures the package draws itself: eight things that everybody knows by their sound, and backgrounds for them."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cmac_hub.errors import ArgumentError

Color = tuple[int, int, int]
Point = tuple[float, float]

SUPERSAMPLING = 3


class Pen:
    """Draws on a unit square, (0, 0) in the upper left, with shapes in the proportions of the square."""

    def __init__(self, size: int) -> None:
        self.side = size * SUPERSAMPLING
        self.image = Image.new("RGBA", (self.side, self.side))
        self._draw = ImageDraw.Draw(self.image)

    def _scale(self, points: list[Point]) -> list[Point]:
        return [(x * self.side, y * self.side) for x, y in points]

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Color, line: float = 0.012) -> None:
        """An ellipse around (x, y), outlined in a darker tone of its own."""
        box = self._scale([(x - rx, y - ry), (x + rx, y + ry)])
        self._draw.ellipse([*box[0], *box[1]], fill=fill, outline=_darker(fill), width=round(line * self.side))

    def polygon(self, points: list[Point], fill: Color) -> None:
        """A filled outline."""
        self._draw.polygon(self._scale(points), fill=fill, outline=_darker(fill), width=round(0.012 * self.side))

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Color, radius: float = 0.02) -> None:
        """A rectangle with round corners."""
        corners = self._scale([(x0, y0), (x1, y1)])
        self._draw.rounded_rectangle(
            [*corners[0], *corners[1]], radius * self.side, fill, _darker(fill), round(0.012 * self.side)
        )

    def line(self, points: list[Point], fill: Color, width: float = 0.03) -> None:
        """A thick line with round joints."""
        self._draw.line(self._scale(points), fill, round(width * self.side), joint="curve")

    def shine(self, x: float, y: float, rx: float, ry: float, strength: int = 110) -> None:
        """A soft highlight, only where something is drawn already."""
        light = Image.new("L", self.image.size)
        box = self._scale([(x - rx, y - ry), (x + rx, y + ry)])
        ImageDraw.Draw(light).ellipse([*box[0], *box[1]], fill=strength)
        light = light.filter(ImageFilter.GaussianBlur(0.02 * self.side))
        white = Image.new("RGBA", self.image.size, (255, 255, 255, 0))
        white.putalpha(light)
        alpha = self.image.getchannel("A")
        self.image = Image.alpha_composite(self.image, white)
        self.image.putalpha(alpha)
        self._draw = ImageDraw.Draw(self.image)

    def finish(self, size: int) -> np.ndarray:
        """(size, size, 4) uint8 RGBA, anti-aliased."""
        return np.asarray(self.image.convert("RGBa").resize((size, size), Image.Resampling.BOX).convert("RGBA"))


def _darker(color: Color, share: float = 0.55) -> Color:
    return tuple(round(c * share) for c in color)  # type: ignore[return-value]


def _hue(rng: np.random.Generator, around: float, spread: float, saturation: float, value: float) -> Color:
    """A color near a hue in [0, 1)."""
    hue = (around + rng.uniform(-spread, spread)) % 1
    rgb = colorsys.hsv_to_rgb(hue, saturation * rng.uniform(0.85, 1.1), min(1, value * rng.uniform(0.88, 1.08)))
    return tuple(round(255 * min(1, c)) for c in rgb)  # type: ignore[return-value]


def _bell(pen: Pen, rng: np.random.Generator) -> None:
    gold, wide = _hue(rng, 0.12, 0.02, 0.8, 0.92), rng.uniform(0.36, 0.43)
    pen.ellipse(0.5, 0.84, 0.08, 0.08, _darker(gold, 0.7))
    outline = [(0.5 - wide * k, y) for k, y in ((1, 0.78), (0.72, 0.66), (0.6, 0.4), (0.42, 0.22), (0.2, 0.14))]
    pen.polygon(outline + [(1 - x, y) for x, y in reversed(outline)], gold)
    pen.box(0.5 - wide - 0.03, 0.74, 0.5 + wide + 0.03, 0.82, gold, 0.03)
    pen.ellipse(0.5, 0.11, 0.07, 0.06, gold)
    pen.shine(0.39, 0.42, 0.06, 0.2)


def _drum(pen: Pen, rng: np.random.Generator) -> None:
    body, skin = _hue(rng, rng.choice([0.0, 0.6, 0.35]), 0.04, 0.75, 0.8), (244, 236, 214)
    top, bottom = rng.uniform(0.28, 0.36), rng.uniform(0.74, 0.82)
    pen.ellipse(0.5, bottom, 0.42, 0.14, body)
    pen.box(0.08, top, 0.92, bottom, body, 0.0)
    for k in range(7):
        x = 0.1 + 0.8 * k / 6
        pen.line([(x, top + 0.06), (x + 0.065, bottom + 0.05)], (250, 240, 200), 0.014)
    pen.ellipse(0.5, top, 0.42, 0.14, skin, 0.025)
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.06, top - 0.02), (0.5 + side * 0.36, 0.04)], (150, 96, 48), 0.03)
        pen.ellipse(0.5 + side * 0.06, top - 0.02, 0.03, 0.03, (220, 190, 140))
    pen.shine(0.25, 0.6, 0.05, 0.12)


def _bird(pen: Pen, rng: np.random.Generator) -> None:
    body = _hue(rng, rng.choice([0.55, 0.97, 0.15, 0.35]), 0.04, 0.7, 0.85)
    pen.polygon([(0.2, 0.6), (0.02, 0.5), (0.04, 0.68), (0.0, 0.76), (0.26, 0.72)], _darker(body, 0.8))
    for x in (0.44, 0.54):
        pen.line([(x, 0.82), (x + 0.02, 0.97), (x + 0.09, 0.97)], (220, 140, 40), 0.022)
    pen.ellipse(0.46, 0.62, 0.32, 0.25, body)
    pen.polygon([(0.86, 0.3), (1.0, 0.36 + rng.uniform(-0.02, 0.02)), (0.86, 0.42)], (245, 170, 40))
    pen.ellipse(0.7, 0.35, 0.2, 0.19, body)
    pen.ellipse(0.54, 0.69, 0.17, 0.14, (250, 240, 220), 0.004)
    pen.polygon([(0.22, 0.5), (0.52, 0.5), (0.58, 0.62), (0.4, 0.74), (0.26, 0.66)], _darker(body, 0.75))
    pen.ellipse(0.76, 0.31, 0.05, 0.055, (255, 255, 255))
    pen.ellipse(0.775, 0.315, 0.025, 0.03, (20, 20, 20), 0)


def _siren(pen: Pen, rng: np.random.Generator) -> None:
    light = _hue(rng, rng.choice([0.0, 0.61]), 0.015, 0.85, 0.95)
    for angle in np.linspace(-2.6, -0.54, 6):
        start, end = 0.46, rng.uniform(0.54, 0.6)
        pen.line([(0.5 + r * np.cos(angle), 0.62 + r * np.sin(angle)) for r in (start, end)], (255, 225, 90), 0.035)
    pen.ellipse(0.5, 0.45, 0.29, 0.29, light)
    pen.box(0.21, 0.44, 0.79, 0.78, light, 0.0)
    pen.box(0.12, 0.74, 0.88, 0.94, (70, 74, 84), 0.05)
    pen.box(0.42, 0.44, 0.58, 0.74, (255, 244, 190), 0.06)
    pen.shine(0.34, 0.42, 0.05, 0.14, 150)


def _bee(pen: Pen, rng: np.random.Generator) -> None:
    yellow, dark = _hue(rng, 0.14, 0.015, 0.85, 0.97), (46, 36, 30)
    lift = rng.uniform(-0.03, 0.03)
    pen.ellipse(0.36, 0.26 + lift, 0.13, 0.22, (214, 232, 246))
    pen.ellipse(0.58, 0.24 - lift, 0.13, 0.22, (226, 240, 250))
    pen.polygon([(0.12, 0.6), (0.0, 0.66), (0.12, 0.7)], dark)
    pen.ellipse(0.46, 0.62, 0.36, 0.25, yellow)
    for x, h in ((0.26, 0.2), (0.42, 0.245), (0.58, 0.23)):
        pen.box(x, 0.62 - h, x + 0.075, 0.62 + h, dark, 0.03)
    pen.ellipse(0.82, 0.56, 0.16, 0.16, dark)
    pen.ellipse(0.87, 0.52, 0.04, 0.045, (255, 255, 255), 0)
    for x in (0.84, 0.92):
        pen.line([(x - 0.02, 0.43), (x + 0.04, 0.28)], dark, 0.02)
        pen.ellipse(x + 0.04, 0.28, 0.022, 0.022, dark, 0)


def _flute(pen: Pen, rng: np.random.Generator) -> None:
    metal = _hue(rng, rng.choice([0.58, 0.09]), 0.03, rng.uniform(0.12, 0.6), 0.85)
    tilt, half = rng.uniform(0.5, 0.72), 0.085

    def at(t: float, side: float) -> Point:
        return 0.04 + 0.92 * t - side * tilt * 0.9, 0.5 - (t - 0.5) * tilt + side

    pen.polygon([at(0, -half), at(1, -half), at(1, half), at(0, half)], metal)
    for t in (0.02, 0.3, 0.97):
        pen.polygon(
            [at(t - 0.02, -0.1), at(t + 0.02, -0.1), at(t + 0.02, 0.1), at(t - 0.02, 0.1)], _darker(metal, 0.75)
        )
    for t in np.linspace(0.42, 0.9, 6):
        pen.ellipse(*at(float(t), 0.0), 0.045, 0.045, (250, 248, 240))
    pen.ellipse(*at(0.16, 0.0), 0.05, 0.03, (40, 36, 36))


def _rattle(pen: Pen, rng: np.random.Generator) -> None:
    red = _hue(rng, rng.choice([0.02, 0.42, 0.78]), 0.03, 0.75, 0.88)
    pen.line([(0.46, 0.5), (0.16, 0.94)], (150, 100, 54), 0.085)
    pen.ellipse(0.6, 0.32, 0.29, 0.3, red)
    for k in range(5):
        pen.line(
            [(0.36 + 0.11 * k, 0.3 - 0.05 * (k % 2)), (0.42 + 0.11 * k, 0.38 - 0.05 * (k % 2))], (255, 226, 120), 0.035
        )
    pen.line([(0.36, 0.2), (0.84, 0.2)], (250, 245, 235), 0.022)
    pen.line([(0.36, 0.46), (0.84, 0.46)], (250, 245, 235), 0.022)
    pen.shine(0.5, 0.22, 0.07, 0.07, 130)


def _car(pen: Pen, rng: np.random.Generator) -> None:
    paint = _hue(rng, rng.choice([0.0, 0.58, 0.3, 0.08]), 0.04, 0.8, 0.82)
    roof = rng.uniform(0.26, 0.32)
    pen.polygon([(0.2, 0.52), (0.3, roof), (0.66, roof), (0.8, 0.52)], paint)
    pen.polygon([(0.27, 0.5), (0.34, roof + 0.05), (0.47, roof + 0.05), (0.47, 0.5)], (196, 226, 240))
    pen.polygon([(0.51, 0.5), (0.51, roof + 0.05), (0.63, roof + 0.05), (0.72, 0.5)], (196, 226, 240))
    pen.box(0.03, 0.48, 0.97, 0.74, paint, 0.09)
    pen.ellipse(0.93, 0.57, 0.035, 0.045, (255, 240, 170))
    pen.ellipse(0.06, 0.57, 0.025, 0.04, (230, 70, 60))
    for x in (0.26, 0.75):
        pen.ellipse(x, 0.74, 0.125, 0.125, (38, 38, 42))
        pen.ellipse(x, 0.74, 0.055, 0.055, (190, 194, 200))


PAINTERS: dict[str, Callable[[Pen, np.random.Generator], None]] = {
    "bell": _bell,
    "drum": _drum,
    "bird": _bird,
    "siren": _siren,
    "bee": _bee,
    "flute": _flute,
    "rattle": _rattle,
    "car": _car,
}


def draw_thing(kind: str, rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """A picture of a thing that nearly fills a square; colors and proportions vary with `rng`.

    Returns:
        (size, size, 4) uint8 RGBA, straight alpha.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in PAINTERS:
        raise ArgumentError(f"kind is {kind!r}; accepted are {', '.join(PAINTERS)}")
    pen = Pen(size)
    PAINTERS[kind](pen, rng)
    return pen.finish(size)


def draw_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A quiet landscape or room: (height, width, 3) uint8 of soft gradients and low-contrast shapes."""
    sky, ground = _hue(rng, rng.uniform(0.45, 0.65), 0.05, 0.25, 0.95), _hue(rng, rng.uniform(0, 1), 0.05, 0.3, 0.75)
    horizon = rng.uniform(0.45, 0.7)
    rows = np.linspace(0, 1, height)[:, None]
    above = np.array(sky) * (1 - 0.18 * rows)
    below = np.array(ground) * (1.05 - 0.35 * (rows - horizon))
    pixels = np.where(rows < horizon, above, below)
    image = Image.fromarray(np.clip(np.repeat(pixels[:, None], width, 1), 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image, "RGBA")
    for _ in range(int(rng.integers(3, 7))):
        x, span, tall = rng.uniform(0, width), rng.uniform(0.1, 0.35) * width, rng.uniform(0.06, 0.25) * height
        tone = (*_darker(ground, rng.uniform(0.75, 1.1)), 90)
        base = horizon * height
        pen.polygon(
            [(x - span, base), (x - span * 0.2, base - tall), (x + span * 0.3, base - tall * 0.8), (x + span, base)],
            tone,
        )
    for _ in range(int(rng.integers(2, 6))):
        x, y, r = rng.uniform(0, width), rng.uniform(0, horizon * 0.7) * height, rng.uniform(0.03, 0.1) * height
        pen.ellipse((x - 2 * r, y - r, x + 2 * r, y + r), (255, 255, 255, 60))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(height / 180)))
