"""Small copies of stretches: the same pictures and sounds at the same times."""

from __future__ import annotations

import av
import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import MediaError
from cmac_hub.media import audio, probe, read_audio, read_frames, windows
from cmac_hub.media.cut import cut_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Six seconds, ever brighter; the tone begins at three."""
    wave = np.concatenate([np.zeros(48000, np.float32), tone(3.0)])
    path = tmp_path_factory.mktemp("media") / "v.mp4"
    return write_media(path, times=np.arange(150) / 25, size=(170, 256), sound=np.stack([wave, wave]), layout="stereo")


def test_a_stretch_shows_what_the_source_shows(video, tmp_path):
    info, copy = probe(video), tmp_path / "copy.mp4"
    cut_video(info, copy, size=128, start=1.52, stop=5.0)
    small = probe(copy)
    assert (small.width, small.height) == (128, 192)
    assert small.video_codec == "h264" and small.audio_codec == "aac"
    assert small.channels == 1 and small.sample_rate == 16000
    assert small.start == pytest.approx(0, abs=0.07) and small.start + small.duration == pytest.approx(3.48, abs=0.1)
    how = {"frames": 8, "size": 64, "sample_rate": 16000}
    before = list(windows(info, start=1.52, stop=5.0, **how))
    after = list(windows(small, start=0.0, stop=3.48, **how))
    assert len(before) == len(after) == 3
    for one, two in zip(before, after, strict=True):
        assert np.allclose(one.frame_times - 1.52, two.frame_times, atol=1e-3)
        # Of 255; from frame to frame it is 1.3, and each way to RGB and back rounds down.
        assert np.abs(one.frames.mean((1, 2, 3)) - two.frames.mean((1, 2, 3))).max() <= 2.1
        assert np.abs(one.waveform - two.waveform).mean() < 0.01
    sound = np.abs(read_audio(small, 16000))
    assert sound[:23000].max() < 0.02 < 0.2 < sound[24500:].max(), "it begins 1.48 s after the stretch"


def test_a_key_frame_every_second_and_smaller_pictures_as_they_are(video, tmp_path):
    copy = tmp_path / "copy.mp4"
    cut_video(probe(video), copy, size=400, start=0.0, stop=4.0)
    assert (probe(copy).width, probe(copy).height) == (170, 256)
    with av.open(str(copy)) as container:
        keys = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.is_keyframe and p.pts is not None]
    assert keys[0] == 0 and np.diff([*keys, 4.0]).max() < 1.01
    assert sum(1 for _ in read_frames(copy)) == 100


def test_mute_and_empty(tmp_path):
    mute = write_media(tmp_path / "mute.mp4", times=np.arange(50) / 25)
    cut_video(probe(mute), tmp_path / "copy.mp4", size=16, start=0.5, stop=1.5)
    assert not probe(tmp_path / "copy.mp4").has_audio and sum(1 for _ in read_frames(tmp_path / "copy.mp4")) == 26
    with pytest.raises(MediaError, match=r"mute\.mp4 gave no frame"):
        cut_video(probe(mute), tmp_path / "none.mp4", size=16, start=-1.0, stop=-0.5)
    assert not (tmp_path / "none.mp4").exists()


def test_a_late_stretch_costs_no_more_than_an_early_one(video, tmp_path, monkeypatch):
    asked = []
    original = audio.decode_stream

    def noting(info, kind, start=None):
        asked.append(start)
        return original(info, kind, start)

    monkeypatch.setattr(audio, "decode_stream", noting)
    cut_video(probe(video), tmp_path / "copy.mp4", size=64, start=4.5, stop=5.5)
    assert asked[0] is not None and asked[0] > 3
