import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmac_hub.demo import KINDS, draw_thing, envelope, make_scene, synthesize


def test_the_same_seed_gives_the_same_scene():
    one, two = make_scene(3, seconds=1.0), make_scene(3, seconds=1.0)
    assert (one.source, one.distractor) == (two.source, two.distractor)
    np.testing.assert_array_equal(one.waveform, two.waveform)
    np.testing.assert_array_equal(one.frame(7), two.frame(7))
    assert not np.array_equal(one.frame(7), make_scene(4, seconds=1.0).frame(7))


@settings(max_examples=10)
@given(st.integers(0, 999))
def test_two_different_things_stay_in_the_picture_and_apart(seed):
    scene = make_scene(seed, seconds=1.0, width=160, height=90)
    assert scene.source != scene.distractor
    for centers in (scene.source_centers, scene.distractor_centers):
        assert (centers > 0).all() and (centers < (scene.width, scene.height)).all()
    assert (np.abs(scene.source_centers[:, 0] - scene.distractor_centers[:, 0]) > scene.size / 2).all()


def test_the_mask_covers_what_differs_from_a_scene_without_the_source():
    scene = make_scene(0, seconds=1.0, width=320, height=180)
    without = dataclasses.replace(scene, source_centers=scene.source_centers - 10000)
    changed = (scene.frame(5) != without.frame(5)).any(2)
    mask = scene.mask(5)
    assert mask.shape == (180, 320) and mask.sum() > 500
    assert not (mask & ~changed).any()
    assert mask.sum() > 0.8 * changed.sum(), "what is left are half-transparent edges"
    assert not without.mask(5).any()


def test_the_source_moves_with_its_sound_and_the_silent_thing_does_not():
    for seed in range(5):
        scene = make_scene(seed, seconds=6.0)
        loud = envelope(scene.waveform, scene.sample_rate, scene.frame_rate)
        count = min(len(loud), len(scene))
        source = np.corrcoef(-scene.source_centers[:count, 1], loud[:count])[0, 1]
        silent = np.corrcoef(-scene.distractor_centers[:count, 1], loud[:count])[0, 1]
        assert source > 0.99
        assert abs(silent) < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_every_thing_has_a_picture_and_a_sound(kind):
    rng = np.random.default_rng(0)
    picture = draw_thing(kind, rng, 64)
    assert picture.shape == (64, 64, 4) and picture.dtype == np.uint8
    assert 0.05 < (picture[..., 3] > 127).mean() < 0.95
    waveform = synthesize(kind, rng, 2.0, 16000)
    assert waveform.shape == (32000,) and waveform.dtype == np.float32
    assert np.abs(waveform).max() == pytest.approx(0.7, abs=1e-3)


def test_an_unknown_thing_is_named():
    with pytest.raises(ValueError, match=r"violin.*accepted are"):
        synthesize("violin", np.random.default_rng(0), 1.0, 16000)


def test_the_envelope_of_a_burst_rises_at_once_and_falls_slowly():
    waveform = np.zeros(16000, np.float32)
    waveform[8000:8800] = 1
    loud = envelope(waveform, 16000, 20.0)
    assert loud[:10].max() == 0 and loud[10] == 1
    assert (np.diff(loud[10:]) < 0).all() and loud[-1] > 0
