"""Winograd's convolution against PyTorch's, by itself and between the factors of a (2+1)D convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from counting import counted
from torch import nn

from cmac_hub.encoders import winograd
from cmac_hub.encoders.packed import Chain, PackedConv
from cmac_hub.encoders.pairs import PackedPair
from cmac_hub.encoders.planes import Kernel, SpatialConv, TemporalConv
from cmac_hub.encoders.winograd import Winograd, join, pays

KERNEL = Kernel(torch.zeros(96, 64, 3, 3), (1, 1), (1, 1))


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 1), (9, 4), (16, 7)])
@pytest.mark.parametrize("activation", [None, nn.ReLU])
@pytest.mark.parametrize("band_values", [1, 200, 2**20])
def test_it_convolves(monkeypatch, size, activation, band_values):
    monkeypatch.setattr(winograd, "BAND_VALUES", band_values)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 4, *size), torch.randn(6, 4, 3, 3), torch.randn(6)
    x = x.contiguous(memory_format=torch.channels_last)
    expected = F.conv2d(x, weight, bias, 1, 1)
    if activation is not None:
        expected = expected.relu()
    convolve = Winograd(Kernel(weight, (1, 1), (1, 1)), bias, activation, x.shape)
    assert convolve.height == size[0]
    torch.testing.assert_close(join(convolve(x), convolve.height), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "activation", "shape"),
    [
        (KERNEL._replace(stride=(2, 2)), nn.ReLU, (8, 64, 56, 56)),
        (KERNEL._replace(padding=(0, 1)), nn.ReLU, (8, 64, 56, 56)),
        (KERNEL._replace(groups=64), nn.ReLU, (8, 64, 56, 56)),
        (KERNEL._replace(weight=torch.zeros(96, 64, 3, 1)), nn.ReLU, (8, 64, 56, 56)),
        (KERNEL._replace(weight=torch.zeros(96, 64, 3, 3, dtype=torch.bfloat16)), nn.ReLU, (8, 64, 56, 56)),
        (KERNEL, nn.ReLU6, (8, 64, 56, 56)),
        (KERNEL, nn.ReLU, (8, 32, 56, 56)),
        (KERNEL, nn.ReLU, (1, 64, 32, 32)),
    ],
)
def test_where_it_pays_not(kernel, activation, shape):
    assert pays(KERNEL, nn.ReLU, (8, 64, 56, 56)) and pays(KERNEL, None, (8, 64, 56, 56))
    assert not pays(kernel, activation, shape)


@pytest.mark.parametrize("shape", [(1, 64, 4, 33, 31), (3, 64, 1, 27, 40), (1, 64, 2, 8, 8)])
def test_a_pair_gives_what_its_factors_give(monkeypatch, shape):
    monkeypatch.setattr(winograd, "BAND_VALUES", 2**15)
    torch.manual_seed(0)
    space, time = SpatialConv(64, 24, 3), TemporalConv(24, 16)
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        expected = time(F.relu(space(x))).relu()
        factors = (Chain(space, None, nn.ReLU()), Chain(time, None, nn.ReLU()))
        pair = PackedPair(*(PackedConv(chain, torch.float32) for chain in factors))
        for _ in range(2):
            torch.testing.assert_close(pair(x), expected, atol=1e-5, rtol=1e-5)


def test_what_lies_between_a_pair_is_never_there_at_once():
    chains = (Chain(SpatialConv(64, 144, 3), None, nn.ReLU()), Chain(TemporalConv(144, 64), None, nn.ReLU()))
    pair = PackedPair(*(PackedConv(chain, torch.float32) for chain in chains))
    x = torch.zeros(1, 64, 32, 64, 64).contiguous(memory_format=torch.channels_last_3d)
    with torch.no_grad():
        pair(x)
        with counted() as work:
            pair(x)
    between = 4 * 144 * 32 * 64 * 64
    assert work.operators["_convolution_pointwise_"] >= 2, "not by Winograd"
    assert work.peak < x.nbytes + between / 2
