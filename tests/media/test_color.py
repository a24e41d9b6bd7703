"""Colors against FFmpeg's own conversions of the same twelve patches, and against the formulas of the standards."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from cmac_hub.errors import MediaError
from cmac_hub.media import VideoWriter, color, read_frame, windows
from cmac_hub.media.color import unread_colors
from cmac_hub.media.frames import Scaler

PATCHES = np.array(
    [
        [64, 940, 721, 502, 327, 326, 477, 237, 587, 391, 141],
        [512, 512, 512, 512, 512, 417, 383, 704, 275, 477, 527],
        [512, 512, 512, 512, 512, 695, 347, 453, 575, 559, 520],
    ],
    "<u2",
)
"""10-bit Y, Cb and Cr (limited range, BT.2020's matrix)."""

# ffmpeg -f rawvideo -pix_fmt yuv444p10le -s 176x16 -i in.yuv -vf setparams=color_primaries=bt2020:color_trc=TRANSFER:
# colorspace=bt2020nc:range=tv,CHAIN,format=yuv444p -f rawvideo -pix_fmt rgb24 out.rgb (FFmpeg 5.1), with CHAIN =
# zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv
HLG = """0 0 0 255 255 255 193 193 193 125 125 125 78 78 78 173 0 0 0 155 0 0 48 154 192 129 0 125 83 72 28 20 31"""
PQ = """0 0 0 255 255 255 255 255 255 153 153 153 66 66 66 221 0 0 0 197 0 0 17 207 251 135 0 146 70 55 18 12 20"""
# The same with tonemap=hable:desat=0:peak=20.
PQ_2000 = """0 0 0 255 255 255 241 241 241 144 144 144 63 63 63 212 0 0 0 191 0 0 15 195 238 128 0 138 66 53 16 11 19"""
# zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709:t=bt709:m=bt709:r=tv
HLG_203 = """0 0 0 255 255 255 255 255 255 143 143 143 86 86 86 218 0 0 0 185 0 0 56 185 254 171 0 144 95 84 32 21 35"""
PQ_203 = """0 0 0 255 255 255 255 255 255 184 184 184 73 73 73 217 0 0 0 248 0 0 23 255 255 244 0 173 83 68 19 13 21"""
# zscale=p=bt709:t=bt709:m=bt709:r=tv
WIDE = """0 0 0 255 255 255 191 191 191 127 127 127 77 77 77 187 0 0 0 160 0 0 51 161 196 150 0 129 84 74 28 20 31"""

HIGH_RANGE = [
    pytest.param(ColorTrc.ARIB_STD_B67, True, HLG, id="HLG"),
    pytest.param(ColorTrc.SMPTE2084, True, PQ, id="PQ"),
    pytest.param(ColorTrc.ARIB_STD_B67, False, HLG_203, id="HLG-network"),
    pytest.param(ColorTrc.SMPTE2084, False, PQ_203, id="PQ-network"),
]


def expected(values: str) -> np.ndarray:
    return np.array(values.split(), int).reshape(-1, 3)


def patches(transfer: int) -> av.VideoFrame:
    """A frame (16, 176) of eleven squares."""
    frame = av.VideoFrame(176, 16, "yuv444p10le")
    for plane, values in zip(frame.planes, PATCHES, strict=True):
        image = np.zeros((16, plane.line_size // 2), "<u2")
        image[:, :176] = np.repeat(values, 16)
        plane.update(image.tobytes())
    frame.colorspace, frame.color_primaries = Colorspace.BT2020, ColorPrimaries.BT2020
    frame.color_trc, frame.color_range = transfer, ColorRange.MPEG
    return frame


def write_patches(path, transfer: int, codec: str = "ffv1", **options: str):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 176, 16, "yuv444p10le"
        context, frame = stream.codec_context, patches(transfer)
        context.colorspace, context.color_primaries = frame.colorspace, frame.color_primaries
        context.color_trc, context.color_range = frame.color_trc, frame.color_range
        for index in range(25):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(image: np.ndarray) -> np.ndarray:
    """(11, 3): the middles of the squares."""
    return image[8, 8::16].astype(int)


def error(image: np.ndarray, values: str) -> np.ndarray:
    return np.abs(seen(image) - expected(values))


@pytest.mark.parametrize(("transfer", "highlights", "values"), HIGH_RANGE)
def test_high_range_is_mapped_as_ffmpeg_does(transfer, highlights, values):
    difference = error(Scaler(176, 16, highlights=highlights)(patches(transfer)), values)
    # FFmpeg looks gamma up in a coarse table: colors far outside of BT.709, red and green here, differ by more.
    assert difference.mean() < 3
    # What a network is given has been 8-bit YUV once more.
    assert difference[[0, 1, 2, 3, 4, 7, 9, 10]].max() <= (2 if highlights else 3)


def test_a_wide_gamut_of_standard_range_is_narrowed():
    assert error(Scaler(176, 16)(patches(ColorTrc.BT2020_10)), WIDE).max() <= 1


def test_untagged_primaries_of_high_range_are_those_of_bt2020():
    frame = patches(ColorTrc.ARIB_STD_B67)
    frame.colorspace, frame.color_primaries = 2, ColorPrimaries.UNSPECIFIED
    assert error(Scaler(176, 16, highlights=True)(frame), HLG).max() <= 2


def test_high_range_is_scaled_before_it_is_mapped():
    small = Scaler(88, 8, highlights=True)(patches(ColorTrc.ARIB_STD_B67))
    assert np.abs(small[4, 4::8] - expected(HLG)).max() <= 2


def test_the_eye_sees_highlights_and_the_network_its_own_exposure(tmp_path):
    path = write_patches(tmp_path / "hlg.mkv", ColorTrc.ARIB_STD_B67)
    assert error(read_frame(path, 0.5).image, HLG).max() <= 2
    # Large enough that the middles of the squares share their colors with no other square.
    (window,) = windows(path, frames=2, size=64, sample_rate=16000)
    wide = np.array([np.round(np.linspace(8, 168, 11) * window.frames.shape[2] / 176)], int)[0]
    assert np.abs(window.frames[0, 32, wide].astype(int) - expected(HLG_203)).max() <= 3


def test_the_brightest_light_is_the_one_that_the_file_tells(tmp_path):
    tags = "log-level=none:lossless=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1:max-cll=2000,400"
    path = write_patches(tmp_path / "pq.mp4", ColorTrc.SMPTE2084, "libx265", **{"x265-params": tags})
    difference = error(read_frame(path, 0.5).image, PQ_2000)
    assert difference[[0, 1, 2, 3, 4, 7, 9, 10]].max() <= 2


def test_what_is_written_is_tagged_as_what_it_is(tmp_path):
    source, out = write_patches(tmp_path / "pq.mkv", ColorTrc.SMPTE2084), tmp_path / "out.mp4"
    shown = read_frame(source, 0.0)
    with VideoWriter(out, width=176, height=16, frame_rate=25) as writer:
        writer.write(shown.image, 0.0)
    with av.open(str(out)) as container:
        frame = next(container.decode(video=0))
        tags = frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range
    assert tags == (Colorspace.ITU709, ColorPrimaries.BT709, ColorTrc.BT709, ColorRange.MPEG)
    assert np.abs(seen(read_frame(out, 0.0).image) - seen(shown.image)).mean() < 3


def formula(y: float, cb: float, cr: float, red: float, blue: float, full: bool) -> np.ndarray:
    """ITU-R BT.601 and BT.709, from the weights of red and blue in luma."""
    luma, u, v = (
        (y / 255, (cb - 128) / 255, (cr - 128) / 255) if full else ((y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)
    )
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    return 255 * np.array([r, (luma - red * r - blue * b) / (1 - red - blue), b])


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
COLOR = 120, 90, 190


def plain(width: int, height: int, pixels: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixels)
    for plane, value in zip(frame.planes, COLOR, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize(
    ("size", "tag", "weights"),
    [
        ((640, 480), 2, BT601),
        ((720, 576), 2, BT601),
        ((1280, 534), 2, BT709),
        ((960, 720), 2, BT709),
        ((406, 720), 2, BT709),
        ((640, 480), 1, BT709),
        ((1280, 720), 6, BT601),
        ((640, 480), 3, BT601),
        ((1280, 720), 8, BT709),
    ],
)
def test_the_matrix_is_the_tagged_one_else_goes_by_size(size, tag, weights):
    frame = plain(*size)
    frame.colorspace = tag
    color = Scaler(64, 48)(frame)[20, 20]
    assert np.abs(color - formula(*COLOR, *weights, full=False)).max() < 2.5
    other = BT601 if weights == BT709 else BT709
    assert np.abs(color - formula(*COLOR, *other, full=False)).max() > 5


@pytest.mark.parametrize(
    ("pixels", "tag", "full"),
    [
        ("yuvj420p", ColorRange.UNSPECIFIED, True),
        ("yuvj420p", ColorRange.JPEG, True),
        ("yuv420p", ColorRange.JPEG, True),
        ("yuv420p", ColorRange.MPEG, False),
        ("yuv420p", ColorRange.UNSPECIFIED, False),
    ],
)
def test_the_range_is_the_tagged_one_else_goes_by_format(pixels, tag, full):
    frame = plain(64, 48, pixels)
    frame.color_range = tag
    assert np.abs(Scaler(64, 48)(frame)[20, 20] - formula(*COLOR, *BT601, full=full)).max() < 2.5


@pytest.mark.parametrize("pixels", ["yaf32le", "rgb96le"])
def test_pixels_that_ffmpeg_cannot_convert_are_one_line(pixels):
    with pytest.raises(MediaError, match=rf"\(32x16, {pixels}\) cannot be converted to RGB; convert the video first"):
        Scaler(32, 16)(av.VideoFrame(32, 16, pixels))


class Told(NamedTuple):
    """What a decoder says of a frame's colors."""

    colorspace: int = 2
    color_trc: int = 2
    side_data: dict = {}  # noqa: RUF012
    format: av.VideoFormat = av.VideoFormat("yuv420p10le")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Told(), None),
        (Told(1), None),
        (Told(10, ColorTrc.SMPTE2084), None),
        (Told(14, ColorTrc.SMPTE2084), "are those of ICtCp"),
        (Told(8), "are those of YCgCo"),
        (Told(8, format=av.VideoFormat("gbrp")), None),
        (Told(side_data={"DOVI_METADATA": b""}), "are those of Dolby Vision alone"),
        # Profile 8 is HLG or PQ as well, which is read.
        (Told(9, ColorTrc.SMPTE2084, {"DOVI_METADATA": b""}), None),
    ],
)
def test_colors_that_cannot_be_read_are_said(told, said, monkeypatch):
    monkeypatch.setattr(color, "side_data", lambda frame, kind: frame.side_data.get(kind))
    assert unread_colors(told) == said


def test_a_video_with_such_colors_is_named(tmp_path):
    tags = "log-level=none:lossless=1:colorprim=bt2020:transfer=smpte2084:colormatrix=ictcp"
    path = write_patches(tmp_path / "ictcp.mkv", ColorTrc.SMPTE2084, "libx265", **{"x265-params": tags})
    with pytest.warns(UserWarning, match=r"colors of .*ictcp\.mkv are those of ICtCp, which is not read"):
        assert read_frame(path, 0.0).image.shape == (16, 176, 3)


def test_a_network_is_given_colors_in_pairs_of_columns():
    """Of standard range FFmpeg makes RGB so; stripes as wide as a pixel are gray in both."""
    stripes = av.VideoFrame(64, 16, "yuv444p10le")
    for number, plane in enumerate(stripes.planes):
        image = np.full((16, plane.line_size // 2), 512, "<u2")
        image[:, 1::2] += 100 * (number == 1)
        plane.update(image.tobytes())
    stripes.colorspace, stripes.color_primaries = Colorspace.BT2020, ColorPrimaries.BT2020
    stripes.color_trc, stripes.color_range = ColorTrc.ARIB_STD_B67, ColorRange.MPEG
    apart, paired = (Scaler(64, 16, highlights=one)(stripes)[8].astype(int) for one in (True, False))
    blue = apart[:, 2] - apart[:, 1], paired[:, 2] - paired[:, 1]
    assert np.abs(np.diff(blue[0][8:56])).min() > 20
    assert np.abs(blue[1][8:56:2] - blue[1][9:56:2]).max() <= 3
