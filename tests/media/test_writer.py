"""What goes into a written video comes out of it: size, times, colors, sound; and never half a file."""

from __future__ import annotations

import errno
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import OutputError
from cmac_hub.media import VideoWriter, probe, read_frames


def times_of(path):
    with av.open(str(path)) as container:
        return np.array([float(f.pts * f.time_base) for f in container.decode(video=0)])


def packets_of(path):
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def copy(source, target, **more):
    info = probe(source)
    sizes = {"width": info.width, "height": info.height, "frame_rate": info.frame_rate or 25}
    with VideoWriter(target, source=source, **{**sizes, **more}) as writer:
        for frame in read_frames(source):
            writer.write(frame.image, frame.time, frame.duration)


def test_times_size_and_sound_are_kept(clip, tmp_path):
    out = tmp_path / "out.mp4"
    copy(clip, out)
    assert times_of(out) == pytest.approx(times_of(clip), abs=1e-3)
    assert packets_of(out) == packets_of(clip)
    before, after = probe(clip), probe(out)
    assert (after.width, after.height) == (before.width, before.height)
    assert after.duration == pytest.approx(before.duration, abs=1 / 25)
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_variable_rate_keeps_its_times(tmp_path):
    times = np.cumsum([0, 0.04, 0.3, 0.02, 0.02, 0.5, 0.04])
    source = write_media(tmp_path / "vfr.mkv", times=times)
    copy(source, tmp_path / "out.mp4")
    assert times_of(tmp_path / "out.mp4") == pytest.approx(times_of(source), abs=1e-3)


def test_the_last_frame_lasts_as_long_as_it_did(tmp_path):
    """Two slides: the second comes late and ends soon, and would end at 7.8 s if it lasted as long as the first."""
    for suffix in (".mp4", ".mkv"):
        slides, out = tmp_path / f"slides{suffix}", tmp_path / f"out{suffix}"
        with VideoWriter(slides, width=64, height=48, frame_rate=25) as writer:
            for time in (0.0, 3.9):
                writer.write(np.zeros((48, 64, 3), np.uint8), time, 0.1)
        copy(slides, out)
        assert probe(slides).duration == probe(out).duration == pytest.approx(4.0, abs=2e-3), suffix


def test_odd_sizes_and_colors(tmp_path):
    colors = np.array([[220, 40, 40], [40, 200, 60], [50, 60, 210], [128, 128, 128]], np.uint8)
    with VideoWriter(tmp_path / "odd.mp4", width=63, height=47, frame_rate=25) as writer:
        for index, color in enumerate(colors):
            writer.write(np.broadcast_to(color, (47, 63, 3)), index / 25)
    for frame, color in zip(read_frames(tmp_path / "odd.mp4"), colors, strict=True):
        assert frame.image.shape == (47, 63, 3)
        assert np.abs(frame.image.mean((0, 1)) - color).max() < 8


def test_sound_that_the_container_refuses_is_encoded(tmp_path):
    source = write_media(
        tmp_path / "a.mkv", times=np.arange(50) / 25, sound=tone(2.0, 48000), sample_rate=48000, audio_codec="pcm_s16le"
    )
    copy(source, tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert info.audio_codec == "aac"
    assert info.duration == pytest.approx(2.0, abs=0.06)


def test_mp3_of_a_rate_that_mp4_refuses_is_encoded(tmp_path):
    how = {"times": np.arange(50) / 25, "audio_codec": "libmp3lame"}
    for rate, codec in ((8000, "aac"), (16000, "mp3float")):
        source = write_media(tmp_path / f"{rate}.mkv", sound=tone(2.0, rate), sample_rate=rate, **how)
        assert probe(source).audio_codec.startswith("mp3")
        copy(source, tmp_path / f"{rate}.mp4")
        info = probe(tmp_path / f"{rate}.mp4")
        assert (info.audio_codec or "").startswith(codec[:3])
        assert info.duration == pytest.approx(2.0, abs=0.2)
        copy(source, tmp_path / f"{rate}.mov")


def test_sound_that_starts_late_stays_late(tmp_path):
    source = write_media(tmp_path / "late.mkv", times=np.arange(50) / 25, sound=tone(1.0), sound_start=1.0)
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        first = next(f for f in container.decode(audio=0) if np.abs(f.to_ndarray()).max() > 0.05)
        assert float(first.pts * first.time_base) == pytest.approx(1.0, abs=0.1)


def test_rotation_becomes_pixels(shared, tmp_path):
    source = shared / "formats" / "video_90.mov"
    copy(source, tmp_path / "out.mp4")
    before, after = probe(source), probe(tmp_path / "out.mp4")
    assert (after.width, after.height, after.rotation) == (before.width, before.height, 0)


@pytest.mark.parametrize("suffix", [".avi", ".webm", ""])
def test_other_containers_are_refused(clip, tmp_path, suffix):
    with pytest.raises(OutputError, match="accepted are"):
        VideoWriter(tmp_path / f"out{suffix}", width=8, height=8, frame_rate=25, source=clip)


def test_existing_outputs_and_the_input_are_safe(clip, tmp_path):
    existing = tmp_path / "out.mp4"
    existing.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"overwrite=True \(--overwrite\)"):
        VideoWriter(existing, width=8, height=8, frame_rate=25, source=clip)
    assert existing.read_bytes() == b"precious"
    link = tmp_path / "link.mp4"
    os.symlink(clip, link)
    for path in (clip, link):
        with pytest.raises(OutputError, match="input itself"):
            VideoWriter(path, width=8, height=8, frame_rate=25, source=clip, overwrite=True)
    with pytest.raises(OutputError, match="no folder"):
        VideoWriter(tmp_path / "nowhere" / "out.mp4", width=8, height=8, frame_rate=25)


def test_an_error_leaves_nothing_behind(clip, tmp_path):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"old")
    with (
        pytest.raises(RuntimeError),
        VideoWriter(target, width=96, height=64, frame_rate=25, source=clip, overwrite=True) as writer,
    ):
        writer.write(np.zeros((64, 96, 3), np.uint8), 0.0)
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_a_full_disk_is_one_line(tmp_path):
    """A real one, where small file systems may be made; /dev/full stands in elsewhere."""
    with (
        pytest.raises(OutputError, match="disk is full") as caught,
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=25) as writer,
    ):
        writer.write(np.zeros((48, 64, 3), np.uint8), 0.0)
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_frame_of_another_size(tmp_path):
    with (
        pytest.raises(ValueError, match="expected"),
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, frame_rate=float(Fraction(30000, 1001))) as writer,
    ):
        writer.write(np.zeros((48, 62, 3), np.uint8), 0.0)


def test_real_formats_keep_frames_and_length(shared, tmp_path):
    for path in sorted((shared / "formats").iterdir()):
        if path.name == "invalid_header.mkv" or not probe(path).has_video:
            continue
        out = tmp_path / f"{path.name}.mp4"
        copy(path, out)
        before, after = [f.time for f in read_frames(path)], times_of(out)
        assert len(after) == len(before), path.name
        assert after - after[0] == pytest.approx(np.array(before) - before[0], abs=2e-3), path.name


def test_pixels_of_the_output_are_square(tmp_path):
    source = write_media(tmp_path / "wide.mp4", times=np.arange(5) / 25, size=(64, 64), aspect=Fraction(2, 1))
    info = probe(source)
    with VideoWriter(
        tmp_path / "out.mp4", width=info.width, height=info.height, frame_rate=25, source=source
    ) as writer:
        for frame in read_frames(source):
            writer.write(frame.image, frame.time)
    assert (probe(tmp_path / "out.mp4").width, probe(tmp_path / "out.mp4").height) == (128, 64)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)


@pytest.mark.parametrize("size", [(100_000, 2), (2, 16_386)])
def test_a_picture_too_long_for_h264_is_one_line(tmp_path, size):
    width, height = size
    with pytest.raises(OutputError, match=rf"would be {width}x{height}; H.264 holds at most 16384 pixels a side"):
        VideoWriter(tmp_path / "out.mp4", width=width, height=height, frame_rate=25)
