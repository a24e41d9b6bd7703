"""10-bit RGB of wide gamuts and of HDR -> 8-bit BT.709 RGB."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

REFERENCE_WHITE = 2.03
"""What is white in HDR without being a highlight, in units of 100 candela a square meter."""

XY = {
    ColorPrimaries.BT709: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    ColorPrimaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    ColorPrimaries.SMPTE432: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""CIE 1931 x and y of red, green and blue (SMPTE432 is Display P3); white is D65 in all. Others look as BT.709 does."""

D65 = (0.3127, 0.3290)

CODES = 1024
"""Values of a 10-bit channel."""

LEVELS = 65535
"""The highest number of the table from linear light to 8 bits."""

AT_ONCE = 16384
"""Pixels that are converted together, so that they stay in the processor's cache."""


class Table:
    """10-bit RGB of one transfer and gamut -> 8-bit BT.709 RGB.

    Args:
        transfer: HLG's or PQ's number in `ColorTrc`, or None for a screen's.
        primaries: of `XY`.
        peak: of HDR: what Hable's curve makes white, in units of 100 cd/m2; None: no curve, `REFERENCE_WHITE` is white.
    """

    def __init__(self, transfer: int | None, primaries: int, peak: float | None) -> None:
        codes = np.arange(CODES) / (CODES - 1)
        to_709 = np.linalg.solve(_to_xyz(ColorPrimaries.BT709), _to_xyz(primaries))
        self._white = None
        if transfer is None:
            light = screen_light(codes)
        else:
            light = hlg_light(codes) if transfer == ColorTrc.ARIB_STD_B67 else pq_light(codes)
            if peak is None:
                light /= REFERENCE_WHITE
            else:
                self._white = hable(np.float32(peak))
        self._light, self._matrix = light.astype(np.float32), to_709.astype(np.float32)
        self._codes = np.rint(255 * (np.arange(LEVELS + 1) / LEVELS) ** (1 / 2.4)).astype(np.uint8)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 of a gbrp10le frame."""
        # Its planes are green, blue, red; their rows may be longer than the picture.
        rows = [np.frombuffer(memoryview(frame.planes[i]), "<u2").reshape(frame.height, -1) for i in (2, 0, 1)]
        planes = [plane[:, : frame.width] for plane in rows]
        image = np.empty((frame.height, frame.width, 3), np.uint8)
        step = max(1, AT_ONCE // frame.width)
        for top in range(0, frame.height, step):
            part = np.stack([plane[top : top + step] for plane in planes])
            light = self._matrix @ self._light[part].reshape(3, -1)
            if self._white is not None:
                brightest = np.maximum(light.max(0), np.float32(1e-6))
                light *= hable(brightest) / (brightest * self._white)
            light *= np.float32(LEVELS)
            codes = self._codes[np.clip(light, 0, LEVELS, out=light).astype(np.uint16)]
            image[top : top + step] = codes.T.reshape(-1, frame.width, 3)
        return image


def hlg_light(codes: np.ndarray) -> np.ndarray:
    """HLG code values in [0, 1] -> light of a screen of 1000 cd/m2, in units of 100 (channel by channel, as FFmpeg)."""
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return np.asarray(10 * scene**1.2)


def pq_light(codes: np.ndarray) -> np.ndarray:
    """PQ code values (SMPTE ST 2084) in [0, 1] -> light in units of 100 cd/m2."""
    root = codes ** (32 / 2523)
    return np.asarray(100 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305))


def screen_light(codes: np.ndarray) -> np.ndarray:
    """Code values of standard range in [0, 1] -> light (BT.1886)."""
    return np.asarray(codes**2.4)


def hable(light: Any) -> Any:
    """Hable's filmic curve, of an array or a number."""
    above = light * (np.float32(0.15) * light + np.float32(0.05)) + np.float32(0.004)
    return above / (light * (np.float32(0.15) * light + np.float32(0.50)) + np.float32(0.06)) - np.float32(0.02 / 0.30)


def _to_xyz(primaries: int) -> np.ndarray:
    """(3, 3) from linear RGB to CIE XYZ, white at Y = 1."""

    def xyz(x: float, y: float) -> list[float]:
        return [x / y, 1.0, (1 - x - y) / y]

    columns = np.array([xyz(*point) for point in XY[ColorPrimaries(primaries)]]).T
    return np.asarray(columns * np.linalg.solve(columns, xyz(*D65)))
