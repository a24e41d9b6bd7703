import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.errors import CMACError
from cmac_hub.train.distillation import mixtures
from cmac_hub.train.distillation.mixtures import LOUDEST, SOFTEST, Mixtures

GROUPS = st.lists(
    st.lists(st.lists(st.integers(-32768, 32767), min_size=1, max_size=60), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
).map(lambda groups: [[np.array(sound, np.int16) for sound in group] for group in groups])


@given(GROUPS, st.integers(1, 80), st.integers(0, 2**32), st.integers(0, 2**40))
def test_a_window_is_sound_of_the_asked_length(groups, samples, seed, index):
    window = Mixtures(groups, samples, seed)[index]
    assert window.shape == (samples,) and window.dtype == torch.float32
    assert window.isfinite().all()
    peak = float(window.abs().max())
    # Of silence alone nothing can be made louder.
    assert peak <= 10 ** (LOUDEST / 20) + 1e-6
    assert peak == 0 or peak >= 10 ** (SOFTEST / 20) - 1e-6


@given(GROUPS, st.integers(0, 2**32), st.integers(0, 2**40))
def test_seed_and_number_alone_decide_a_window(groups, seed, index):
    first, again = Mixtures(groups, 50, seed), Mixtures(groups, 50, seed)
    _ = again[index + 1]
    assert torch.equal(first[index], again[index])


def test_seeds_numbers_and_recordings_tell_windows_apart(recordings):
    groups = list(recordings.values())
    windows = [Mixtures(groups, 500, seed)[index] for seed in (0, 1) for index in (0, 1)]
    assert all(not torch.equal(a, b) for i, a in enumerate(windows) for b in windows[:i])
    changed = [[sound.copy() for sound in group] for group in groups]
    changed[0][0][0] += 1
    hashes = {Mixtures(g, n).hash() for g, n in ((groups, 500), (groups, 501), (groups[::-1], 500), (changed, 500))}
    assert len(hashes) == 4 and Mixtures(groups, 500, 7).hash() in hashes


def test_a_group_is_drawn_as_the_root_of_its_size():
    sizes = (1, 4, 25)
    # Every group has a level of its own, which survives in the sign of a constant sound's RMS.
    groups = [[np.full(10, 100 * (k + 1), np.int16)] * size for k, size in enumerate(sizes)]
    drawn = Mixtures(groups, 10)
    assert drawn.shares == pytest.approx(np.array([1, 2, 5]) / 8)


def test_a_silent_end_is_passed_over():
    loud, silent = np.random.default_rng(0).integers(-9000, 9000, 1000), np.zeros(1000, np.int64)
    windows = Mixtures([[np.concatenate([loud, silent]).astype(np.int16)]], 100)
    # One of three stretches is loud in seven cases out of eight, where one alone would be in half of them.
    assert np.mean([float(windows[i].abs().max()) > 0 for i in range(300)]) > 0.8


def test_pace_moves_a_tone_and_nothing_else_does(monkeypatch):
    monkeypatch.setattr(mixtures, "MORE", (1.0, 0.0, 0.0))
    monkeypatch.setattr(mixtures, "NOISY", 0.0)
    tone = (9000 * np.sin(2 * np.pi * 0.05 * np.arange(20000))).astype(np.int16)

    def frequencies():
        found = Mixtures([[tone]], 2000)
        return np.array([np.abs(np.fft.rfft(found[i].numpy())).argmax() / 2000 for i in range(40)])

    moved = frequencies()
    assert (moved > 0.05 * 2**-0.36).all() and (moved < 0.05 * 2**0.36).all() and moved.std() > 0.001
    monkeypatch.setattr(mixtures, "WARPED", 0.0)
    assert frequencies() == pytest.approx(0.05)


def test_without_a_recording_there_is_nothing_to_learn():
    with pytest.raises(CMACError, match="no recording to learn from"):
        Mixtures([[]], 100)
