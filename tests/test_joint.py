"""The joint map against slow loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmac_hub import joint


def between(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 3), (1, 4, 5), (1, 1)])
def test_strength_is_the_length_of_each_feature_between_two_limits(shape):
    values = torch.randn(2, 6, *shape, dtype=torch.float64)
    got = joint.strength(values, (1.5, 3.5))
    for n, *position in itertools.product(range(2), *map(range, shape)):
        length = math.sqrt(sum(float(v) ** 2 for v in values[(n, slice(None), *position)]))
        assert float(got[(n, *position)]) == pytest.approx(between(length, 1.5, 3.5))


@pytest.mark.parametrize("times", [2, 3, 5])
def test_motion_is_how_far_each_feature_goes_in_one_step_between_two_limits(times):
    values = torch.randn(2, 6, times, 3, 4, dtype=torch.float64)
    got = joint.motion(values, (3.0, 4.0))
    assert got.shape == (2, times, 3, 4)
    assert 0 < got.mean() < 1
    for n, t, y, x in itertools.product(range(2), range(times), range(3), range(4)):
        total = 0.0
        for step in range(times - 1):
            total += math.sqrt(
                sum(float(values[n, c, step + 1, y, x] - values[n, c, step, y, x]) ** 2 for c in range(6))
            )
        assert float(got[n, t, y, x]) == pytest.approx(between(total / (times - 1), 3.0, 4.0))


def test_nothing_moves_in_a_still_and_of_one_moment_it_cannot_be_told():
    still = torch.randn(1, 6, 1, 3, 4).expand(-1, -1, 4, -1, -1)
    assert not joint.motion(still, (0.0, 1.0)).any()
    assert joint.motion(torch.randn(2, 6, 1, 3, 4), (0.0, 1.0)).tolist() == torch.zeros(2, 1, 3, 4).tolist()


def test_affinity_in_half_precision_overflows_nowhere():
    looks = 40 * torch.randn(1, 64, 32, 3, 4)
    alike = joint.affinity(looks.half(), (16, 48))
    assert alike.isfinite().all()
    torch.testing.assert_close(alike, joint.affinity(looks, (16, 48)), atol=0.01, rtol=0)


def test_half_precision_is_measured_in_fp32():
    values = torch.randn(1, 6, 2, 3, 4).bfloat16()
    assert joint.strength(values, (0.0, 1.0)).dtype == joint.motion(values, (0.0, 1.0)).dtype == torch.float32
    alike = joint.affinity(values, (2, 4))
    assert alike.dtype == torch.float32
    torch.testing.assert_close(alike, joint.affinity(values.float(), (2, 4)), atol=0.02, rtol=0)


def test_the_joint_map_is_a_weighted_mean():
    guidance, strength, motion = torch.rand(3, 2, 4, 3, 5, dtype=torch.float64)
    assert torch.equal(joint.join(guidance, strength, 0.0, motion, 0.0), guidance)
    assert torch.equal(joint.join(guidance, strength, 1.0), strength)
    torch.testing.assert_close(joint.join(guidance, strength, 0.0, motion, 1.0), motion)
    torch.testing.assert_close(joint.join(guidance, strength, 0.25), 0.75 * guidance + 0.25 * strength)
    expected = 0.6 * guidance + 0.1 * strength + 0.3 * motion
    torch.testing.assert_close(joint.join(guidance, strength, 0.1, motion, 0.3), expected)
    torch.testing.assert_close(joint.join(guidance, strength, 0.1, motion, 0.3, 2), joint.smooth(expected, 2))
    alike = torch.rand(2, 15, 15, dtype=torch.float64)
    spread = joint.smooth(joint.spread(expected, alike, 0.2), 2)
    torch.testing.assert_close(joint.join(guidance, strength, 0.1, motion, 0.3, 2, alike, 0.2), spread)
    assert joint.join(guidance) is guidance


@pytest.mark.parametrize("shape", [(4, 5), (1, 3), (2, 1), (1, 1)])
def test_smoothing_averages_neighbors_along_both_axes(shape):
    values = torch.rand(2, 3, *shape, dtype=torch.float64)
    rows, columns = shape
    expected = torch.zeros_like(values)
    for y, x in itertools.product(range(rows), range(columns)):
        for dy, dx in itertools.product((-1, 0, 1), repeat=2):
            near = values[..., min(max(y + dy, 0), rows - 1), min(max(x + dx, 0), columns - 1)]
            expected[..., y, x] += near * (2 - abs(dy)) * (2 - abs(dx)) / 16
    torch.testing.assert_close(joint.smooth(values, 1), expected)
    torch.testing.assert_close(joint.smooth(values, 2), joint.smooth(expected, 1))
    assert joint.smooth(values, 0) is values


@pytest.mark.parametrize("levels", [(6,), (2, 4)])
def test_affinity_is_how_alike_places_look_level_by_level(levels):
    values = torch.randn(2, 6, 3, 2, 4, dtype=torch.float64)
    got = joint.affinity(values, levels)
    assert got.shape == (2, 8, 8)
    places = list(itertools.product(range(2), range(4)))

    def feature(n, level, y, x):
        first = sum(levels[:level])
        numbers = range(first, first + levels[level])
        own = [sum(float(values[n, c, t, y, x]) for t in range(3)) / 3 for c in numbers]
        means = [float(values[n, c].sum()) / 24 for c in numbers]
        return [a - b for a, b in zip(own, means, strict=True)]

    for n, (i, one), (j, other) in itertools.product(range(2), enumerate(places), enumerate(places)):
        total = 0.0
        for level in range(len(levels)):
            a, b = feature(n, level, *one), feature(n, level, *other)
            total += sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
        assert float(got[n, i, j]) == pytest.approx(total / len(levels))


def test_a_picture_without_difference_spreads_evenly_and_gives_no_nan():
    even = joint.affinity(torch.ones(1, 4, 2, 2, 3), (4,))
    assert not even.any()
    got = joint.spread(torch.arange(6.0).view(1, 1, 2, 3), even, 0.2)
    torch.testing.assert_close(got, torch.full((1, 1, 2, 3), 2.5))


def test_spreading_goes_two_steps_over_places_that_look_alike():
    heat, alike = torch.rand(2, 3, 2, 2, dtype=torch.float64), torch.rand(2, 4, 4, dtype=torch.float64)
    got = joint.spread(heat, alike, 0.3)
    for n, t in itertools.product(range(2), range(3)):
        now = [float(v) for v in heat[n, t].flatten()]
        for _ in range(2):
            weights = [[math.exp(float(alike[n, i, j]) / 0.3) for j in range(4)] for i in range(4)]
            now = [sum(w * v for w, v in zip(row, now, strict=True)) / sum(row) for row in weights]
        assert got[n, t].flatten().tolist() == pytest.approx(now)


def test_what_is_known_of_a_part_holds_for_the_thing():
    # Two things of two places each, side by side; the sound answers to one half of the left one.
    looks = torch.tensor([[1.0, 1.0, -1.0, -1.0], [0.1, -0.1, 0.1, -0.1]]).view(1, 2, 1, 1, 4)
    got = joint.join(
        torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 1, 1, 4),
        torch.zeros(1, 1, 1, 4),
        0.0,
        affinity=joint.affinity(looks, (2,)),
        temperature=0.1,
    ).flatten()
    torch.testing.assert_close(got, torch.tensor([0.5, 0.5, 0.0, 0.0]), atol=0.01, rtol=0)


LENGTHS = st.floats(0, 1e4, width=32)


@given(
    features=st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6), min_size=2, max_size=4),
    heat=st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6),
    temperature=st.floats(0.01, 10),
)
def test_spreading_stays_in_range_and_leaves_what_is_even(features, heat, temperature):
    looks = torch.tensor(features).view(1, len(features), 1, 2, 3)
    alike, values = joint.affinity(looks, (1, len(features) - 1)), torch.tensor(heat).view(1, 1, 2, 3)
    assert (alike.abs() <= 1 + 1e-5).all()
    torch.testing.assert_close(alike, alike.mT, atol=1e-5, rtol=0)
    got = joint.spread(values, alike, temperature)
    assert (got >= values.min() - 1e-5).all() and (got <= values.max() + 1e-5).all()
    torch.testing.assert_close(
        joint.spread(torch.full_like(values, 0.3), alike, temperature), torch.full_like(got, 0.3)
    )


@given(
    map_NC=st.lists(st.lists(LENGTHS, min_size=3, max_size=3), min_size=2, max_size=6),
    guidance=st.floats(0, 1, width=32),
    weight=st.floats(0, 1),
    low=st.floats(0, 1e3),
    span=st.floats(1e-3, 1e3),
)
def test_the_joint_map_lies_between_guidance_and_strength_and_rises_with_both(map_NC, guidance, weight, low, span):
    map_BCN = torch.tensor(map_NC).T[None].contiguous()
    strong = joint.strength(map_BCN, (low, low + span))
    plain = torch.full_like(strong, guidance)
    joined = joint.join(plain, strong, weight)
    assert ((joined >= torch.minimum(plain, strong) - 1e-6) & (joined <= torch.maximum(plain, strong) + 1e-6)).all()
    assert (joint.strength(2 * map_BCN, (low, low + span)) >= strong - 1e-6).all(), "longer is never weaker"
    assert (joint.join((plain + 0.1).clamp(max=1), strong, weight) >= joined - 1e-6).all()
    order = map_BCN.norm(dim=1)[0].argsort()
    assert (joined[0, order].diff() >= -1e-6).all(), "of equal guidance the longer feature comes first"


@given(
    values=st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=5),
    times=st.integers(0, 4),
)
def test_smoothing_stays_in_range_and_leaves_what_is_even(values, times):
    heat = torch.tensor(values, dtype=torch.float64)
    got = joint.smooth(heat, times)
    assert (got.min() >= heat.min() - 1e-9) and (got.max() <= heat.max() + 1e-9)
    torch.testing.assert_close(joint.smooth(torch.full_like(heat, 0.3), times), torch.full_like(heat, 0.3))
    torch.testing.assert_close(got.mean(), heat.mean())  # what a border keeps for itself it does not give away
