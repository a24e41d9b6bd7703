"""One moment as in the paper's Fig. 5: its frame and its spectrogram, and the attention maps on them."""

from __future__ import annotations

from typing import get_args

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from cmac_hub import drawing
from cmac_hub.config import CMACConfig, Map
from cmac_hub.geometry import CENTERED, Shift, over_frame
from cmac_hub.media import MediaInfo
from cmac_hub.moments import Moment


def draw_figure(info: MediaInfo, image_HWC: np.ndarray, moment: Moment, config: CMACConfig) -> Figure:
    """Two rows (visual, audio) of four pictures: as it is, and each of the maps.

    Args:
        info: of the file the moment is from.
        image_HWC: the displayed frame, uint8 RGB.
        moment: what the network makes of the window around it.
        config: of the network.

    Returns:
        a figure with a canvas of its own: no window opens, no global state is touched.
    """
    figure = Figure(figsize=(16, 3.2 + 4 * info.height / max(1, info.width)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1 + len(get_args(Map)), height_ratios=[4 * info.height / max(1, info.width), 2.2])
    figure.suptitle(f"{info.path.name}, {moment.time:.2f} s", parse_math=False)
    maps = moment.attention
    for column, title in enumerate(("video", *get_args(Map))):
        top, bottom = axes[0, column], axes[1, column]
        top.set_title(title)
        top.imshow(image_HWC)
        top.set_axis_off()
        if column:
            heat = getattr(maps, f"visual_{title}")
            _shade(top, None if heat is None else heat.mean(0), (0, info.width, info.height, 0), "equal", moment.shift)
        if moment.log_mel_FS is None:
            bottom.text(0.5, 0.5, "no audio stream", ha="center", va="center")
            bottom.set_axis_off()
            continue
        bands, frames = moment.log_mel_FS.shape
        half = frames * config.require_audio().hop_seconds / 2
        extent = (moment.time - half, moment.time + half, 0, bands)
        bottom.imshow(moment.log_mel_FS, origin="lower", aspect="auto", cmap="gray", extent=extent)
        bottom.set_xlabel("seconds")
        if column == 0:
            bottom.set_ylabel("mel band")
        if not moment.audible:
            bottom.set_title("no sound")
        elif column:
            heat = getattr(maps, f"audio_{title}")
            _shade(bottom, None if heat is None else heat.flip(0), extent, "auto")
    return figure


def _shade(
    axes: object, heat: Tensor | None, extent: tuple[float, float, float, float], aspect: str, shift: Shift = CENTERED
) -> None:
    """Heat over a picture, row 0 on top, from the map's median to its highest value, which stand in the corner."""
    if heat is None:
        return
    values = heat.numpy()
    low, high = float(np.median(values)), float(values.max())
    strength = drawing.strength(values, drawing.NO_LIMITS)
    level = over_frame(strength, 256, 256, shift)
    rgba = np.dstack([drawing.HEAT_COLORS[level] / 255, drawing.HEAT_OPACITY[level] / 255])
    axes.imshow(rgba, extent=extent, aspect=aspect, origin="upper")  # type: ignore[attr-defined]
    axes.text(  # type: ignore[attr-defined]
        0.02, 0.04, f"{low:.2f} to {high:.2f}", transform=axes.transAxes, color="white", fontsize=8,  # type: ignore[attr-defined]
        bbox={"facecolor": "black", "alpha": 0.5, "linewidth": 0},
    )  # fmt: skip
