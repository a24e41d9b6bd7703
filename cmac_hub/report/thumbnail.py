"""A small picture of a video at the moment that its map is highest, with the heat and the box of the lit region."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from cmac_hub.config import Scale
from cmac_hub.drawing import overlay
from cmac_hub.errors import MediaError
from cmac_hub.media import MediaInfo, read_frame
from cmac_hub.moments import Moment

SIDE = 240
"""Pixels of the longer side."""

QUALITY = 70


class Hottest:
    """Takes the moments of a video and keeps the one whose map is highest, of those that can be heard if there are."""

    def __init__(self) -> None:
        self.moment: Moment | None = None
        """None as long as none came."""

    def __call__(self, moment: Moment) -> None:
        if self.moment is None or _rank(moment) > _rank(self.moment):
            self.moment = moment


def _rank(moment: Moment) -> tuple[bool, float]:
    return moment.audible, float(moment.visual_map_HW.max())


def thumbnail(info: MediaInfo, moment: Moment, scale: Scale) -> bytes | None:
    """A JPEG of some kilobytes; None where the frame cannot be decoded.

    Args:
        info: of the video.
        moment: which one.
        scale: see `cmac_hub.config.Scale`.
    """
    try:
        image = Image.fromarray(read_frame(info, moment.time).image)
    except MediaError:
        return None
    image.thumbnail((SIDE, SIDE))
    drawn = overlay(image, moment.strength(scale), moment.shift).copy()
    box = moment.peak(info, scale).box
    if box is not None:
        across, down = drawn.width / info.width, drawn.height / info.height
        left, top, right, bottom = map(round, (box[0] * across, box[1] * down, box[2] * across - 1, box[3] * down - 1))
        # A cell may be less than a pixel of the thumbnail.
        ImageDraw.Draw(drawn).rectangle((left, top, max(left, right), max(top, bottom)), outline=(255, 255, 255))
    file = io.BytesIO()
    drawn.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()
