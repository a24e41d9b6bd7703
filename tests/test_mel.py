"""The mel filter bank against torchaudio's, whatever the process takes for its default."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio.functional

from cmac_hub.mel import mel_filters


@pytest.mark.parametrize(
    "shape", [(257, 125.0, 7500.0, 64, 16000), (1025, 0.0, 12000.0, 257, 24000), (9, 0, 4000, 3, 8001)]
)
def test_it_is_torchaudios(shape):
    expected = torchaudio.functional.melscale_fbanks(*shape).numpy()
    got = mel_filters(*shape)
    assert (got.dtype, got.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(got, expected, atol=2e-4)


def test_a_band_rises_to_its_middle_and_falls_to_the_next_ones():
    """One band of two hand-made ones: corners at 0, 500, 1066, 1708 hertz or so by the formula."""
    corners = [700 * (10 ** (mel / 2595) - 1) for mel in np.linspace(0, 2595 * np.log10(1 + 1700 / 700), 4)]
    bank = mel_filters(18, 0.0, 1700.0, 2, 3400)
    for band in range(2):
        left, middle, right = corners[band : band + 3]
        for k in range(18):
            hertz = 100 * k
            expected = (hertz - left) / (middle - left) if hertz < middle else (right - hertz) / (right - middle)
            assert bank[k, band] == pytest.approx(max(0.0, expected), abs=1e-6)


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_features_do_not_depend_on_the_default_dtype(clip, default):
    from cmac_hub import CMAC
    from cmac_hub.preprocessing import _mel_filters

    network = CMAC.from_pretrained("cmac-nano")
    expected, maps = network.extract_features(clip).to_dict(), [one.score for one in _locate(network, clip)]
    torch.set_default_dtype(default)
    try:
        _mel_filters.cache_clear()
        for ready in (network, CMAC.from_pretrained("cmac-nano")):
            got = ready.extract_features(clip).to_dict()
            for name, tensor in expected.items():
                assert got[name].dtype == tensor.dtype
                torch.testing.assert_close(got[name], tensor, atol=1e-6, rtol=1e-6)
            assert [one.score for one in _locate(ready, clip)] == pytest.approx(maps, abs=1e-6)
    finally:
        torch.set_default_dtype(torch.float32)
    assert network.extract_features(clip).audio.dtype == torch.float32


def _locate(network, clip):
    from cmac_hub.visualizer import Visualizer

    return list(Visualizer(network).locate(clip))
