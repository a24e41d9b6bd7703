"""Frames and waveforms -> tensors, against slow sums and known signals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchaudio
from counting import counted
from hypothesis import given, settings
from hypothesis import strategies as st
from making import CMAC_BASE, CMAC_LITE, CMAC_NANO, tone, write_media

from cmac_hub import preprocessing
from cmac_hub.errors import ArgumentError
from cmac_hub.media import heard
from cmac_hub.preprocessing import cut_windows, log_mel, normalize_clips, resample, resize_frames

AUDIO, VISUAL = CMAC_NANO.audio, CMAC_NANO.visual


def test_clips_are_normalized_and_stay_channels_last():
    frames = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8)
    clips = normalize_clips(frames, VISUAL)
    assert clips.shape == (2, 3, 3, 4, 5)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)
    for c in range(3):
        expected = (frames[1, 2, 3, 4, c].item() / 255 - VISUAL.mean[c]) / VISUAL.std[c]
        assert clips[1, c, 2, 3, 4].item() == pytest.approx(expected, abs=1e-4)


def test_log_mel_of_a_tone_peaks_at_its_band():
    got = log_mel(torch.from_numpy(tone(1.0, hertz=1000.0))[None], AUDIO)
    assert got.shape == (1, 1, 64, 100)

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    band = int(got[0, 0, :, 50].argmax())
    assert band == pytest.approx(65 * mel(1000) / mel(8000) - 1, abs=1)


@pytest.mark.parametrize("config", [CMAC_NANO.audio, CMAC_BASE.audio, CMAC_LITE.audio], ids=["nano", "base", "lite"])
def test_log_mel_is_the_sum_over_each_triangle_of_the_power_of_each_frame(config):
    """Frames centered on every hop, a periodic Hann window, triangles even on the HTK mel scale."""
    rate, size = config.sample_rate, config.n_fft
    hop, length = config.hop_length, config.win_length
    noise = np.random.default_rng(0).normal(0, 0.1, rate // 5).astype(np.float32)
    padded = np.concatenate([np.zeros(length // 2), noise, np.zeros(length)])
    hann = [math.sin(math.pi * n / length) ** 2 for n in range(length)]
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (config.f_min, config.f_max))
    step = (highest - lowest) / (config.n_mels + 1)
    corners = [700 * (10 ** ((lowest + k * step) / 2595) - 1) for k in range(config.n_mels + 2)]
    got = log_mel(torch.from_numpy(noise)[None], config)[0, 0].numpy()
    assert got.shape == (config.n_mels, len(noise) // hop)
    for s in range(got.shape[1]):
        power = np.abs(np.fft.rfft(padded[s * hop : s * hop + length] * hann, size)) ** config.power
        for band, (left, middle, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
            total = 0.0
            for k in range(math.ceil(left * size / rate), math.floor(right * size / rate) + 1):
                hertz = k * rate / size
                total += power[k] * min((hertz - left) / (middle - left), (right - hertz) / (right - middle))
            expected = (math.log(total + config.log_floor) - config.mean) / config.std
            assert got[band, s] == pytest.approx(expected, abs=1e-3)


def test_log_mel_of_silence_is_the_floor():
    got = log_mel(torch.zeros(1, 16000), AUDIO)
    assert got.max() - got.min() < 1e-6
    assert got[0, 0, 0, 0].item() == pytest.approx((math.log(AUDIO.log_floor) - AUDIO.mean) / AUDIO.std, abs=1e-4)


@pytest.mark.parametrize("config", [CMAC_NANO.audio, CMAC_BASE.audio])
def test_no_mel_band_is_empty(config):
    noise = torch.randn(1, config.sample_rate, generator=torch.Generator().manual_seed(0)) * 0.1
    got = log_mel(noise, config) * config.std + config.mean
    assert got.shape == (1, 1, config.n_mels, 100)
    assert got.mean(3).min() > math.log(config.log_floor) + 1


@settings(max_examples=25)
@given(st.sampled_from([8000, 16000, 22050, 44100, 48000]), st.integers(1, 3), st.floats(0.05, 2.0))
def test_resampling_keeps_the_length(rate, channels, seconds):
    sound = np.zeros((channels, max(1, round(seconds * rate))), np.float32)
    got = resample(sound, rate, AUDIO)
    assert got.ndim == 1
    assert abs(len(got) - sound.shape[1] / rate * 16000) <= 2


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("left", "right"), [(0.6, 0.0), (0.0, 0.6), (0.9, 0.9)])
def test_resampling_keeps_a_tone_and_the_mean_level_of_both_sides(rate, left, right):
    got = resample(np.stack([tone(1.0, rate, level=left), tone(1.0, rate, level=right)]), rate, AUDIO).numpy()
    # Away from the ends, where the tone begins and stops at once.
    assert got[1000:-1000] == pytest.approx(tone(1.0, level=(left + right) / 2)[1000:-1000], abs=0.01)


@pytest.mark.parametrize("inverted", [-0.8, -1.0])
def test_of_two_channels_that_cancel_the_louder_is_heard(inverted):
    """As in files: their mean would be silence."""
    side = tone(1.0, 16000, level=0.5)
    with pytest.warns(UserWarning, match="both sides of the waveform cancel"):
        got = resample(np.stack([inverted * side, side]), 16000, AUDIO).numpy()
    np.testing.assert_allclose(got, side if inverted > -1 else -side, atol=1e-6)


def test_frames_are_resized_to_the_short_side():
    frames = np.zeros((2, 90, 160, 3), np.uint8)
    assert resize_frames(frames, VISUAL).shape == (2, 64, 112, 3)
    with pytest.raises(ValueError, match="expected uint8"):
        resize_frames(frames.astype(np.float32), VISUAL)


def test_arrays_give_the_windows_a_file_gives(clip):
    """The same content as arrays and as a file: same times, nearly the same pixels and samples."""
    from cmac_hub.media import read_audio, read_frames, windows

    frames = np.stack([f.image for f in read_frames(clip)])
    cut = list(cut_windows(frames, 25.0, read_audio(clip, 16000)[:48000], 16000, CMAC_NANO, 1.0, 1.0))
    got = list(windows(clip, frames=8, size=64, multiple=8, sample_rate=16000))[: len(cut)]
    assert [w.time for w in cut] == pytest.approx([w.time for w in got], abs=0.03)
    for mine, one in zip(cut, got, strict=True):
        assert mine.frames.shape == one.frames.shape
        assert np.abs(mine.frames.mean((1, 2, 3)) - one.frames.mean((1, 2, 3))).max() < 5
        assert mine.waveform == pytest.approx(one.waveform, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 40), st.sampled_from([5.0, 24.0, 25.0]), st.sampled_from([0.3, 1.0]), st.sampled_from([0.2, 1.0]))
def test_files_and_arrays_show_the_same_frames(tmp_path_factory, count, rate, window, hop):
    """Frames whose brightness is their number: a file and the array it was made of give the same numbers."""
    from cmac_hub.media import windows

    images = np.repeat(np.arange(count) * 6 + 10, 16 * 16 * 3).reshape(count, 16, 16, 3).astype(np.uint8)
    path = tmp_path_factory.mktemp("law") / "clip.mkv"
    write_media(path, times=np.arange(count) / rate, size=(16, 16), images=images)
    from_file = list(windows(path, window=window, hop=hop, frames=8, size=64, multiple=8, sample_rate=16000))
    from_array = list(cut_windows(images, rate, None, None, CMAC_NANO, window, hop))
    for one, other in zip(from_file, from_array, strict=False):
        numbers = [np.round((w.frames.mean((1, 2, 3)) - 10) / 6).tolist() for w in (one, other)]
        assert numbers[0] == numbers[1]
        assert one.frame_times.dtype == other.frame_times.dtype == np.float64
        assert one.frame_times == pytest.approx(other.frame_times, abs=2e-3)
        assert np.round(other.frame_times * rate).tolist() == numbers[1]


@settings(max_examples=40)
@given(
    st.integers(1, 120),
    st.sampled_from([5.0, 24.0, 29.97]),
    st.sampled_from([0.3, 1.0, 2.5]),
    st.sampled_from([0.2, 1.0]),
)
def test_windows_of_arrays(count, rate, window, hop):
    frames = np.zeros((count, 8, 8, 3), np.uint8)
    cut = list(cut_windows(frames, rate, None, None, CMAC_NANO, window, hop))
    times = [w.time for w in cut]
    assert all(w.waveform is None for w in cut)
    assert len(cut) >= 1
    assert times[0] == pytest.approx(window / 2)
    assert all(t < count / rate + 1e-6 for t in times[1:])
    assert times[-1] + hop >= count / rate - 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, None, None, None), "at least one"),
        ((np.zeros((2, 8, 8, 3), np.uint8), None, None, None), "frame_rate"),
        ((None, None, np.zeros(100), None), "sample_rate"),
        ((np.zeros((0, 8, 8, 3), np.uint8), 25.0, None, None), "no frames"),
        ((None, None, np.zeros((1, 2, 3)), 16000), "expected"),
        ((None, None, np.zeros(0), 16000), "empty"),
        ((None, None, np.zeros((0, 100)), 16000), "expected"),
        ((None, None, np.zeros((100, 2)), 16000), "transpose it"),
        ((None, None, np.zeros(100, np.int16), 16000), "divided by 32768"),
        ((None, None, np.full(100, np.nan), 16000), "not finite"),
    ],
)
def test_wrong_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        cut_windows(*arguments, CMAC_NANO, 1.0, 1.0)


def test_what_is_louder_than_full_scale_is_clipped_as_in_a_file():
    loud = resample(np.array([0.5, 3.0, -2.0]), 16000, CMAC_NANO.audio)
    assert loud.tolist() == [0.5, 1.0, -1.0]


def test_turned_arrays_and_tensors_with_a_gradient_are_read(tiny):
    """BGR made RGB by a negative stride, sound played backwards, and tensors of whoever trains on them."""
    rng = np.random.default_rng(0)
    bgr, sound = rng.integers(0, 256, (8, 32, 32, 3), np.uint8), rng.uniform(-1, 1, 16000).astype(np.float32)
    turned = tiny.preprocess(bgr[..., ::-1], 8, sound[::-1], 16000)
    plain = tiny.preprocess(bgr[..., ::-1].copy(), 8, torch.tensor(sound[::-1].copy(), requires_grad=True), 16000)
    assert all(torch.equal(a, b) for a, b in zip(turned, plain, strict=True))
    assert not plain[1].requires_grad


def test_the_mel_filters_can_be_trained_through_whoever_asked_first():
    preprocessing._mel_filters.cache_clear()
    with torch.inference_mode():
        log_mel(torch.zeros(1, 1600), CMAC_NANO.audio)
    sound = torch.rand(1, 1600, requires_grad=True)
    log_mel(sound, CMAC_NANO.audio).sum().backward()
    assert sound.grad is not None and sound.grad.abs().sum() > 0


@pytest.mark.parametrize("rate", [math.nan, math.inf, 0.0, -1.0])
def test_impossible_rates_are_refused(rate):
    frames, waveform = np.zeros((4, 16, 16, 3), np.uint8), np.zeros(100, np.float32)
    with pytest.raises(ArgumentError, match=f"frame_rate is {rate}; it must be a positive number"):
        cut_windows(frames, rate, None, None, CMAC_NANO, 1.0, 1.0)
    for value in (rate, 0.2):
        with pytest.raises(ArgumentError, match=f"the sample rate is {value}; it must be at least 1 hertz"):
            cut_windows(None, None, waveform, value, CMAC_NANO, 1.0, 1.0)


@pytest.mark.parametrize("rate", [22049, 44101, 44100.7, 15999, 16001, 96001, 1000003])
def test_rates_without_a_common_factor_cost_no_more_and_keep_the_pitch(rate):
    times = np.arange(int(2 * rate)) / round(rate)
    with counted() as work:
        heard = resample(np.sin(2 * np.pi * 440 * times).astype(np.float32) / 2, rate, CMAC_NANO.audio).numpy()
    assert work.peak < 2**28
    assert len(heard) == pytest.approx(32000, abs=2)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 16000) / 2
    assert np.abs(heard - expected)[1000:-1000].max() < 0.01


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 24000, 32000, 44100, 48000, 47952, 96000, 192000])
def test_common_rates_are_resampled_by_their_own_ratio(rate):
    samples = torch.randn(rate // 4, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    expected = torchaudio.functional.resample(samples, rate, 16000)
    torch.testing.assert_close(resample(samples, rate, CMAC_NANO.audio), expected)


def test_a_rate_that_no_file_may_have_is_refused():
    assert preprocessing.FASTEST == heard.FASTEST
    with pytest.raises(ArgumentError, match=r"sample_rate is 1000000000000.0; it must be at most 10,000,000"):
        resample(np.ones(2000, np.float32) / 2, 1e12, CMAC_NANO.audio)


def test_whole_numbers_as_floats_are_refused():
    loud = np.sin(np.arange(1600)).astype(np.float32) * 3276
    with pytest.raises(ArgumentError, match=r"the waveform reaches 3276; give float in .-1, 1., such as int16 divided"):
        resample(loud, 16000, CMAC_NANO.audio)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_nothing_is_no_sound(rate):
    with pytest.raises(ArgumentError, match="the waveform is empty"):
        resample(np.zeros(0, np.float32), rate, CMAC_NANO.audio)


def test_texts_and_arrays_are_no_numbers():
    frames, sound = np.zeros((8, 64, 64, 3), np.uint8), np.zeros(16000, np.float32)
    for arrays, message in (
        ((frames, "25", None, None), "frame_rate is '25'; it must be a positive number"),
        ((frames, sound, None, None), r"frame_rate is array\(.*; it must be a positive number"),
        ((None, None, sound, "16000"), "the sample rate is '16000'"),
    ):
        with pytest.raises(ArgumentError, match=message) as caught:
            cut_windows(*arrays, CMAC_NANO, 1.0, 1.0)
        assert len(str(caught.value)) < 400
    with pytest.raises(ArgumentError, match="window is '1'; it must be a positive number"):
        cut_windows(frames, 25, None, None, CMAC_NANO, "1", 1.0)
