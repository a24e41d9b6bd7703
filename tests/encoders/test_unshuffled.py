"""A convolution of stride 2 on pairs as channels beside the convolution itself."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub.encoders.planes import Kernel
from cmac_hub.encoders.unshuffled import unshuffled_conv


@given(
    edge=st.integers(0, 4),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.integers(1, 4),
    multiple=st.sampled_from([1, 8, 16]),
)
def test_it_is_the_convolution(edge, sides, channels, multiple):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, *sides, generator=generator, dtype=torch.float64)
    weight = torch.randn(5, channels, 2 * edge + 1, 2 * edge + 1, generator=generator, dtype=torch.float64)
    weight.requires_grad_()
    expected = F.conv2d(x, weight, None, 2, edge)
    found = unshuffled_conv(x, Kernel(weight, (2, 2), (edge, edge)), multiple)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad(one.square().sum(), weight)[0] for one in (found, expected))
    torch.testing.assert_close(next(gradients), next(gradients))


def test_it_casts_as_autocast_does():
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 7, 7)
    kernel = Kernel(weight, (2, 2), (3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = unshuffled_conv(x, kernel, 16), F.conv2d(x, weight, None, 2, 3)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-1)


def test_another_stride_is_none_of_its():
    with pytest.raises(AssertionError):
        unshuffled_conv(torch.zeros(1, 3, 8, 8), Kernel(torch.zeros(4, 3, 3, 3), (1, 1), (1, 1)), 16)
