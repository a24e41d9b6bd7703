"""Sound of any channels, with any samples, is what a listener would hear."""

from __future__ import annotations

import warnings
import wave

import numpy as np
import pytest
from making import tone, write_media
from odd_media import float_wav

from cmac_hub.media import VideoWriter, probe, read_audio, read_frames, windows

RATE = 16000


def many_wav(path, channels, loud=None):
    """A tone in all channels, or in one of them."""
    sound = np.zeros((2 * RATE, channels), np.float32)
    sound[:, slice(None) if loud is None else loud] = tone(2.0, level=0.4)[:, None if loud is None else ...]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def level(waveform):
    return float(np.sqrt(np.mean(np.square(waveform))))


@pytest.mark.parametrize("suffix", [".wav", ".mkv"])
def test_one_inverted_side_is_heard(tmp_path, suffix):
    sides = np.stack([tone(2.0, level=0.5), -tone(2.0, level=0.4)])
    path = tmp_path / f"inverted{suffix}"
    if suffix == ".wav":
        float_wav(path, sides.T)
    else:
        write_media(path, sound=sides, layout="stereo", audio_codec="flac", times=np.arange(50) / 25)
    with pytest.warns(UserWarning, match="both sides of the sound of .* cancel"):
        assert np.corrcoef(read_audio(path, RATE), sides[0])[0, 1] > 0.99
    with pytest.warns(UserWarning, match="both sides of the sound of .* cancel"):
        found = list(windows(path, frames=2, size=32, sample_rate=RATE))
    assert [level(one.waveform) for one in found] == pytest.approx([0.354, 0.354], abs=0.01)


@pytest.mark.parametrize("channels", [9, 11, 16, 24, 32])
def test_many_channels_are_heard_as_their_mean(tmp_path, channels):
    """As microphone arrays have them: nothing says what they are."""
    assert level(read_audio(many_wav(tmp_path / "all.wav", channels), RATE)) == pytest.approx(0.283, abs=0.005)
    one = read_audio(many_wav(tmp_path / "one.wav", channels, loud=channels - 1), RATE)
    assert level(one) == pytest.approx(0.283 / channels, rel=0.05)


def opus_of_family(path, family, layout):
    """An Opus track of which only the first channel is loud, in a mapping family of its own."""
    import av

    sound = np.zeros((layout.nb_channels, 48000), np.float32)
    sound[0] = tone(1.0, 48000, level=0.4)
    with av.open(str(path), "w") as container:
        track = container.add_stream("libopus", rate=48000, layout=layout.name)
        track.codec_context.options = {"mapping_family": str(family)}
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T.reshape(1, -1)), "flt", layout.name)
        frame.sample_rate = 48000
        for part in av.AudioResampler("flt", layout.name, 48000, frame_size=960).resample(frame):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return path


def coded(path, codec, layout, kind, sound):
    """Sound (channels, n) at 48 kHz in a codec that takes a kind of samples. PyAV would not make planes of eight."""
    import av

    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=48000, layout=layout)
        track.codec_context.format = kind
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T.reshape(1, -1)), "flt", layout)
        frame.sample_rate = 48000
        size = track.codec_context.frame_size or 1024
        for part in av.AudioResampler(kind, layout, 48000, frame_size=size).resample(frame):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "suffix", "layout", "kind"),
    [
        ("aac", "m4a", "7.1", "fltp"),
        ("aac", "m4a", "octagonal", "fltp"),
        ("aac", "m4a", "hexadecagonal", "fltp"),
        ("libopus", "mka", "7.1", "flt"),
        ("flac", "flac", "7.1", "s16"),
        ("wavpack", "wv", "7.1", "fltp"),
        ("wavpack", "wv", "hexadecagonal", "fltp"),
        ("wavpack", "wv", "7.1", "s16p"),
    ],
)
def test_eight_and_more_channels_in_planes_of_their_own(tmp_path, codec, suffix, layout, kind):
    """PyAV reads beyond the list of such planes, and may end the process; the same packed in a WAV is right."""
    count = 16 if layout == "hexadecagonal" else 8
    sound = np.stack([tone(1.0, 48000, level=0.05 * (i + 1)) for i in range(count)])
    heard = read_audio(coded(tmp_path / f"planes.{suffix}", codec, layout, kind, sound), RATE)
    packed = read_audio(coded(tmp_path / "packed.wav", "pcm_f32le", layout, "flt", sound), RATE)
    assert level(heard[1600:14400]) == pytest.approx(level(packed[1600:14400]), rel=0.02)


@pytest.mark.parametrize("name", ["ambisonic 1", "ambisonic 2", "ambisonic 2+stereo"])
def test_ambisonic_sound_is_heard_by_its_omnidirectional_channel(tmp_path, name):
    import av

    path = opus_of_family(tmp_path / "sphere.mkv", 2, av.AudioLayout(name))
    assert probe(path).audio_tracks[0].layout == name
    assert level(read_audio(path, RATE)) == pytest.approx(0.283, abs=0.02)


def carried_into(path, source):
    """Two seconds of a dark picture with the sound of a source."""
    with VideoWriter(path, width=64, height=48, frame_rate=25, source=source) as writer:
        for i in range(50):
            writer.write(np.zeros((48, 64, 3), np.uint8), i / 25)


def test_many_channels_beside_a_picture_are_carried_into_a_video(tmp_path):
    wav = many_wav(tmp_path / "many.wav", 11)
    carried_into(tmp_path / "out.mp4", wav)
    assert level(read_audio(tmp_path / "out.mp4", RATE)) == pytest.approx(0.283, abs=0.01)


@pytest.mark.parametrize("channels", [1, 2, 8, 11])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_silence(tmp_path, channels, bad):
    sound = np.repeat(tone(2.0)[:, None], channels, 1)
    sound[RATE + 100 : RATE + 110] = bad
    path = float_wav(tmp_path / "bad.wav", sound)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        heard = read_audio(path, RATE)
    assert len({str(one.message) for one in said}) == int(np.isnan(bad))
    assert np.isfinite(heard).all() and np.abs(heard).max() <= 1
    expected = 0.0 if np.isnan(bad) else np.sign(bad)
    assert heard[RATE + 102 : RATE + 108] == pytest.approx(np.full(6, expected), abs=1e-4)
    np.testing.assert_allclose(
        np.delete(heard, slice(RATE + 100, RATE + 110)), np.delete(tone(2.0), slice(RATE + 100, RATE + 110)), atol=1e-4
    )


def test_sound_goes_on_after_such_a_sample_in_a_written_video(tmp_path):
    sound = tone(2.0)[:, None].copy()
    sound[RATE] = np.nan
    wav = float_wav(tmp_path / "nan.wav", sound)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        carried_into(tmp_path / "out.mp4", wav)
    heard = read_audio(tmp_path / "out.mp4", RATE)
    assert level(heard[-RATE // 2 : -RATE // 8]) == pytest.approx(0.212, abs=0.02)
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 50
