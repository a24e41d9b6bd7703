"""The frame network: maps of every level, temporal layers that begin as nothing, two steps that are one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cmac_hub import CMAC, CheckpointError, CMACConfig
from cmac_hub.encoders import FrameEncoder, FrameNetwork, FrameNetworkConfig
from cmac_hub.preprocessing import normalize_clips

SMALL = FrameNetworkConfig(size=64, temporal_channels=8)


@pytest.fixture(scope="module")
def network() -> FrameNetwork:
    torch.manual_seed(0)
    return FrameNetwork(SMALL).eval()


@pytest.mark.parametrize(
    ("level", "shape"), [("last", (1280, 4, 2, 3)), ("before_head", (320, 4, 2, 3)), ("joined", (1392, 4, 4, 6))]
)
def test_levels(level, shape):
    network = FrameNetwork(dataclasses.replace(SMALL, level=level, temporal_layers=1)).eval()
    with torch.no_grad():
        found = network(torch.randn(2, 3, 4, 64, 96))
    assert found.shape == (2, *shape) and network.channels == shape[0]


@torch.no_grad()
def test_a_new_network_gives_each_frame_its_backbones_map(network):
    clips = torch.randn(2, 3, 4, 64, 96)
    frames = network.trunk(clips.transpose(1, 2).flatten(0, 1))[0]
    assert isinstance(network, FrameEncoder) and len(network.layers) == 2
    torch.testing.assert_close(network(clips), frames.unflatten(0, (2, 4)).transpose(1, 2))


def test_trained_layers_look_at_the_neighbors_in_time_only():
    torch.manual_seed(0)
    layer = FrameNetwork(dataclasses.replace(SMALL, temporal_layers=1)).eval().layers[0]
    torch.nn.init.normal_(layer.project.weight)
    x = torch.randn(1, 1280, 4, 2, 3)
    changed = x.clone()
    changed[:, :, 3, 1, 2] += 1
    with torch.no_grad():
        moved = (layer(changed) - layer(x)).abs().amax((0, 1)) > 1e-6
    assert moved.nonzero().tolist() == [[2, 1, 2], [3, 1, 2]]


def test_everything_learns():
    torch.manual_seed(0)
    network = FrameNetwork(dataclasses.replace(SMALL, level="joined"))
    torch.nn.init.normal_(network.layers[0].project.weight, std=0.01)
    torch.nn.init.normal_(network.layers[1].project.weight, std=0.01)
    network(torch.randn(2, 3, 4, 64, 64)).square().mean().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in network.parameters())


def test_the_defaults_normalize_as_the_published_weights_want_it():
    bytes_BTHWC = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16, 1).expand(-1, -1, -1, -1, 3)
    clips = normalize_clips(bytes_BTHWC, FrameNetworkConfig())
    expected = (bytes_BTHWC.float() - 127) / 128
    torch.testing.assert_close(clips.permute(0, 2, 3, 4, 1), expected, atol=1e-6, rtol=0)


def test_a_cmac_of_it_is_saved_and_loaded(tiny_config, tmp_path, clip):
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_config, name="frames", visual=SMALL)
    model = CMAC(config).eval()
    model.save_pretrained(tmp_path / "frames")
    again = CMAC.from_pretrained(tmp_path / "frames")
    assert again.config == config
    torch.testing.assert_close(again.extract_features(clip).visual, model.extract_features(clip).visual)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "resnet18"}, "backbone is 'resnet18'"),
        ({"level": "first"}, "level is 'first'"),
        ({"backbone": "timm/resnet18", "level": "before_head"}, "which only efficientnet_lite0 has"),
        ({"temporal_layers": -1}, "temporal_layers is -1"),
        ({"frames": 0}, "frames is 0"),
    ],
)
def test_impossible_numbers_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FrameNetworkConfig(**wrong)
    values = CMACConfig(visual=FrameNetworkConfig()).to_dict()
    values["visual"] |= wrong
    with pytest.raises(CheckpointError, match=message):
        CMACConfig.from_dict(values)


def test_a_wrong_shape_is_told(network):
    with pytest.raises(ValueError, match=r"frames .* expected \(N, 3, H, W\)"):
        network.encode_frames(torch.randn(2, 1, 64, 64))


@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 4, 4, 64, 64)])
def test_a_wrong_shape_of_clips_is_told_as_that(network, shape):
    with pytest.raises(ValueError, match=r"clips .* expected \(B, 3, T, H, W\)"):
        network(torch.randn(shape))
