import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cmac_hub.drawing import (
    HEAT_COLORS,
    HEAT_OPACITY,
    SpectrogramStrip,
    caption,
    light,
    overlay,
    spectrogram_image,
    strength,
)
from cmac_hub.geometry import over_frame
from cmac_hub.media.yuv import ToYUV


@given(st.floats(0, 1), st.floats(0, 0.9), st.floats(0.01, 0.5), st.floats(0, 1))
def test_strength_is_the_line_between_the_limits(value, low, span, fade):
    found = strength(np.array([[value, 0.0, 0.0]]), (low, low + span), fade)
    expected = min(1.0, max(0.0, (value - low) / (max(value, low + span) - low))) * 255 * fade
    assert found.dtype == np.uint8
    assert abs(int(found[0, 0]) - expected) <= 1


def test_a_map_that_is_high_everywhere_shows_where_it_is_highest():
    heat = np.linspace(0.8, 0.9, 64).reshape(8, 8)
    found = strength(heat, (0.5, 0.7))
    assert found[-1, -1] == 255 and found[:4].max() == 0
    assert (np.diff(found[4:].ravel().astype(int)) > 0).all()
    assert strength(np.full((8, 8), 0.9), (0.5, 0.7)).max() == 0, "no place stands out"
    assert strength(heat, (0.95, 0.99)).max() == 0


def test_no_heat_leaves_the_frame_as_it_is():
    frame = Image.new("RGB", (32, 20), (10, 200, 30))
    assert overlay(frame, np.zeros((4, 4), np.uint8)) is frame
    assert HEAT_OPACITY[0] == 0


def test_heat_reaches_the_corner_it_belongs_to():
    frame = Image.new("RGB", (64, 64))
    heat = np.zeros((8, 8), np.uint8)
    heat[0, 7] = 255
    drawn = np.asarray(overlay(frame, heat)).astype(int).sum(2)
    assert drawn[0, 63] > 100
    assert drawn[40:, :24].max() == 0


def test_heat_on_planes_is_heat_on_rgb():
    """The same picture both ways, within the rounding of three conversions and half the color resolution."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8))
    for shift, size in (((0.0, 0.0), (96, 64)), ((0.3, -0.2), (96, 64)), ((0.3, -0.2), (384, 256))):
        smooth = coarse.resize(size, Image.Resampling.BICUBIC)
        heat = np.zeros((8, 12), np.uint8)
        heat[5:7, 3:6] = rng.integers(40, 256, (2, 3))
        to_yuv = ToYUV()
        expected = to_yuv(np.asarray(overlay(smooth, heat, shift)))
        planes = to_yuv(np.asarray(smooth))
        lit = light(planes, heat, shift)
        for got, wanted, plain in zip(lit, expected, planes, strict=True):
            assert np.abs(got.astype(int) - wanted).mean() < 1 and np.abs(got.astype(int) - wanted).max() < 12
            assert np.abs(got.astype(int) - plain).max() > 12, "something is lit"
            assert not np.shares_memory(got, plain)


@pytest.mark.parametrize(("scale", "most", "mean"), [(1, 1, 0.35), (2, 1, 0.35), (3, 10, 1.5), (8, 5, 0.7)])
def test_large_cells_are_as_coarse_in_brightness_as_in_color(scale, most, mean):
    """Beside the strength of each pixel on its own, over a frame of any brightness."""
    rng = np.random.default_rng(0)
    heat = np.clip(rng.normal(60, 120, (8, 12)), 0, 255).astype(np.uint8)
    width, height, shift = 96 * scale, 64 * scale, (0.2, -0.1)
    planes = ToYUV()(rng.integers(0, 256, (height, width, 3), np.uint8))
    strength_HW = over_frame(heat, width, height, shift)
    opacity = HEAT_OPACITY[strength_HW] / 255
    bright = (HEAT_COLORS[strength_HW] / 255 @ (0.2126, 0.7152, 0.0722)) * 219 + 16
    wanted = planes.y + (bright - planes.y) * opacity
    off = np.abs(light(planes, heat, shift).y - wanted)
    assert off.max() <= most + 0.1 and off.mean() < mean


def test_no_heat_leaves_the_planes_as_they_are():
    planes = ToYUV()(np.full((20, 32, 3), 90, np.uint8))
    assert all(one is other for one, other in zip(light(planes, np.zeros((4, 4), np.uint8)), planes, strict=True))


def test_a_caption_changes_the_lower_left_corner_of_a_copy():
    planes = ToYUV()(np.full((100, 200, 3), (200, 90, 90), np.uint8))
    before = [plane.copy() for plane in planes]
    captioned = caption(planes, "no sound")
    drawn = captioned.to_frame().to_ndarray(format="rgb24").astype(int)
    plain = planes.to_frame().to_ndarray(format="rgb24").astype(int)
    changed = np.nonzero((np.abs(drawn - plain) > 2).any(2))
    assert changed[0].min() > 50 and changed[1].max() < 150
    assert captioned.y.max() == 235 and captioned.y.min() < before[0].min()
    assert all((one == other).all() for one, other in zip(planes, before, strict=True))


def test_low_frequencies_lie_at_the_bottom():
    log_mel = np.full((4, 6), -2.0)
    log_mel[0] = 2.5
    assert spectrogram_image(log_mel)[-1].min() == 255
    assert spectrogram_image(log_mel)[:-1].max() == 0


def test_the_strip_shows_a_column_at_its_time_and_forgets_the_past():
    strip = SpectrogramStrip(width=400, height=20, seconds=4.0, rate=10.0)
    for second in range(60):
        gray = np.full((5, 10), 255 if second == 58 else 0, np.uint8)
        strip.append(gray, np.zeros_like(gray), end=second + 1.0)
    assert len(strip._gray) <= 60
    row = np.asarray(strip.draw(now=59.5))[10, :, 0]
    # The strip spans 56.5 to 60.5 s, so second 58 lies 1.5 to 2.5 s in.
    assert row[150:250].mean() > 200
    assert row[:130].max() < 60
    assert row[300] == 255, "the cursor"


@settings(max_examples=40)
@given(
    hop=st.floats(0.013, 2.5),
    count=st.integers(1, 20),
    rate=st.sampled_from([10.0, 100.0]),
)
def test_columns_stand_at_their_time_with_gaps_and_overlaps(hop, count, rate):
    """Columns whose brightness is the number of their moment, put down one by one on a long tape."""
    strip = SpectrogramStrip(width=400, height=4, seconds=4.0, rate=rate)
    tape = np.zeros(round((count + 1) * hop * rate) + 100, np.uint8)
    written = 0
    for moment in range(count):
        end = (moment + 1) * hop + 0.5
        last = round(end * rate)
        first = max(written, last - 5)
        tape[first:last] = moment + 1
        written = max(written, last)
        strip.append(*[np.full((4, 5), moment + 1, np.uint8)] * 2, end=end)
    held = np.array([column[0] for column in strip._gray])
    assert len(held) <= round(6 * rate)
    assert held.tolist() == tape[written - len(held) : written].tolist()


def test_columns_far_ahead_leave_the_present_in_place():
    strip = SpectrogramStrip(width=400, height=4, seconds=4.0, rate=10.0, ahead=9.0)
    for end in (1.0, 8.0):
        strip.append(*[np.full((4, 10), 200, np.uint8)] * 2, end=end)
    now = np.asarray(strip.draw(now=0.9))[2, :, 0]
    assert now[round(0.75 * 400) - 30] > 100


def test_an_empty_strip_can_be_drawn():
    assert SpectrogramStrip(90, 10, 3.0, 100.0).draw(0.0).size == (90, 10)


@pytest.mark.parametrize("limits", [(0.5, 0.5), (0.7, 0.6)])
def test_limits_that_meet_do_not_divide_by_zero(limits):
    assert strength(np.array([[0.0, 1.0]]), limits).tolist() == [[0, 255]]
