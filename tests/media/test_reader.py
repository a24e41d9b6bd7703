"""Windows and frames by presentation time, from files made for each difficulty and from real ones."""

from __future__ import annotations

import tracemalloc

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import tone, write_media

from cmac_hub.errors import MediaError
from cmac_hub.media import probe, read_audio, read_frame, read_frames, windows
from cmac_hub.windows import fit_size

RATE = 16000


def cut(path, **more):
    return list(windows(path, **{"frames": 8, "size": 32, "sample_rate": RATE, **more}))


def brightness(frames: np.ndarray) -> np.ndarray:
    return frames.mean((1, 2, 3))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(8, 256), st.sampled_from([1, 2, 8, 16]))
def test_fit_size_keeps_the_aspect_and_the_multiple(width, height, size, multiple):
    w, h = fit_size(width, height, size, multiple)
    assert w % multiple == 0
    assert h % multiple == 0
    assert min(w, h) >= 1
    assert abs(min(w, h) - size) <= multiple
    assert max(w, h) <= 2.5 * size + multiple
    if max(width, height) <= 2.4 * min(width, height) and multiple == 1:
        assert w / h == pytest.approx(width / height, rel=2.5 / size)


def test_windows_cover_the_file(clip):
    got = cut(clip)
    assert [w.time for w in got] == pytest.approx([0.5, 1.5, 2.5], abs=0.03)
    assert all(w.frames.shape == (8, 32, 48, 3) and w.frames.dtype == np.uint8 for w in got)
    assert all(w.waveform.shape == (RATE,) and w.waveform.dtype == np.float32 for w in got)
    levels = np.concatenate([brightness(w.frames) for w in got])
    assert (np.diff(levels) > 0).all()


@settings(max_examples=12)
@given(window=st.sampled_from([0.2, 0.5, 1.0, 2.0, 5.0]), hop=st.sampled_from([0.1, 0.25, 0.7, 1.0, 4.0]))
def test_the_grid_of_windows(clip, window, hop):
    info = probe(clip)
    got = cut(clip, window=window, hop=hop)
    # A decoder may give up to two AAC frames more than the container declares.
    latest = info.start + info.duration + 2 * 1024 / RATE
    assert [w.time for w in got] == pytest.approx(
        [info.start + k * hop + window / 2 for k in range(len(got))], abs=1e-6
    )
    assert got[-1].time < latest or len(got) == 1
    assert got[-1].time + hop >= info.start + info.duration
    assert all(len(w.waveform) == round(window * RATE) for w in got)


def test_frames_are_nearest_by_time_stamp_at_a_variable_rate(tmp_path):
    times = np.concatenate([np.arange(5) / 5, 1 + np.arange(50) / 50])
    path = write_media(tmp_path / "vfr.mp4", times=times)
    levels = np.round(20 + 200 * np.arange(len(times)) / (len(times) - 1))
    for one in cut(path, frames=4):
        instants = one.time - 0.5 + (np.arange(4) + 0.5) / 4
        nearest = np.abs(times[None] - instants[:, None]).argmin(1)
        assert brightness(one.frames) == pytest.approx(levels[nearest], abs=4)


def test_a_late_picture_is_preceded_by_its_first_frame(tmp_path):
    path = write_media(tmp_path / "late.mkv", times=2.5 + np.arange(25) / 25, sound=tone(3.5), audio_codec="flac")
    got = cut(path, frames=4)
    assert [one.frame_times[0] for one in got] == pytest.approx([2.5, 2.5, 2.5])
    assert got[2].frame_times == pytest.approx([2.5, 2.5, 2.62, 2.86])
    assert all((one.frames == got[0].frames[0]).all() for one in got[:2])


def test_late_sound_is_preceded_by_silence(tmp_path):
    path = write_media(
        tmp_path / "late.mkv", times=np.arange(75) / 25, sound=tone(1.0), sound_start=1.0, audio_codec="flac"
    )
    sound = np.concatenate([w.waveform for w in cut(path)])
    onset = int(np.flatnonzero(np.abs(sound) > 0.05)[0])
    assert onset / RATE == pytest.approx(1.0, abs=0.01)
    assert np.abs(sound[int(2.05 * RATE) :]).max() < 1e-3


def test_sound_and_picture_stay_together(tmp_path):
    """A flash and a beep at two seconds are found in the same window, at the same place."""
    times = np.arange(100) / 25
    images = np.zeros((100, 48, 64, 3), np.uint8)
    images[50:55] = 255
    beep = np.zeros(4 * RATE, np.float32)
    beep[2 * RATE : 2 * RATE + 3200] = tone(0.2, level=0.8)
    path = write_media(tmp_path / "sync.mp4", times=times, images=images, sound=beep)
    (one,) = [w for w in cut(path, frames=25) if w.frames.max() > 200]
    flash = np.flatnonzero(brightness(one.frames) > 128)[0] / 25
    sound = np.flatnonzero(np.abs(one.waveform) > 0.2)[0] / RATE
    assert flash == pytest.approx(0.0, abs=0.05)
    assert sound == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize(("layout", "rate"), [("mono", 8000), ("stereo", 44100), ("5.1", 48000)])
def test_any_channels_and_rate(tmp_path, layout, rate):
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    sound = np.repeat(tone(1.5, rate)[None], channels, 0)
    path = write_media(tmp_path / "a.mkv", sound=sound, sample_rate=rate, layout=layout, audio_codec="flac")
    sound = read_audio(path, RATE)
    assert len(sound) / RATE == pytest.approx(1.5, abs=0.02)
    spectrum = np.abs(np.fft.rfft(sound[:RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 2


@pytest.mark.parametrize(("left", "right"), [(0.6, 0.0), (0.0, 0.6), (0.9, 0.9)])
def test_stereo_is_heard_as_the_mean_of_both_sides(tmp_path, left, right):
    sound = np.stack([tone(1.0, level=left), tone(1.0, level=right)])
    path = write_media(tmp_path / "stereo.mkv", sound=sound, layout="stereo", audio_codec="flac")
    for sound in (read_audio(path, RATE), cut(path)[0].waveform):
        assert np.abs(sound).max() == pytest.approx((left + right) / 2, abs=0.005)


TURNED = {"90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}
MIRRORED = {"hflip": (-1, 0, 0, 1), "vflip": (1, 0, 0, -1), "transpose": (0, 1, 1, 0), "transverse": (0, -1, -1, 0)}


@pytest.mark.parametrize("matrix", [*TURNED.values(), *MIRRORED.values()], ids=[*TURNED, *MIRRORED])
def test_a_turned_picture_is_shown_as_its_matrix_says(tmp_path, matrix):
    """ISO 14496-12: a pixel (p, q), counted to the right and down, is shown at (a p + c q + x, b p + d q + y)."""
    images = np.zeros((25, 32, 64, 3), np.uint8)
    images[:, :12, 40:] = 255
    path = write_media(tmp_path / "turned.mp4", times=np.arange(25) / 25, size=(64, 32), images=images)

    def box(a, b, c, d):
        # x and y only move the picture back into view.
        return np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()

    before, found, after = path.read_bytes().partition(b"tkhd")
    path.write_bytes(before + found + after.replace(box(1, 0, 0, 1), box(*matrix), 1))
    a, b, c, d = matrix
    p, q = 1, -1  # The upper right corner, counted from the middle.
    assert probe(path).mirrored == (a * d - b * c < 0)
    for image in (next(read_frames(path)).image, cut(path)[0].frames[0]):
        height, width = image.shape[:2]
        assert (width, height) == ((64, 32) if a else (32, 64))
        y, x = np.argwhere(image.mean(2) > 128).mean(0)
        assert (np.sign(x - width / 2), np.sign(y - height / 2)) == (a * p + c * q, b * p + d * q)


def test_odd_sizes_and_ten_bits(tmp_path):
    path = write_media(tmp_path / "odd.mkv", times=np.arange(25) / 25, size=(63, 47), pix_fmt="yuv444p")
    assert next(iter(read_frames(path))).image.shape == (47, 63, 3)
    deep = write_media(tmp_path / "deep.mkv", times=np.arange(25) / 25, pix_fmt="yuv420p10le")
    assert cut(deep)[0].frames.shape == (8, 32, 40, 3) or cut(deep)[0].frames.shape == (8, 32, 43, 3)


def test_a_short_file_is_padded_and_says_so(tmp_path):
    path = write_media(tmp_path / "short.mp4", times=np.arange(6) / 25, sound=tone(0.24))
    (one,) = cut(path)
    assert one.padded
    assert one.frames.shape[0] == 8
    assert np.abs(one.waveform[RATE // 2 :]).max() < 1e-3


def test_missing_streams(video_only, audio_only):
    assert all(w.waveform is None and w.frames is not None for w in cut(video_only))
    assert all(w.frames is None and w.waveform is not None for w in cut(audio_only))
    with pytest.raises(MediaError, match="no video stream"):
        next(read_frames(audio_only))
    with pytest.raises(MediaError, match="no audio stream"):
        read_audio(video_only, RATE)


def test_seeking_gives_what_streaming_gives(clip):
    whole = cut(clip, window=0.5, hop=0.5)
    for one in whole[1:]:
        (again,) = cut(clip, window=0.5, hop=10, start=one.time - 0.25, stop=one.time + 0.25)
        np.testing.assert_array_equal(again.frames, one.frames)
        assert np.corrcoef(again.waveform[800:-800], one.waveform[800:-800])[0, 1] > 0.95


def test_read_frame_is_the_one_on_screen(clip):
    frames = list(read_frames(clip))
    assert len(frames) == 75
    for index in (0, 1, 30, 74):
        shown = read_frame(clip, frames[index].time + 0.01)
        np.testing.assert_array_equal(shown.image, frames[index].image)
    np.testing.assert_array_equal(read_frame(clip, 99.0).image, frames[-1].image)


def test_a_truncated_file_gives_what_is_there(tmp_path, clip):
    whole = write_media(tmp_path / "whole.mp4", times=np.arange(75) / 25, sound=tone(3.0), fragmented=True)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert 1 <= len(cut(broken)) <= 3
    hopeless = tmp_path / "hopeless.mp4"
    hopeless.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(MediaError, match="hopeless"):
        cut(hopeless)


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text"])
def test_what_cannot_be_read_is_one_line(tmp_path, what):
    path = tmp_path / "x.mp4"
    if what == "folder":
        path.mkdir()
    elif what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("this is no video\n" * 50)
    with pytest.raises(MediaError) as caught:
        cut(path)
    assert "x.mp4" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [{"window": 0}, {"hop": -1}, {"frames": 0}, {"size": 0}, {"sample_rate": 0}])
def test_wrong_arguments(clip, bad):
    with pytest.raises(ValueError, match="it must be a"):
        cut(clip, **bad)


def test_memory_is_flat(tmp_path):
    """The buffers hold a window, not the file: ten times the length costs no more memory."""

    def peak(seconds: int) -> int:
        path = write_media(tmp_path / f"{seconds}.mkv", times=np.arange(seconds * 25) / 25, sound=tone(float(seconds)))
        stream = windows(path, frames=8, size=32, sample_rate=RATE)
        next(stream)
        tracemalloc.start()
        assert sum(1 for _ in stream) >= seconds - 2
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(60) < 1.2 * peak(6) + 100_000


def test_every_real_format(shared):
    for path in sorted((shared / "formats").iterdir()):
        if path.name == "invalid_header.mkv":
            with pytest.raises(MediaError):
                probe(path)
            continue
        info, got = probe(path), cut(path)
        assert got
        assert (got[0].frames is not None) == info.has_video
        assert (got[0].waveform is not None) == info.has_audio
        if info.has_video:
            first = next(iter(read_frames(path)))
            assert first.image.shape == (info.height, info.width, 3)


def test_sound_between_windows_is_not_kept(tmp_path):
    path = write_media(tmp_path / "long.m4a", sound=tone(120.0))
    found = []
    tracemalloc.start()
    try:
        for window in windows(path, window=1.0, hop=55.0, frames=1, size=16, sample_rate=16000):
            found.append(window.waveform)
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 2**20, "a minute of both sides takes 7"
    whole = read_audio(path, 16000)
    for number, waveform in enumerate(found[:2]):
        part = whole[55 * 16000 * number :][:16000]
        np.testing.assert_allclose(waveform, part, atol=1e-4)


def test_a_seek_gives_the_frame_that_reading_gives(tmp_path):
    """In AVI frames go by their stamp of decoding, which B-frames have before that of presentation."""
    path = tmp_path / "b.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "12", "bf": "2", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        images = np.random.default_rng(0).integers(0, 255, (75, 48, 64, 3), dtype=np.uint8)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = list(read_frames(path))
    for frame in frames:
        assert np.array_equal(read_frame(path, frame.time + 0.001).image, frame.image), frame.time
