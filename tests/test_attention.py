"""Eq. 3, 4, 5 and Fig. 3 against slow loops written from the paper."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cmac_hub import attention

SHAPES = [(2, 3, 4), (5, 3), (1, 4, 5), (1, 1)]


def slow_response(kernel, values, normalization):
    """Eq. 4 at one scale, position by position, for one sample: values (C, ...)."""
    positions = list(itertools.product(*(range(n) for n in values.shape[1:])))
    dots = []
    for position in positions:
        local = values[(slice(None), *position)]
        dot = sum(float(k) * float(v) for k, v in zip(kernel, local, strict=True))
        if normalization == "cosine":
            lengths = math.sqrt(sum(float(k) ** 2 for k in kernel)) * math.sqrt(sum(float(v) ** 2 for v in local))
            dot = (1 + dot / lengths) / 2
        elif normalization == "softmax":
            dot = dot / math.sqrt(len(kernel))
        dots.append(dot)
    if normalization == "softmax":
        total = sum(math.exp(d) for d in dots)
        dots = [math.exp(d) / total for d in dots]
    return torch.tensor(dots, dtype=torch.float64).reshape(values.shape[1:])


def slow_halve(values):
    """Averages of 2 x 2 (x 2) neighbours, (C, ...), the rest at the border over what is there."""
    sizes = [math.ceil(n / 2) if n > 1 else 1 for n in values.shape[1:]]
    out = torch.zeros(values.shape[0], *sizes, dtype=values.dtype)
    for position in itertools.product(*(range(n) for n in sizes)):
        box = tuple(
            slice(2 * p, min(2 * p + 2, n)) if n > 1 else slice(0, 1)
            for p, n in zip(position, values.shape[1:], strict=True)
        )
        out[(slice(None), *position)] = values[(slice(None), *box)].flatten(1).mean(1)
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("normalization", ["cosine", "softmax", "none"])
def test_correlation_is_equation_4(shape, normalization):
    torch.manual_seed(1)
    kernels, values = torch.randn(3, 6, dtype=torch.float64), torch.randn(3, 6, *shape, dtype=torch.float64)
    got = attention.correlate(kernels, values, normalization)
    for n in range(3):
        torch.testing.assert_close(got[n], slow_response(kernels[n], values[n], normalization))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scales", [1, 2, 3])
@pytest.mark.parametrize("normalization", ["cosine", "softmax", "none"])
def test_the_pyramid_is_the_mean_over_halved_maps(shape, scales, normalization):
    torch.manual_seed(2)
    kernels, values = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, 5, *shape, dtype=torch.float64)
    got = attention.correlate_pyramid(kernels, values, scales, normalization)
    for n in range(2):
        level, total = values[n], torch.zeros(shape, dtype=torch.float64)
        for _ in range(scales):
            response = slow_response(kernels[n], level, normalization)
            mode = {2: "bilinear", 3: "trilinear"}[len(shape)]
            total += torch.nn.functional.interpolate(response[None, None], shape, mode=mode)[0, 0]
            level = slow_halve(level)
        torch.testing.assert_close(got[n], total / scales)


@pytest.mark.parametrize("shape", [(1, 7, 5), (2, 2, 2), (3, 3), (8, 13), (1, 1)])
def test_halving(shape):
    values = torch.randn(2, 3, *shape, dtype=torch.float64)
    got = attention.halve(values)
    for n in range(2):
        torch.testing.assert_close(got[n], slow_halve(values[n]))


def test_halving_before_or_after_the_transform_is_the_same():
    """g is linear at each position, so the pyramid may halve g(v) instead of v."""
    torch.manual_seed(0)
    transform = attention.VisualTransform(4, 6).double().eval()
    values = torch.randn(2, 4, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(attention.halve(transform(values)), transform(attention.halve(values)))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.integers(1, 3), st.sampled_from([1e-20, 1.0, 1e6]))
def test_cosine_maps_lie_in_0_1(seed, shape, scales, size):
    generator = torch.Generator().manual_seed(seed)
    kernels = torch.randn(2, 4, generator=generator) * size
    got = attention.correlate_pyramid(kernels, torch.randn(2, 4, *shape, generator=generator) * size, scales)
    assert got.shape == (2, *shape)
    assert got.min() >= 0
    assert got.max() <= 1


def test_the_filter_is_the_global_average():
    values = torch.randn(2, 3, 2, 4, 5)
    torch.testing.assert_close(attention.make_filter(values), values.mean((2, 3, 4)))


@pytest.mark.parametrize("normalization", ["cosine", "softmax", "none"])
def test_gradients(normalization):
    kernels = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    values = torch.randn(2, 3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda k, v: attention.correlate_pyramid(k, v, 2, normalization), (kernels, values))


def test_saliency_is_a_sigmoid_of_the_shape_of_the_map():
    assert attention.VisualSaliency(4, 3)(torch.randn(2, 4, 2, 5, 6)).shape == (2, 2, 5, 6)
    out = attention.AudioSaliency(4, 3)(torch.randn(2, 4, 8, 13))
    assert out.shape == (2, 8, 13)
    assert (out > 0).all()
    assert (out < 1).all()
