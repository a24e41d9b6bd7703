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
        elif normalization == "bounded":
            length = math.sqrt(sum(float(v) ** 2 for v in local))
            strong = max(length, 1.5 * math.sqrt(len(kernel)))
            dot = (1 + dot / math.sqrt(sum(float(k) ** 2 for k in kernel)) / strong) / 2
        elif normalization == "softmax":
            dot = dot / math.sqrt(len(kernel))
        dots.append(dot)
    if normalization == "softmax":
        total = sum(math.exp(d) for d in dots)
        dots = [math.exp(d) / total for d in dots]
    return torch.tensor(dots, dtype=torch.float64).reshape(values.shape[1:])


def slow_halve(values):
    """Averages of 2 x 2 (x 2) neighbors, (C, ...), the rest at the border over what is there."""
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
@pytest.mark.parametrize("normalization", ["cosine", "bounded", "softmax", "none"])
def test_correlation_is_equation_4(shape, normalization):
    torch.manual_seed(1)
    kernels, values = torch.randn(3, 6, dtype=torch.float64), 2 * torch.randn(3, 6, *shape, dtype=torch.float64)
    got = attention.correlate(kernels, values, normalization)
    for n in range(3):
        torch.testing.assert_close(got[n], slow_response(kernels[n], values[n], normalization))


def slow_upsample(values, spans, positions):
    """Linear interpolation between cells that cover `spans` of the finest ones, axis by axis; constant at the border.

    Args:
        values: of one scale, any number of axes.
        spans: for each axis the [first, last + 1] of the finest cells that each cell of `values` covers.
        positions: finest cells along each axis.
    """
    for axis, (axis_spans, n) in enumerate(zip(spans, positions, strict=True)):
        centers = [(low + high) / 2 for low, high in axis_spans]
        rows = []
        for j in range(n):
            x = min(max(j + 0.5, centers[0]), centers[-1])
            after = next(i for i, c in enumerate(centers) if c >= x)
            if centers[after] == x:
                rows.append(values.select(axis, after))
                continue
            share = (x - centers[after - 1]) / (centers[after] - centers[after - 1])
            rows.append((1 - share) * values.select(axis, after - 1) + share * values.select(axis, after))
        values = torch.stack(rows, axis)
    return values


def halve_spans(spans):
    pairs = [spans[i : i + 2] for i in range(0, len(spans), 2)]
    return [(pair[0][0], pair[-1][1]) for pair in pairs]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scales", [1, 2])
@pytest.mark.parametrize("normalization", ["cosine", "softmax", "none"])
def test_the_pyramid_is_the_mean_over_halved_maps(shape, scales, normalization):
    torch.manual_seed(2)
    kernels, values = torch.randn(2, 5, dtype=torch.float64), torch.randn(2, 5, *shape, dtype=torch.float64)
    got = attention.correlate_pyramid(kernels, values, scales, normalization)
    for n in range(2):
        level, total = values[n], torch.zeros(shape, dtype=torch.float64)
        spans = [[(i, i + 1) for i in range(length)] for length in shape]
        for _ in range(scales):
            response = slow_response(kernels[n], level, normalization)
            total += slow_upsample(response, spans, shape)
            level, spans = slow_halve(level), [halve_spans(one) for one in spans]
        torch.testing.assert_close(got[n], total / scales)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 12, 13, 17, 21])
@pytest.mark.parametrize("scales", [2, 3])
def test_a_ramp_stays_where_it_is_at_every_scale(n, scales):
    """A response that rises by 1 from cell to cell, averaged and interpolated back, is itself but for the borders."""
    ramp = torch.arange(n, dtype=torch.float64)[None, None, :, None].expand(1, 1, n, 6)
    # With the filter 1 and without normalization the response is the map itself.
    got = attention.correlate_pyramid(torch.ones(1, 1, dtype=torch.float64), ramp, scales, "none")[0]
    border = 2 ** (scales - 1) // 2
    inner = slice(border, n - border)
    torch.testing.assert_close(got[inner], ramp[0, 0, inner])


def test_the_network_has_a_shape_on_the_meta_device(tiny_config):
    from cmac_hub.network import Network

    with torch.device("meta"):
        out = Network(tiny_config)(torch.empty(2, 3, 8, 32, 48), torch.empty(2, 1, 64, 100))
    assert out.attention.visual_guidance.shape == (2, 2, 4, 6)


@pytest.mark.parametrize("shape", [(1, 7, 5), (2, 2, 2), (3, 3), (8, 13), (1, 1)])
def test_halving(shape):
    values = torch.randn(2, 3, *shape, dtype=torch.float64)
    got = attention.halve(values)
    for n in range(2):
        torch.testing.assert_close(got[n], slow_halve(values[n]))


def test_halving_before_or_after_the_transform_is_the_same():
    """g is linear at each position, so the pyramid may halve g(v) instead of v."""
    torch.manual_seed(0)
    transform = attention.Transform(3, 4, 6).double().eval()
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
    assert attention.Saliency(3, 4, 3)(torch.randn(2, 4, 2, 5, 6)).shape == (2, 2, 5, 6)
    out = attention.Saliency(2, 4, 3)(torch.randn(2, 4, 8, 13))
    assert out.shape == (2, 8, 13)
    assert (out > 0).all()
    assert (out < 1).all()
