import itertools
import math

import numpy as np
import pytest
import torch
from making import tone
from torchvision.transforms.v2 import functional as vision

from cmac_hub.train.augmentation import (
    ClipAugmentation,
    augment_spectrograms,
    change_color,
    flip_and_gain,
    mix_sounds,
    warp_time,
)


def test_a_crop_is_square_alike_for_all_frames_and_given_by_its_generator():
    frames = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 40, 64, 3), np.uint8), 4, 0)
    change = ClipAugmentation(32, jitter=True)
    one, two = (change(frames, np.random.default_rng(7)) for _ in range(2))
    assert one.shape == (4, 32, 32, 3) and one.dtype == torch.uint8 and one.is_contiguous()
    assert torch.equal(one, two)
    assert all(torch.equal(one[0], one[t]) for t in range(4)), "one crop, one flip, one color for the clip"
    assert not torch.equal(one, change(frames, np.random.default_rng(8)))


def test_crops_keep_between_the_whole_short_side_and_four_fifths_of_it():
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None, None], (1, 200, 200, 3)).copy()
    spans = []
    for seed in range(40):
        rows = ClipAugmentation(50)(ramp, np.random.default_rng(seed))[0, :, 0, 0].int()
        spans.append(int(rows.max() - rows.min()))
    assert min(spans) >= 200 / 1.25 - 8 and max(spans) <= 200
    assert max(spans) - min(spans) > 20


@pytest.mark.parametrize(
    "change",
    [ClipAugmentation(32), lambda frames, rng: flip_and_gain(torch.from_numpy(frames), torch.zeros(9), rng)[0]],
    ids=["crop", "second view"],
)
def test_some_clips_are_mirrored_and_some_are_not(change):
    ramp = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, None, :, None], (1, 40, 40, 3)).copy()
    rises = set()
    for seed in range(12):
        row = change(ramp, np.random.default_rng(seed))[0, 16, :, 0]
        rises.add(bool(row[0] < row[-1]))
    assert rises == {True, False}


def test_jitter_changes_the_colors_of_the_same_crop():
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 64, 3), np.uint8)
    plain, jittered = (ClipAugmentation(32, jitter)(frames, np.random.default_rng(7)) for jitter in (False, True))
    assert not torch.equal(plain, jittered)


def test_augmentation_depends_on_the_seed_alone():
    spectrograms = torch.randn(3, 1, 20, 50)
    how = {"time_warp": 5, "mask_share": 0.2}
    one = augment_spectrograms(spectrograms, seed=4, **how)
    torch.rand(10)
    before = torch.random.get_rng_state()
    assert torch.equal(one, augment_spectrograms(spectrograms, seed=4, **how))
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator is left alone"
    assert not torch.equal(one, augment_spectrograms(spectrograms, seed=5, **how))
    assert torch.equal(spectrograms, augment_spectrograms(spectrograms, seed=4, time_warp=0, mask_share=0.0))


def test_masks_cover_at_most_their_share():
    ones = torch.ones(6, 1, 40, 100)
    masked = augment_spectrograms(ones, seed=0, time_warp=0, mask_share=0.25)[:, 0]
    for one in masked:
        assert (one == 0).all(1).sum() <= 10 and (one == 0).all(0).sum() <= 25
    assert (masked == 0).all(2).any(), "a band is masked at all moments"
    assert (masked == 0).all(1).any(), "a moment is masked in all bands"


@pytest.mark.parametrize("seed", range(5))
def test_a_warp_moves_moments_by_its_window_at_most_and_keeps_their_order(seed):
    torch.manual_seed(seed)
    ramp = torch.arange(60.0).expand(4, 1, 3, 60).contiguous()
    warped = warp_time(ramp, 6)
    moved = (warped - ramp).abs().amax((1, 2, 3))
    assert (moved <= 6 + 1e-4).all() and (moved > 0.05).any()
    assert (warped.diff(dim=3) > 0).all()
    torch.testing.assert_close(warped[..., 0], ramp[..., 0])
    torch.testing.assert_close(warped[..., -1], ramp[..., -1])


def test_too_short_a_spectrogram_is_not_warped():
    tiny = torch.randn(2, 1, 4, 4)
    assert torch.equal(warp_time(tiny, 8), tiny)


def test_a_second_look_keeps_shape_and_range():
    frames = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    pictures, sound = flip_and_gain(frames, torch.rand(100) * 2 - 1, np.random.default_rng(0))
    assert pictures.shape == frames.shape and pictures.dtype == torch.uint8
    assert sound.shape == (100,) and sound.abs().max() <= 1


def test_of_two_looks_now_the_first_is_louder_and_now_the_second():
    frames, waveform = torch.zeros(1, 32, 32, 3, dtype=torch.uint8), torch.from_numpy(tone(0.1))
    levels = [
        20 * math.log10(flip_and_gain(frames, waveform, np.random.default_rng(seed))[1].norm() / waveform.norm())
        for seed in range(20)
    ]
    differences = [second - first for first, second in itertools.pairwise(levels)]
    # The faint noise alone makes far less than a decibel.
    assert min(differences) < -2 and max(differences) > 2
    assert min(levels) >= -6.1 and max(levels) <= 0.1, "never so loud that it must be cut off"


@pytest.mark.parametrize(
    ("name", "factors"),
    [("brightness", (1.3, 1, 1)), ("contrast", (1, 0.7, 1)), ("saturation", (1, 1, 0.6)), ("saturation", (1, 1, 1.4))],
)
def test_colors_change_as_torchvision_changes_them(name, factors):
    frame = torch.randint(0, 256, (1, 20, 30, 3), dtype=torch.uint8)
    change = getattr(vision, f"adjust_{name}")
    expected = change(frame.permute(0, 3, 1, 2), max(factors, key=lambda f: abs(f - 1))).permute(0, 2, 3, 1)
    got = change_color(frame, *factors, hue=0.0)
    assert (got.int() - expected.int()).abs().max() <= 1


def test_a_turn_of_hue_keeps_luma_and_grays_and_is_undone_by_its_opposite():
    frame = (torch.rand(1, 20, 30, 3) * 60 + 100).to(torch.uint8)
    turned = change_color(frame, 1, 1, 1, 0.1)
    luma = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(turned.float() @ luma, frame.float() @ luma, atol=1.0, rtol=0)
    assert (change_color(turned, 1, 1, 1, -0.1).int() - frame.int()).abs().max() <= 2
    red = torch.tensor([[[[140, 100, 100]]]], dtype=torch.uint8)
    hue = vision.adjust_hue(red.permute(0, 3, 1, 2), 0.1).flatten().tolist()
    assert change_color(red, 1, 1, 1, 0.1).flatten().argsort().tolist() == torch.tensor(hue).argsort().tolist()
    gray = torch.full((1, 4, 4, 3), 77, dtype=torch.uint8)
    assert torch.equal(change_color(gray, 1, 1, 1.4, 0.1), gray)


def test_some_sounds_get_another_one_beneath_them():
    waveforms = torch.randn(64, 4000) * torch.linspace(0.02, 0.2, 64)[:, None]
    mixed = mix_sounds(waveforms, seed=3, share=0.5)
    assert torch.equal(mixed, mix_sounds(waveforms, seed=3, share=0.5))
    changed = [i for i in range(64) if not torch.equal(mixed[i], waveforms[i])]
    assert 16 < len(changed) < 48
    for i in changed:
        added = mixed[i] - waveforms[i]
        decibels = 20 * torch.log10(added.square().mean().sqrt() / waveforms[i].square().mean().sqrt())
        assert -20.5 < decibels < -4.5
        assert torch.corrcoef(torch.stack([added, waveforms[i - 1]]))[0, 1] > 0.99
    assert torch.equal(mix_sounds(waveforms, seed=3, share=0.0), waveforms)
    assert torch.equal(mix_sounds(waveforms[:1], seed=3, share=1.0), waveforms[:1])


def test_mixtures_stay_within_full_scale():
    assert mix_sounds(torch.ones(4, 100), seed=0, share=1.0).abs().max() <= 1
