"""Files and arrays -> features: shapes, missing streams, lists with a bad file among good ones."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cmac_hub import Features, inference
from cmac_hub.errors import ArgumentError, MediaError


def test_of_a_file(tiny, clip):
    got = tiny.extract_features(clip)
    assert got.times.tolist() == pytest.approx([0.5, 1.5, 2.5], abs=0.03)
    assert got.visual.shape == got.audio.shape == (3, 32)
    assert got.visual_embedding.shape == (3, 8)
    torch.testing.assert_close(got.audio_embedding.norm(dim=1), torch.ones(3))
    assert got.sound_level.numpy() == pytest.approx([0.3 / 2**0.5] * 3, rel=0.1)
    assert not got.silent


def test_hop_and_window(tiny, clip):
    got = tiny.extract_features(clip, window=2.0, hop=0.5)
    assert got.times[:4].tolist() == pytest.approx([1.0, 1.5, 2.0, 2.5], abs=0.03)


def test_batches_change_nothing(tiny, clip, monkeypatch):
    shown, batches = [], inference.batches

    def spy(network, windows, size):
        for batch in batches(network, windows, size):
            shown.append(len(batch.windows))
            yield batch

    monkeypatch.setattr("cmac_hub.features.batches", spy)
    together = tiny.extract_features(clip, hop=0.1)
    (apart,) = tiny.extract_features([clip], hop=0.1, batch_size=3)
    assert shown == [16, 10, *[3] * 8, 2]
    for name, value in together.to_dict().items():
        torch.testing.assert_close(value, apart.to_dict()[name], atol=1e-5, rtol=1e-5)
    arrays = {"waveform": np.random.default_rng(0).normal(size=80000) / 9, "sample_rate": 16000}
    one, all_at_once = (tiny.extract_features(**arrays, batch_size=size).audio for size in (1, 99))
    torch.testing.assert_close(one, all_at_once, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bad", [0, -3, 1.5, "16"])
def test_a_batch_size_that_is_none(tiny, clip, bad):
    for media in ({"media": clip}, {"media": [clip]}, {"waveform": np.zeros(32000), "sample_rate": 16000}):
        with pytest.raises(ValueError, match=r"batch_size is .*; it must be a whole number from 1 on"):
            tiny.extract_features(**media, batch_size=bad)


def test_missing_streams(tiny, video_only, audio_only):
    visual, audio = tiny.extract_features(video_only), tiny.extract_features(audio_only)
    assert visual.audio is visual.audio_embedding is visual.sound_level is None
    assert audio.visual is audio.visual_embedding is None
    assert set(audio.to_dict()) == {"times", "audio", "audio_embedding", "sound_level", "padded"}


def test_of_arrays(tiny):
    frames, sound = np.zeros((50, 32, 32, 3), np.uint8), np.zeros((2, 88200), np.float32)
    got = tiny.extract_features(frames=frames, frame_rate=25.0, waveform=sound, sample_rate=44100)
    assert got.times.tolist() == [0.5, 1.5]
    assert got.silent


def test_a_bad_file_does_not_cost_the_good_ones(tiny, clip, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    with pytest.warns(UserWarning, match=r"bad\.mp4"):
        first, second, third = tiny.extract_features([clip, bad, clip], progress=False)
    assert second is None
    torch.testing.assert_close(first.visual, third.visual)
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        tiny.extract_features(bad)


def test_wrong_calls(tiny, clip):
    with pytest.raises(ValueError, match="either"):
        tiny.extract_features()
    with pytest.raises(ValueError, match="either"):
        tiny.extract_features(clip, frames=np.zeros((1, 8, 8, 3), np.uint8), frame_rate=1.0)


def test_features_can_be_trained_on(tiny, clip):
    features = tiny.extract_features(clip)
    probe = torch.nn.Linear(32, 2)
    probe(features.visual).sum().backward()
    assert probe.weight.grad is not None
    student = torch.rand(1, 2, 4, 5, requires_grad=True)
    maps = tiny.attend(torch.randn(1, 3, 8, 32, 40), torch.randn(1, 1, 64, 100))
    torch.nn.functional.mse_loss(student, maps.visual_guidance).backward()


def test_a_network_in_training_is_looked_through_in_eval_mode(tiny, clip):
    model = copy.deepcopy(tiny).train()
    model.audio_encoder.eval()
    got = model.extract_features(clip)
    torch.testing.assert_close(got.visual, tiny.extract_features(clip).visual)
    assert model.training and model.visual_encoder.training and not model.audio_encoder.training
    for name, value in tiny.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_any_iterable_of_paths(tiny, clip):
    several = tiny.extract_features((path for path in [clip, clip]), progress=False)
    assert len(several) == 2


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_windows_come_in_batches(tiny, clip, size):
    windows = list(inference.windows_for(tiny.config, clip, hop=0.5))
    found = list(inference.batches(tiny, windows, size))
    assert [len(one.windows) for one in found] == [size] * (len(windows) // size) + [len(windows) % size] * bool(
        len(windows) % size
    )
    assert all(len(one.visual_map) == len(one.audio_map) == len(one.windows) for one in found)
    assert list(inference.batches(tiny, [], size)) == []


def test_a_features_file_is_read_back(tiny, clip, tmp_path, cmac):
    assert cmac("features", clip, "-o", tmp_path)[0] == 0
    loaded, made = Features.load(tmp_path / "clip.mp4.safetensors"), tiny.extract_features(clip)
    assert loaded.to_dict().keys() == made.to_dict().keys()
    for name, value in made.to_dict().items():
        torch.testing.assert_close(loaded.to_dict()[name], value, msg=name)


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_what_is_no_features_file_is_refused(tmp_path, content):
    (tmp_path / "one.safetensors").write_bytes(content)
    with pytest.raises(MediaError, match="no features file"):
        Features.load(tmp_path / "one.safetensors")
    with pytest.raises(MediaError, match="no features file"):
        Features.load(tmp_path / "missing.safetensors")


@pytest.mark.parametrize("names", [["weight", "bias"], ["times"], ["times", "padded", "color"], []])
def test_a_file_of_other_tensors_is_told_in_one_line(tmp_path, names):
    save_file({name: torch.zeros(2) for name in names}, tmp_path / "other.safetensors")
    with pytest.raises(MediaError, match=r"it holds the tensors .*; expected are times, padded, and some of") as e:
        Features.load(tmp_path / "other.safetensors")
    assert "\n" not in str(e.value) and "__init__" not in str(e.value)


def test_a_process_without_stderr_shows_no_progress(tiny, clip, monkeypatch):
    """As Python without a window on Windows."""
    monkeypatch.setattr("sys.stderr", None)
    assert len(tiny.extract_features([clip, clip])) == 2


@pytest.mark.parametrize(
    ("media", "message"),
    [
        (np.zeros((8, 64, 64, 3), np.uint8), "media is a ndarray; give a path, some paths, or arrays by keyword"),
        (torch.tensor(1.0), "media is a Tensor"),
        (b"dog.mp4", "media is a bytes"),
        (io.BytesIO(b"dog"), "media is a BytesIO"),
        (5, "media is a int"),
        (["dog.mp4", None], "media holds a NoneType"),
        ([np.zeros(3)], "media holds a ndarray"),
    ],
)
def test_what_is_no_path_is_refused(tiny, media, message):
    with pytest.raises(ArgumentError, match=message):
        tiny.extract_features(media)


def test_what_belongs_to_arrays_or_files_alone_is_refused_beside_the_other(tiny, clip):
    with pytest.raises(ArgumentError, match="those of arrays"):
        tiny.extract_features(clip, frame_rate=25)
    with pytest.raises(ArgumentError, match="audio_track is one of a file"):
        tiny.extract_features(waveform=np.zeros(16000, np.float32), sample_rate=16000, audio_track=1)
    with pytest.raises(ArgumentError, match="audio_track is '1'; it is a number"):
        tiny.extract_features(clip, audio_track="1")
    with pytest.raises(MediaError, match="is an address; addresses are not read"):
        tiny.extract_features("https://example.org/dog.mp4")
