"""Planes as they are stored: equal to the way through RGB, and to what was stored where nothing need be converted."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from making import write_media
from PIL import Image

from cmac_hub.media import probe, read_frames, read_yuv_frames
from cmac_hub.media.frames import decode_frames
from cmac_hub.media.yuv import YUV, ToYUV, format_of


def by_hand(rgb: tuple[int, int, int]) -> tuple[int, ...]:
    """BT.709 of limited range, ITU-R BT.709-6 3.3 to 3.5."""
    r, g, b = (value / 255 for value in rgb)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return round(16 + 219 * y), round(128 + 224 * (b - y) / 1.8556), round(128 + 224 * (r - y) / 1.5748)


@pytest.mark.parametrize("size", [(32, 48), (31, 48), (33, 47)])
@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 255, 255), (224, 48, 32), (20, 90, 250)])
def test_a_color_is_what_the_standard_says(rgb, size):
    planes = ToYUV()(np.full((*size, 3), rgb, np.uint8))
    assert [plane.shape == size for plane in planes] == [True] + [any(side % 2 for side in size)] * 2
    for plane, value in zip(planes, by_hand(rgb), strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1
    frame = planes.to_frame()
    assert (frame.format.name, frame.colorspace, frame.color_range) == (format_of(*size[::-1]), Colorspace.ITU709, 1)
    for one, other in zip(YUV.of(frame), planes, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("size", "pixels"), [((64, 48), "yuv420p"), ((63, 47), "yuv444p"), ((64, 48), "yuv422p")])
def test_it_is_the_way_through_rgb(tmp_path, size, pixels):
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (3, 4, 5, 3), np.uint8)
    images = np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in coarse])
    path = write_media(tmp_path / "a.mkv", times=np.arange(3) / 25, images=images, size=size, pix_fmt=pixels)
    to_yuv = ToYUV()
    for rgb, (time, picture, duration) in zip(read_frames(path), read_yuv_frames(path), strict=True):
        assert (rgb.time, rgb.duration) == (time, duration)
        for one, other in zip(picture, to_yuv(rgb.image), strict=True):
            assert np.abs(one.astype(int) - other).mean() < 2


def test_what_is_stored_so_is_not_touched(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = Colorspace.ITU709, 1
        frame = ToYUV()(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).to_frame()
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (_, decoded) = next(decode_frames(probe(path)))
    for one, other in zip(next(read_yuv_frames(path)).picture, YUV.of(decoded), strict=True):
        np.testing.assert_array_equal(one, other)


def test_real_clips(shared):
    """Turned ones and those of other colors too: brightness as through RGB."""
    to_yuv = ToYUV()
    for name in ("video_90.mov", "bbaf2n.mpg", "av1_video.mkv"):
        path = shared / "formats" / name
        for rgb, yuv in zip(read_frames(path, stop=probe(path).start + 0.3), read_yuv_frames(path), strict=False):
            assert np.abs(yuv.picture.y.astype(int) - to_yuv(rgb.image).y).mean() < 1.5
