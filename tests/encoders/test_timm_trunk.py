"""timm's backbones: maps and grids of tokens, refusals in one line, no download that nobody asked for."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch

from cmac_hub import CMAC
from cmac_hub.encoders import FrameNetwork, FrameNetworkConfig, load_timm
from cmac_hub.encoders.timm_trunk import TimmTrunk
from cmac_hub.errors import ArgumentError, CheckpointError, CMACError

RESNET = FrameNetworkConfig(size=64, backbone="timm/resnet10t", temporal_channels=8)


@pytest.fixture
def timm():
    return pytest.importorskip("timm", reason="pip install 'cmac-hub[backbones]'")


def test_without_timm_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(CMACError, match=r"pip install 'cmac-hub\[backbones\]'") as caught:
        FrameNetwork(RESNET)
    assert "\n" not in str(caught.value)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("name", "joined", "multiple", "side", "shapes"),
    [
        ("resnet10t", False, 32, 64, [(512, 2, 3)]),
        ("resnet10t", True, 32, 64, [(256, 4, 6), (512, 2, 3)]),
        ("convnext_atto", True, 32, 64, [(160, 4, 6), (320, 2, 3)]),
        ("vit_tiny_patch16_224", False, 16, 64, [(192, 4, 6)]),
        ("deit_tiny_distilled_patch16_224", False, 32, 64, [(192, 4, 6)]),
        ("eva02_tiny_patch14_224", False, 14, 56, [(192, 4, 6)]),
    ],
)
@torch.no_grad()
def test_maps(timm, name, joined, multiple, side, shapes):
    torch.manual_seed(0)
    trunk = TimmTrunk(name, joined, multiple).eval()
    maps = trunk(torch.randn(2, 3, side, side * 3 // 2))
    assert [tuple(one.shape[1:]) for one in maps] == shapes
    assert trunk.channels == tuple(shape[0] for shape in shapes)


@pytest.mark.extras
@torch.no_grad()
def test_tokens_lie_where_their_patches_do(timm):
    torch.manual_seed(0)
    trunk = TimmTrunk("vit_tiny_patch16_224", False, 32).eval()
    # One block without attention to other places: what changes is where the patch is.
    trunk.network.blocks = torch.nn.Sequential()
    frame = torch.zeros(1, 3, 64, 96)
    changed = frame.clone()
    changed[:, :, 16:32, 80:96] = 1
    moved = (trunk(changed)[0] - trunk(frame)[0]).abs().amax((0, 1)) > 1e-6
    assert moved.nonzero().tolist() == [[1, 5]]


@pytest.mark.extras
@pytest.mark.parametrize(
    ("name", "joined", "multiple", "message"),
    [
        ("no_such_network", False, 32, "has no backbone 'no_such_network'"),
        ("mixer_s32_224", False, 32, "gives no map of frames of 96 x 64 pixels"),
        ("swin_tiny_patch4_window7_224", False, 32, "gives no map"),
        ("sequencer2d_s", False, 14, "with the channels first"),
        ("vit_tiny_patch16_224", True, 32, "gives no two maps to join"),
        ("eva02_tiny_patch14_224", False, 32, "divisible by patch size"),
    ],
)
def test_what_gives_no_maps_is_refused_in_one_line(timm, name, joined, multiple, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        TimmTrunk(name, joined, multiple)
    assert "\n" not in str(caught.value)


@pytest.mark.extras
def test_a_cmac_of_it_is_saved_and_loaded_without_a_download(timm, tiny_config, tmp_path, clip, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download")

    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    torch.manual_seed(0)
    # This one's rotary embedding is a buffer that no checkpoint holds.
    vit = dataclasses.replace(RESNET, backbone="timm/eva02_tiny_patch14_224", size=42, multiple=14)
    for visual in (RESNET, vit):
        model = CMAC(dataclasses.replace(tiny_config, name="timm", visual=visual)).eval()
        model.save_pretrained(tmp_path / "model")
        again = CMAC.from_pretrained(tmp_path / "model")
        torch.testing.assert_close(again.extract_features(clip).visual, model.extract_features(clip).visual)


@pytest.mark.extras
def test_published_weights_come_when_asked_for(timm, monkeypatch):
    trunk = TimmTrunk("resnet10t", False, 32)

    def publish(model, **_):
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, 0.25)

    monkeypatch.setattr("timm.models._builder.load_pretrained", publish)
    load_timm(trunk)
    assert all((parameter == 0.25).all() for parameter in trunk.parameters())


@pytest.mark.extras
def test_weights_that_cannot_be_had_are_told_in_one_line(timm, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="no weights of timm/resnet10t could be had") as caught:
        load_timm(TimmTrunk("resnet10t", False, 32))
    assert "\n" not in str(caught.value)
