"""Frames in their layout: where and when heat lies on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from making import CMAC_NANO

from cmac_hub.canvas import Canvas
from cmac_hub.config import DisplayConfig
from cmac_hub.media import probe
from cmac_hub.media.yuv import ToYUV
from cmac_hub.moments import Moment
from cmac_hub.outputs import Attention


def as_yuv(image):
    return ToYUV()(image)


def as_rgb(picture):
    return picture.to_frame().to_ndarray(format="rgb24")


def moment(time, row, column):
    """One hot cell among 4 x 6."""
    heat = np.zeros((4, 6), np.float32)
    heat[row, column] = 1.0
    return Moment(time, heat, None, None, 0.1, False, Attention())


@pytest.mark.parametrize("layout", ["overlay", "side-by-side"])
@pytest.mark.parametrize(("time", "lit"), [(1.0, [(0, 1)]), (1.5, [(0, 1), (3, 4)]), (2.0, [(3, 4)])])
def test_heat_lies_on_the_hot_cells_of_the_moments_around_a_time(tiny_config, clip, layout, time, lit):
    gray = np.full((64, 96, 3), 90, np.uint8)
    canvas = Canvas(tiny_config, "guidance", layout, probe(clip), hop=1.0, scale="relative")
    drawn = as_rgb(canvas.draw(as_yuv(gray), time, moment(1.0, 0, 1), moment(2.0, 3, 4)))
    assert drawn.shape == (canvas.height, canvas.width, 3)
    plain, drawn = drawn[:, :-96], drawn[:, -96:]
    assert (np.abs(plain.astype(int) - 90) <= 2).all()
    change = np.abs(drawn.astype(int) - 90).sum(2)
    # The middle of each cell: heat is smooth, so edges belong to two.
    assert sorted(map(tuple, np.argwhere(change[8::16, 8::16] > 60).tolist())) == lit


def test_the_strip_of_sound_is_lit_by_limits_of_its_own(tiny_config, clip):
    """The same values, above the limits of one map and below those of the other."""
    values = np.full((4, 4), 0.5, np.float32)
    values[1, 2] = 0.7
    for visual, audio, lit in (((0.9, 1.0), (0.55, 0.65), True), ((0.55, 0.65), (0.9, 1.0), False)):
        display = DisplayConfig(visual_guidance=visual, audio_guidance=audio)
        canvas = Canvas(replace(tiny_config, display=display), "guidance", "panel", probe(clip), hop=1.0)
        moment = Moment(0.5, values, values, np.zeros((64, 100), np.float32), 0.1, False, Attention())
        canvas.add_sound(moment)
        drawn = as_rgb(canvas.draw(as_yuv(np.zeros((64, 96, 3), np.uint8)), 0.5, moment, moment))
        frame, strip = drawn[:64].astype(int), drawn[64:].astype(int)
        colorful = np.abs(strip - strip.mean(2, keepdims=True)).max()
        assert (frame.max() > 2) != lit and (colorful > 20) == lit


@pytest.mark.parametrize("layout", ["overlay", "side-by-side", "panel"])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (63, 48), (64, 47), (33, 21)])
def test_every_layout_takes_every_size(tiny_config, clip, layout, width, height):
    info = replace(probe(clip), width=width, height=height)
    canvas = Canvas(tiny_config, "guidance", layout, info, hop=1.0, scale="relative")
    picture = as_yuv(np.full((height, width, 3), 90, np.uint8))
    drawn = canvas.draw(picture, 1.0, moment(1.0, 0, 1), moment(2.0, 3, 4))
    assert as_rgb(drawn).shape == (canvas.height, canvas.width, 3)


def test_the_strip_of_a_long_window_begins_with_the_video(clip):
    canvas = Canvas(CMAC_NANO, "joint", "panel", probe(clip), 0.25, window=16.0)
    one = moment(8.0, 1, 1)
    canvas.add_sound(replace(one, log_mel_FS=np.ones((8, 1600), np.float32), audio_map_FS=np.ones((4, 6), np.float32)))
    strip = np.asarray(canvas._strip.draw(0.5))
    assert strip[:, strip.shape[1] * 2 // 3 : strip.shape[1] * 3 // 4 - 3].max(2).min() > 0, "black before the cursor"


@pytest.mark.parametrize("hop", [0.0333, 0.0417, 0.25, 0.333, 1.0])
def test_the_strip_of_sound_has_no_holes(clip, hop):
    canvas = Canvas(CMAC_NANO, "joint", "panel", probe(clip), hop)
    for number in range(round(3 / hop)):
        sound = np.ones((8, 100), np.float32)
        one = moment(0.5 + number * hop, 1, 1)
        canvas.add_sound(replace(one, log_mel_FS=sound, audio_map_FS=np.ones((4, 6), np.float32)))
    columns = np.stack(list(canvas._strip._gray))
    assert columns.min(1).all(), "black columns"
