"""The small picture of the hottest moment."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from making import write_media
from PIL import Image

from cmac_hub.media import probe
from cmac_hub.moments import Moment
from cmac_hub.outputs import Attention
from cmac_hub.report import Hottest
from cmac_hub.report.thumbnail import thumbnail


def moment(time, highest, level=0.1):
    heat = np.full((6, 10), 0.5, np.float32)
    heat[1, 8] = highest
    return Moment(time, heat, None, None, level, False, Attention(), limits=(0.6, 0.8))


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "gray.mp4"
    return probe(
        write_media(path, times=np.arange(10) / 25, size=(400, 240), images=np.full((10, 240, 400, 3), 90, "u1"))
    )


def test_the_hottest_is_the_highest_that_can_be_heard():
    hottest = Hottest()
    assert hottest.moment is None
    for one in (moment(0, 0.9, level=0.0), moment(1, 0.7), moment(2, 0.8), moment(3, 0.8)):
        hottest(one)
    assert hottest.moment.time == 2
    silent = Hottest()
    for one in (moment(0, 0.7, level=None), moment(1, 0.9, level=None)):
        silent(one)
    assert silent.moment.time == 1


def test_it_shows_the_heat_and_the_box_where_they_are(gray):
    data = thumbnail(gray, moment(0.1, 0.9), "absolute")
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("JPEG", (240, 144)) and len(data) < 20_000
    changed = np.abs(np.asarray(image).astype(int) - 90).max(2) > 40
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert 10 < rows[0] < rows[-1] < 60 and 180 < columns[0] < columns[-1] < 230
    white = (np.asarray(image) > 190).all(2)
    assert 20 < white.sum() < 200, "a thin line"
    assert (np.abs(np.asarray(Image.open(io.BytesIO(thumbnail(gray, moment(0.1, 0.5), "absolute")))) - 90.0) < 12).all()
    assert len(thumbnail(gray, moment(0.1, 0.5), "absolute")) < len(data), "nothing is lit, nothing drawn"


def test_a_frame_that_cannot_be_decoded_has_none(gray, tmp_path):
    blind = write_media(tmp_path / "blind.mkv", times=np.arange(50) / 25, undecodable=True)
    assert thumbnail(dataclasses.replace(gray, path=blind), moment(0.1, 0.9), "absolute") is None


def test_a_box_of_less_than_a_pixel_is_drawn(tmp_path):
    path = write_media(tmp_path / "wide.mkv", times=np.arange(5) / 25, size=(1600, 60))
    info = probe(path)
    for row in range(14):
        heat = np.full((14, 35), 0.5, np.float32)
        heat[row, 3 * (row % 11)] = 0.6 + 0.2 * 64.3 / 255
        one = Moment(0.0, heat, None, None, 0.1, False, Attention(), limits=(0.6, 0.8), shift=(0.2, 0.16))
        assert thumbnail(info, one, "absolute")
