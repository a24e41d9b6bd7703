"""R(2+1)D: torchvision's keys and numbers, right gradients in bf16, any width and size."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from making import CMAC_NANO
from torch import nn
from torchvision.models.video import r2plus1d_18

from cmac_hub.encoders import R2Plus1D
from cmac_hub.encoders.planes import SpatialConv, TemporalConv
from cmac_hub.encoders.r2plus1d import R2Plus1DConfig, middle_channels


def test_torchvision_weights_load_strictly_and_give_its_features():
    torch.manual_seed(0)
    theirs = r2plus1d_18()
    theirs.fc = nn.Identity()
    ours = R2Plus1D()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    clips = torch.randn(2, 3, 8, 48, 40)
    with torch.no_grad():
        expected = theirs.eval()(clips)
        got = ours.eval()(clips).flatten(2).mean(2)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_factors_equal_the_3d_convolutions_they_stand_for(stride):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 9, 8).contiguous(memory_format=torch.channels_last_3d)
    for conv in (SpatialConv(4, 6, 3, stride), TemporalConv(4, 6, stride)):
        plain = nn.functional.conv3d(x, conv.weight, None, conv.stride, conv.padding)
        torch.testing.assert_close(conv(x), plain, atol=1e-5, rtol=1e-5)


def test_bf16_weight_gradients_with_two_frames_are_right():
    """Conv3d's are silently wrong on CPU there (PyTorch 2.13, 2.14); ours must follow fp32."""
    torch.manual_seed(0)
    conv = TemporalConv(16, 16)
    x = torch.randn(4, 16, 2, 8, 8).contiguous(memory_format=torch.channels_last_3d)
    target = torch.randn(4, 16, 2, 8, 8)
    (conv(x) * target).sum().backward()
    exact = conv.weight.grad.clone()
    conv.weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        (conv(x).float() * target).sum().backward()
    error = (conv.weight.grad - exact).norm() / exact.norm()
    assert error < 0.02


def test_saliency_gradients_under_autocast_are_right():
    from cmac_hub.attention import Saliency

    torch.manual_seed(0)
    head, x = Saliency(3, 16, 8), torch.randn(4, 16, 2, 8, 8)
    head(x).square().sum().backward()
    exact = head.hidden[0].weight.grad.clone()
    head.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        head(x.bfloat16()).square().sum().backward()
    assert (head.hidden[0].weight.grad - exact).norm() / exact.norm() < 0.05


@pytest.mark.parametrize("shape", [(1, 8, 64, 64), (2, 8, 64, 112), (1, 3, 40, 33), (1, 1, 16, 16)])
def test_any_size(shape):
    encoder = R2Plus1D(dataclasses.replace(CMAC_NANO.visual, width=4, middle_multiple=1)).eval()
    b, t, h, w = shape
    out = encoder(torch.randn(b, 3, t, h, w))
    assert out.shape[:2] == (b, 32)
    assert out.shape[3:] == (-(-h // 8), -(-w // 8))
    assert (out >= 0).all()


def test_the_papers_map_is_8_by_8_and_nanos_too():
    for config in (R2Plus1DConfig(width=4), dataclasses.replace(CMAC_NANO.visual, width=4)):
        out = R2Plus1D(config).eval()(torch.randn(1, 3, config.frames, config.size, config.size))
        assert out.shape[3:] == (8, 8)
    assert out.shape[2] == 2


def test_middle_channels():
    assert middle_channels(64, 64, 1) == 144
    assert middle_channels(64, 128, 1) == 230
    assert middle_channels(64, 128, 16) == 240


@pytest.mark.parametrize("shape", [(2, 3, 8, 64), (2, 1, 8, 64, 64)])
def test_a_wrong_shape_is_told(shape):
    with pytest.raises(ValueError, match="expected"):
        R2Plus1D(dataclasses.replace(CMAC_NANO.visual, width=4))(torch.randn(shape))
