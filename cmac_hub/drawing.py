"""Pixels of an overlay: heat over a frame, the strip of sound below it, captions. It knows no model and no files."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Self

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmac_hub.geometry import CENTERED, Shift, over_frame, reach
from cmac_hub.media import YUV

# Turbo, from cold to hot, sampled at nine places: enough for a table of 256 by linear interpolation.
_TURBO = np.array(
    [
        [48, 18, 59], [70, 107, 227], [40, 187, 236], [49, 242, 153], [163, 253, 61],
        [237, 208, 58], [251, 128, 34], [210, 49, 5], [122, 4, 3],
    ]
)  # fmt: skip

HEAT_COLORS = np.stack(
    [np.interp(np.linspace(0.15, 0.9, 256), np.linspace(0, 1, 9), _TURBO[:, c]) for c in range(3)], 1
)
"""(256, 3) RGB of a strength from 0 to 255."""

HEAT_OPACITY = (np.clip(np.linspace(0, 1, 256) * 1.6, 0, 1) ** 1.2 * 165).astype(np.uint8)
"""(256,) opacity of a strength from 0 to 255: nothing shows nothing."""

_COLOR_LUT = [HEAT_COLORS[:, c].round().astype(int).tolist() for c in range(3)]

# The rows give brightness and the two differences of color from RGB in BT.709, of limited range.
_TO_YUV = np.array(
    [[0.2126, 0.7152, 0.0722], [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5], [0.5, -0.7152 / 1.5748, -0.0722 / 1.5748]]
)
_HEAT_YUV = HEAT_COLORS / 255 @ _TO_YUV.T * (219, 224, 224) + (16, 128, 128)

_YUV_TABLES = [_HEAT_YUV[:, c].round().astype(np.uint8).tobytes() for c in range(3)]

_OPACITY_TABLE = HEAT_OPACITY.tobytes()

_BLACK, _WHITE, _GRAY = 16, 235, 128
"""Of limited range: the darkest and the brightest, and what has no color."""


VISIBLE = 64
"""Strength of 255 from which a place is seen to be lit: a quarter."""

SMOOTH = 24
"""Pixels a cell from which on four may share a strength: brightness is then off by 11 of 219 where any map is steepest,
on real clips by 6, by 0.2 on average."""

NO_LIMITS = (-np.inf, -np.inf)
"""Limits of `strength` that leave each map to itself: from its median to its peak."""


def strength(heat: np.ndarray, limits: tuple[float, float], fade: float = 1.0) -> np.ndarray:
    """Raw map values -> uint8 strengths: 0 up to `limits[0]`, 255 from `limits[1]` on, scaled by `fade` in [0, 1].

    The limits only ever rise: to the map's median below, to its peak above. So a map that is high everywhere shows
    where it is highest instead of one flat red, and a map that is low everywhere shows nothing.
    """
    low, high = max(limits[0], float(np.median(heat))), max(limits[1], float(heat.max()))
    return (np.clip((heat - low) / max(1e-6, high - low), 0, 1) * (255 * fade)).astype(np.uint8)


def overlay(frame: Image.Image, strength_HW: np.ndarray, shift: Shift = CENTERED) -> Image.Image:
    """An RGB frame with the heat of a small (h, w) uint8 map over all of it; `shift` is that of `cmac_hub.geometry`."""
    if not strength_HW.any():
        return frame
    level = Image.fromarray(over_frame(strength_HW, *frame.size, shift))
    color = Image.merge("RGB", [level.point(table) for table in _COLOR_LUT])
    return Image.composite(color, frame, level.point(HEAT_OPACITY.tolist()))


def light(picture: YUV, strength_HW: np.ndarray, shift: Shift = CENTERED) -> YUV:
    """`overlay` for a picture as H.264 stores it; only the part that the heat reaches is worked on.

    Where cells are large, heat is as coarse in brightness as it is in color: by `SMOOTH`.
    """
    if not strength_HW.any():
        return picture
    of_color = of_brightness = _Heat.of(strength_HW, picture.u.shape, shift)
    if picture.y.shape != picture.u.shape:
        coarse = min(np.divide(picture.y.shape, strength_HW.shape)) >= SMOOTH
        of_brightness = of_color.doubled() if coarse else _Heat.of(strength_HW, picture.y.shape, shift)
    heats = (of_brightness, of_color, of_color)
    return YUV(*(heat.over(*one) for heat, *one in zip(heats, picture, _YUV_TABLES, strict=True)))


class _Heat(NamedTuple):
    """Strengths of 0 to 255 for the part of a plane that they reach."""

    part: tuple[slice, slice]
    levels: np.ndarray
    """uint8, one a pixel of the part, or one for two rows and columns."""
    doubled_up: bool
    opacity: Image.Image

    @classmethod
    def of(cls, strength_HW: np.ndarray, shape: tuple[int, ...], shift: Shift) -> Self:
        """For planes of that shape; some strength is above 0."""
        height, width = shape
        part = reach(strength_HW, width, height, shift)
        assert part is not None
        levels = over_frame(strength_HW, width, height, shift, part=part)
        return cls(part, levels, False, _colored(levels, _OPACITY_TABLE, False))

    def doubled(self) -> Self:
        """For planes of twice as many rows and columns."""
        rows, columns = (slice(2 * side.start, 2 * side.stop) for side in self.part)
        return type(self)((rows, columns), self.levels, True, _colored(self.levels, _OPACITY_TABLE, True))

    def over(self, plane: np.ndarray, colors: bytes) -> np.ndarray:
        """A copy of the plane with the colors of the strengths over it."""
        color = _colored(self.levels, colors, self.doubled_up)
        lit = plane.copy()
        lit[self.part] = Image.composite(color, Image.fromarray(plane[self.part]), self.opacity)
        return lit


def _colored(levels: np.ndarray, table: bytes, doubled: bool) -> Image.Image:
    """What a table of 256 says of each level; doubled, for two rows and columns."""
    found = np.frombuffer(levels.tobytes().translate(table), np.uint8).reshape(levels.shape)
    if doubled:
        # Two equal bytes are one number of 16 bits.
        found = (found.astype(np.uint16) * 0x0101).view(np.uint8).repeat(2, axis=0)
    return Image.fromarray(found)


def caption(picture: YUV, text: str) -> YUV:
    """The picture with a line of text in its lower left corner, white on a darkened ground."""
    height, width = picture.y.shape
    size = max(12, height // 18)
    font = ImageFont.load_default(size)
    ground, letters = Image.new("L", (width, height)), Image.new("L", (width, height))
    left, top, right, bottom = ImageDraw.Draw(ground).textbbox((size // 2, 0), text, font=font)
    y = height - (bottom - top) - size
    ImageDraw.Draw(ground).rectangle((left - size // 4, y - size // 4, right + size // 4, height - size // 2), fill=150)
    ImageDraw.Draw(letters).text((left, y - top), text, font=font, fill=255)
    planes = []
    for plane, dark, bright in zip(picture, (_BLACK, _GRAY, _GRAY), (_WHITE, _GRAY, _GRAY), strict=True):
        drawn = Image.fromarray(plane)
        for value, mask in ((dark, ground), (bright, letters)):
            drawn.paste(value, mask=mask.resize(drawn.size, Image.Resampling.BOX))
        planes.append(np.asarray(drawn))
    return YUV(*planes)


def spectrogram_image(log_mel_FS: np.ndarray) -> np.ndarray:
    """A normalized log-mel -> (F, S) uint8 gray, low frequencies at the bottom."""
    return (np.clip((log_mel_FS[::-1] + 2) / 4.5, 0, 1) * 255).astype(np.uint8)


def visible_from(limits: tuple[float, float]) -> float:
    """The value of a map from which a place is seen to be lit on the absolute scale."""
    low, high = limits
    return low + (high - low) * VISIBLE / 255


class SpectrogramStrip:
    """The last seconds of sound as a strip: a gray spectrogram, the frequency attention as heat, a cursor at now.

    Args:
        width: pixels.
        height: pixels.
        seconds: how much time the strip spans.
        rate: columns (spectrogram frames) a second.
        ahead: seconds by which columns may be added before the cursor comes to them.
    """

    def __init__(self, width: int, height: int, seconds: float, rate: float, ahead: float = 2.0) -> None:
        self.width, self.height, self.seconds, self.rate, self.ahead = width, height, seconds, rate, ahead
        self._gray: deque[np.ndarray] = deque()
        self._heat: deque[np.ndarray] = deque()
        self._end = 0
        """Number of the column after the last one; column 0 begins at time 0."""

    def append(self, gray_FS: np.ndarray, heat_FS: np.ndarray, end: float) -> None:
        """Adds columns (F, s) uint8, gray and strength, that end at the time `end` in seconds: after a gap of black if
        the last ones ended earlier, without their beginning if it is there already."""
        keep = round((self.seconds + self.ahead) * self.rate)
        last = round(end * self.rate)
        if self._gray:
            gap = last - gray_FS.shape[1] - self._end
            nothing = np.zeros((len(gray_FS), min(keep, max(0, gap))), np.uint8)
            gray_FS, heat_FS = (np.hstack([nothing, part[:, max(0, -gap) :]]) for part in (gray_FS, heat_FS))
        self._gray.extend(gray_FS.T)
        self._heat.extend(heat_FS.T)
        self._end = last
        while len(self._gray) > keep:
            self._gray.popleft()
            self._heat.popleft()

    def draw(self, now: float) -> Image.Image:
        """The strip at a moment: RGB of (width, height), the cursor three quarters along."""
        columns = round(self.seconds * self.rate)
        first = round((now - 0.75 * self.seconds) * self.rate) - self._end + len(self._gray)
        picked = range(max(0, first), min(len(self._gray), first + columns))
        bands = len(self._gray[0]) if self._gray else 1
        gray, heat = np.zeros((bands, columns), np.uint8), np.zeros((bands, columns), np.uint8)
        if picked:
            at = slice(picked.start - first, picked.stop - first)
            gray[:, at] = np.stack([self._gray[i] for i in picked], 1)
            heat[:, at] = np.stack([self._heat[i] for i in picked], 1)
        strip = Image.fromarray(gray).resize((self.width, self.height), Image.Resampling.BILINEAR).convert("RGB")
        strip = overlay(strip, heat)
        x = round(0.75 * self.width)
        ImageDraw.Draw(strip).line((x, 0, x, self.height), fill=(255, 255, 255), width=max(1, self.width // 300))
        return strip
