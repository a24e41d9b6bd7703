"""ResNet-9: map sizes, the stem's options, any spectrogram."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from making import CMAC_NANO

from cmac_hub.encoders import ResNet9
from cmac_hub.encoders.resnet9 import ResNet9Config


@pytest.mark.parametrize(("pool", "positions"), [(False, (17, 7)), (True, (9, 4))])
def test_the_papers_map(pool, positions):
    encoder = ResNet9(ResNet9Config(width=4, stem_pool=pool)).eval()
    out = encoder(torch.randn(2, 1, 257, 100))
    assert out.shape == (2, 32, *positions)
    assert (out >= 0).all()


def test_nanos_map():
    config = dataclasses.replace(CMAC_NANO.audio, width=4)
    assert ResNet9(config).eval()(torch.randn(1, 1, 64, 100)).shape == (1, 32, 8, 13)


def test_it_has_nine_layers_and_the_papers_widths():
    encoder = ResNet9()
    convolutions = [m for n, m in encoder.named_modules() if isinstance(m, torch.nn.Conv2d) and "downsample" not in n]
    assert [c.out_channels for c in convolutions] == [64, 64, 64, 128, 128, 256, 256, 512, 512]
    assert encoder.channels == 512


@pytest.mark.parametrize("shape", [(2, 64, 100), (2, 3, 64, 100)])
def test_a_wrong_shape_is_told(shape):
    with pytest.raises(ValueError, match="expected"):
        ResNet9(dataclasses.replace(CMAC_NANO.audio, width=4))(torch.randn(shape))
