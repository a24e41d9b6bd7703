"""CMAC as one module: shapes, ranges, streams alone, heads, and that it is a Hub model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from making import CMAC_BASE, CMAC_LITE, CMAC_NANO

from cmac_hub import joint
from cmac_hub.attention import correlate_pyramid
from cmac_hub.errors import ArgumentError
from cmac_hub.joint import affinity, smooth, spread
from cmac_hub.model import CMAC


@pytest.fixture
def batch(tiny):
    torch.manual_seed(3)
    return torch.randn(2, 3, 8, 32, 40), torch.randn(2, 1, 64, 100)


def test_forward(tiny, batch):
    out = tiny(*batch)
    assert out.visual.map.shape == (2, 32, 2, 4, 5)
    assert out.audio.map.shape == (2, 32, 8, 13)
    assert out.visual.filter.shape == (2, 16)
    for stream in (out.visual, out.audio):
        torch.testing.assert_close(stream.embedding.norm(dim=1), torch.ones(2))
        torch.testing.assert_close(stream.features, stream.map.flatten(2).mean(2))


def test_attend(tiny, batch):
    maps = tiny.attend(*batch)
    for name, one in maps._asdict().items():
        assert one.shape == ((2, 2, 4, 5) if name.startswith("visual") else (2, 8, 13))
        assert one.dtype == torch.float32
        assert 0 <= one.min() <= one.max() <= 1
    visual, audio = tiny.attend(clips=batch[0]), tiny.attend(spectrograms=batch[1])
    assert visual.visual_guidance is visual.audio_guidance is visual.audio_prediction is visual.visual_joint is None
    assert audio.audio_joint is None
    torch.testing.assert_close(visual.visual_prediction, maps.visual_prediction)
    torch.testing.assert_close(audio.audio_prediction, maps.audio_prediction)


def test_the_joint_maps_are_mixed_from_guidance_and_from_how_long_features_are_and_how_they_change(tiny, batch):
    attention = dataclasses.replace(
        tiny.config.attention,
        strength_weight=0.3,
        motion_weight=0.2,
        joint_smoothing=1,
        visual_strength=(0.5, 2.0),
        audio_strength=(0.2, 1.5),
        visual_motion=(0.1, 0.9),
    )
    network = CMAC(dataclasses.replace(tiny.config, attention=attention)).eval()
    network.load_state_dict(tiny.state_dict())
    maps, output = network.attend(*batch), network(*batch)

    def length(map_BC):
        return (map_BC.detach() ** 2).sum(1).sqrt()

    visual, audio = output.visual.map, output.audio.map
    visual_strength = ((length(visual) - 0.5) / 1.5).clamp(0, 1)
    audio_strength = ((length(audio) - 0.2) / 1.3).clamp(0, 1)
    steps = [length(visual[:, :, t + 1] - visual[:, :, t]) for t in range(visual.shape[2] - 1)]
    motion = ((torch.stack(steps).mean(0) - 0.1) / 0.8).clamp(0, 1)[:, None]
    for part in (visual_strength, audio_strength, motion):
        assert 0 < part.mean() < 1
    expected = smooth(0.5 * maps.visual_guidance + 0.3 * visual_strength + 0.2 * motion, 1)
    torch.testing.assert_close(maps.visual_joint, expected)
    torch.testing.assert_close(maps.audio_joint, smooth(0.7 * maps.audio_guidance + 0.3 * audio_strength, 1))
    plain = tiny.attend(*batch)
    assert torch.equal(plain.visual_joint, plain.visual_guidance), "without weights it is guidance"


def test_the_visual_joint_map_alone_is_spread_over_places_that_look_alike(tiny, batch):
    attention = dataclasses.replace(tiny.config.attention, affinity_temperature=0.2)
    network = CMAC(dataclasses.replace(tiny.config, attention=attention)).eval()
    network.load_state_dict(tiny.state_dict())
    maps, looks = network.attend(*batch), network(*batch).visual.map.detach()
    expected = spread(maps.visual_guidance, affinity(looks, (looks.shape[1],)), 0.2)
    torch.testing.assert_close(maps.visual_joint, expected)
    assert torch.equal(maps.audio_joint, maps.audio_guidance)
    assert (maps.visual_joint - maps.visual_guidance).abs().max() > 1e-3


def test_levels_are_the_maps_that_lie_side_by_side(tiny, monkeypatch):
    lite = CMAC(CMAC_LITE)
    assert lite.level_channels("visual") == (112, 1280)
    assert tiny.level_channels("visual") == (tiny.channels("visual"),) and lite.level_channels("audio") == (256,)
    monkeypatch.setattr(tiny.visual_encoder, "level_channels", (1, 2), raising=False)
    with pytest.raises(ArgumentError, match=r"R2Plus1D.level_channels is \(1, 2\); together they must be 32"):
        tiny.level_channels("visual")


def test_each_level_counts_as_much_and_no_gradient_goes_through_what_places_look_like(monkeypatch):
    torch.manual_seed(0)
    attention = dataclasses.replace(CMAC_LITE.attention, affinity_temperature=0.2)
    network = CMAC(dataclasses.replace(CMAC_LITE, attention=attention)).eval()
    visual_map, audio_map = torch.randn(1, 1392, 2, 3, 4), torch.randn(1, 256, 4, 5)
    plain, levels = network.attend_maps(visual_map, audio_map), (112, 1280)
    expected = spread(plain.visual_guidance, affinity(visual_map, levels), 0.2)
    torch.testing.assert_close(plain.visual_joint, expected)
    alike = []
    monkeypatch.setattr(joint, "affinity", lambda looks, levels: alike.append(looks) or affinity(looks, levels))
    network(torch.randn(1, 3, 4, 64, 64), torch.randn(1, 1, 64, 100))
    assert not alike[0].requires_grad
    maps = network.attend_maps(visual_map, audio_map, only="guidance")
    assert maps.visual_joint is maps.audio_joint is maps.visual_prediction is None and len(alike) == 1


def test_similarity(tiny, batch):
    got = tiny.similarity(*batch)
    out = tiny(*batch)
    for i in range(2):
        for j in range(2):
            visual, audio = out.visual.embedding[i].tolist(), out.audio.embedding[j].tolist()
            expected = sum(a * b for a, b in zip(visual, audio, strict=True))
            assert float(got[i, j]) == pytest.approx(expected, abs=1e-5)


def test_a_batch_changes_nothing(tiny, batch):
    together, alone = tiny.attend(*batch), tiny.attend(batch[0][:1], batch[1][:1])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[:1], b, atol=1e-5, rtol=1e-4)


def test_wrong_calls(tiny, batch):
    with pytest.raises(ValueError, match="at least one"):
        tiny.attend()
    with pytest.raises(ValueError, match="as many"):
        tiny(batch[0], batch[1][:1])


def test_preprocess(tiny):
    frames = np.zeros((50, 48, 64, 3), np.uint8)
    sound = np.zeros((2, 32000), np.float32)
    clips, spectrograms = tiny.preprocess(frames, 25.0, sound, 16000)
    assert clips.shape == (2, 3, 8, 32, 40)
    assert spectrograms.shape == (2, 1, 64, 100)
    assert tiny.preprocess(waveform=sound, sample_rate=16000)[0] is None


@pytest.mark.parametrize("shared_head", [True, False])
@pytest.mark.parametrize("normalization", ["cosine", "softmax", "none"])
def test_options(tiny_config, batch, shared_head, normalization):
    joint = dataclasses.replace(tiny_config.attention, shared_head=shared_head, normalization=normalization, scales=3)
    model = CMAC(dataclasses.replace(tiny_config, attention=joint))
    out = model(*batch)
    total = out.visual.embedding.sum() + out.audio.embedding.sum() + sum(m.sum() for m in out.attention)
    total.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_named_architectures():
    with torch.device("meta"):
        nano, base = CMAC(CMAC_NANO), CMAC(CMAC_BASE)
    assert 1e6 < sum(p.numel() for p in nano.parameters()) < 3e6
    assert base.visual_transform[0].out_channels == 512
    assert base.heads["shared"].out_features == 256
    with torch.device("meta"):
        lite = CMAC(CMAC_LITE)
    assert 1e6 < sum(p.numel() for p in lite.audio_encoder.parameters()) < 2e6
    assert lite.heads["shared"].out_features == 128 and lite.channels("audio") == 256


def test_half_precision(tiny_config, batch):
    model = CMAC(tiny_config).eval().bfloat16()
    maps = model.attend(batch[0].bfloat16(), batch[1].bfloat16())
    assert all(torch.isfinite(m).all() and m.dtype == torch.float32 for m in maps)


def test_guidance_is_computed_in_full_precision_under_autocast(tiny, batch):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        visual, audio, maps = tiny(*batch)
    assert visual.transformed.dtype == audio.transformed.dtype == torch.bfloat16, "autocast reached the streams"
    for got, guide, guided in ((maps.visual_guidance, audio, visual), (maps.audio_guidance, visual, audio)):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, correlate_pyramid(guide.filter.float(), guided.transformed.float()))


def test_what_users_give_wrong_is_an_error_of_ours(tiny):
    clips, spectrograms = torch.zeros(2, 3, 8, 32, 32), torch.zeros(1, 1, 64, 100)
    for call in (
        lambda: tiny(clips, spectrograms),
        lambda: tiny.attend(),
        lambda: tiny.extract_features(),
        lambda: tiny.visual_encoder(clips[0]),
        lambda: tiny.audio_encoder(spectrograms[0]),
    ):
        with pytest.raises(ArgumentError) as caught:
            call()
        assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


@torch.no_grad()
def test_a_place_sees_the_clip_beside_it_only_in_tiles(tiny):
    visual, audio = tiny.config.visual, tiny.config.audio
    clips = torch.randn(4, 3, visual.frames, 32, 32)
    spectrograms = torch.randn(4, 1, audio.n_mels, 50)
    alone, beside = tiny(clips, spectrograms), tiny(clips, spectrograms, tiles=2)
    assert beside.visual.map.shape == alone.visual.map.shape
    assert torch.equal(beside.audio.map, alone.audio.map)
    changed = clips.clone()
    changed[1] = torch.randn_like(changed[1])
    assert torch.equal(tiny(changed, spectrograms).visual.map[0], alone.visual.map[0])
    assert not torch.equal(tiny(changed, spectrograms, tiles=2).visual.map[0], beside.visual.map[0])
