"""The best and the worst localizations of composed scenes on one picture: what a mean hides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from cmac_hub import drawing
from cmac_hub.geometry import CENTERED, Shift
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.toolbox.metrics import resize_map
from cmac_hub.train.evaluate.toolbox.scene_maps import predict_scenes, source_mask
from cmac_hub.train.scenes.compose import Scene

CELL = 160
"""Pixels of one scene."""


def contrast(heat_HW: np.ndarray, mask_HW: np.ndarray, shift: Shift = CENTERED) -> float:
    """How much higher the map is on the source than beside it: the difference of the means."""
    if mask_HW.all() or not mask_HW.any():
        return 0.0
    large = resize_map(heat_HW, mask_HW.shape, shift)
    return float(large[mask_HW].mean() - large[~mask_HW].mean())


def contact_sheet(model: CMAC, scenes: Sequence[Scene], columns: int = 8) -> Image.Image:
    """Two rows of scenes: above those whose map, the checkpoint's default, stands out most on the source, below those
    where it does least.

    Args:
        model: in eval mode.
        scenes: at least two.
        columns: scenes in a row, fewer if there are not enough.

    Returns:
        RGB; the source is outlined in white, its name stands below.

    Raises:
        ValueError: fewer than two scenes.
    """
    if len(scenes) < 2:
        raise ValueError(f"{len(scenes)} scenes were given; a sheet of best and worst needs at least two")
    columns = min(columns, len(scenes) // 2)
    found = predict_scenes(model, scenes)
    display = model.config.display
    heats, limits = found.visual_NHW[display.default_map], display.limits("visual", display.default_map)
    masks = [source_mask(scene) for scene in scenes]
    contrasts = [contrast(heat, mask, found.shift) for heat, mask in zip(heats, masks, strict=True)]
    order = np.argsort([-one for one in contrasts], kind="stable")
    sheet = Image.new("RGB", (columns * CELL, 2 * (CELL + 16)), (20, 20, 20))
    pen = ImageDraw.Draw(sheet)
    for row, numbers in enumerate((order[:columns], order[::-1][:columns])):
        for column, number in enumerate(numbers):
            place = column * CELL, row * (CELL + 16)
            sheet.paste(draw(scenes[number], heats[number], masks[number], limits, found.shift), place)
            pen.text((place[0] + 4, place[1] + CELL + 2), scenes[number].thing[:24], fill=(230, 230, 230))
    return sheet


def draw(
    scene: Scene, heat_HW: np.ndarray, mask_HW: np.ndarray, limits: tuple[float, float], shift: Shift = CENTERED
) -> Image.Image:
    """The middle frame with the heat over it and the source's outline: CELL x CELL RGB."""
    frame = Image.fromarray(scene.frames_THWC[len(scene.frames_THWC) // 2]).resize((CELL, CELL))
    lit = np.asarray(drawing.overlay(frame, drawing.strength(heat_HW, limits), shift)).copy()
    large = np.asarray(Image.fromarray(mask_HW).resize((CELL, CELL), Image.Resampling.NEAREST))
    inner = large[1:-1, 1:-1] & large[:-2, 1:-1] & large[2:, 1:-1] & large[1:-1, :-2] & large[1:-1, 2:]
    edge = large.copy()
    edge[1:-1, 1:-1] &= ~inner
    lit[edge] = 255
    return Image.fromarray(lit)
