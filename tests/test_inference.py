"""Windows in batches, and frames that overlapping windows share: encoded once, forgotten in time, the same maps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from making import tone

from cmac_hub import CMAC, inference, moments
from cmac_hub.encoders import FrameNetworkConfig
from cmac_hub.media import probe
from cmac_hub.preprocessing import cut_windows, stack

HOPS = [0.25, 0.5, 0.1, 0.37, 1.0, 1.7]
"""With 4 frames of a second on the grid and off it, overlapping and not."""


@pytest.fixture(scope="module")
def framewise(tiny_config) -> CMAC:
    torch.manual_seed(0)
    visual = FrameNetworkConfig(size=32, level="before_head", temporal_layers=1, temporal_channels=4)
    model = CMAC(dataclasses.replace(tiny_config, name="framewise", visual=visual)).eval()
    torch.nn.init.normal_(model.visual_encoder.layers[0].project.weight)
    return model


@pytest.fixture
def encoded(framewise, monkeypatch) -> list[int]:
    """How many frames each call of `encode_frames` was given."""
    counts: list[int] = []
    encode = framewise.visual_encoder.encode_frames
    monkeypatch.setattr(
        framewise.visual_encoder, "encode_frames", lambda frames: (counts.append(len(frames)), encode(frames))[1]
    )
    return counts


def noise(seconds: float, rate: float) -> dict:
    images = np.random.default_rng(0).integers(0, 256, (round(seconds * rate), 32, 40, 3)).astype(np.uint8)
    return {"frames": images, "frame_rate": rate, "waveform": tone(seconds), "sample_rate": 16000}


def windows_of(network, hop, seconds=6.0, rate=12.5):
    return list(cut_windows(*noise(seconds, rate).values(), network.config, 1.0, hop))


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("hop", HOPS)
def test_shared_frames_give_the_maps_of_whole_clips_and_are_encoded_once(framewise, encoded, hop, size):
    windows = windows_of(framewise, hop)
    found = torch.cat([one.visual_map for one in inference.batches(framewise, windows, size)])
    assert sum(encoded) == len(np.unique([one.frame_times for one in windows]))
    clips, _ = framewise.prepare(*stack(windows))
    with torch.no_grad():
        torch.testing.assert_close(found, framewise.visual_encoder(clips), atol=1e-5, rtol=1e-5)


def test_on_the_grid_sharing_saves_what_it_can(framewise, encoded):
    windows = windows_of(framewise, 0.25)
    list(inference.batches(framewise, windows))
    assert sum(encoded) == len(windows) + 3 < len(windows) * 4 / 3


def test_a_frame_that_one_window_shows_twice_is_encoded_once(framewise, encoded):
    windows = windows_of(framewise, 1.0, rate=2.0)
    list(inference.batches(framewise, windows))
    assert sum(encoded) == 2 * len(windows)


@pytest.mark.parametrize("hop", HOPS)
def test_memory_is_flat(framewise, hop):
    """After every batch no more frames are kept than were shown from the beginning of its last window on."""
    shared = inference.SharedFrames(framewise)
    windows = windows_of(framewise, hop, seconds=12.0)
    for i in range(0, len(windows), 4):
        some = windows[i : i + 4]
        shared.maps(np.stack([one.frame_times for one in some]), stack(some)[0])
        shown = np.unique([one.frame_times for one in windows[: i + 4]])
        assert len(shared) == (shown >= some[-1].frame_times[0]).sum() <= 13


def test_features_and_moments_of_a_file_are_those_of_whole_clips(framewise, clip, encoded):
    windows = list(inference.windows_for(framewise.config, clip, hop=0.25))
    batch = framewise.prepare(*stack(windows))
    with torch.no_grad():
        expected = framewise.embed_visual(batch[0])
    maps = framewise.attend(*batch)
    encoded.clear()
    found = framewise.extract_features(clip, hop=0.25)
    torch.testing.assert_close(found.visual, expected.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.visual_embedding, expected.embedding, atol=1e-5, rtol=1e-5)
    seen = list(moments.observe(framewise, probe(clip), "guidance", hop=0.25, all_maps=True))
    for i, one in enumerate(seen):
        for got, wanted in zip(one.attention, maps, strict=True):
            torch.testing.assert_close(got, wanted[i], atol=1e-5, rtol=1e-5)
    distinct = len(np.unique([one.frame_times for one in windows]))
    assert len(seen) == len(windows) and sum(encoded) == 2 * distinct


def test_two_recordings_share_nothing(framewise):
    """Frames of the same times, other pictures."""
    arrays = noise(3.0, 12.5)
    first = framewise.extract_features(**arrays)
    second = framewise.extract_features(**{**arrays, "frames": 255 - arrays["frames"]})
    assert (first.visual - second.visual).abs().max() > 1e-3
    torch.testing.assert_close(framewise.extract_features(**arrays).visual, first.visual)


def test_a_network_in_training_and_autocast_are_as_for_whole_clips(framewise):
    windows = windows_of(framewise, 0.5)
    clips, _ = framewise.prepare(*stack(windows))
    before = {name: value.clone() for name, value in framewise.state_dict().items()}
    framewise.train()
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = torch.cat([one.visual_map for one in inference.batches(framewise, windows)])
        assert framewise.training and framewise.visual_encoder.training
    finally:
        framewise.eval()
    assert all(torch.equal(value, before[name]) for name, value in framewise.state_dict().items())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = framewise.visual_encoder(clips)
    assert found.dtype == expected.dtype and not found.requires_grad
    torch.testing.assert_close(found.float(), expected.float(), atol=0.02, rtol=0.02)
