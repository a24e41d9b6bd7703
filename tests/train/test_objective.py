"""Eq. 6, 7, 8 in fp64 against slow loops written from the paper."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from cmac_hub.model import Attention, Output, Stream
from cmac_hub.train.objective import attention_consistency, contrastive, in_batch_objective


def unit(*shape, seed=0):
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=1)


def sim(a, b, tau):
    return math.exp(sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / tau)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equation_6(reduction):
    target, guess = torch.rand(3, 2, 4, 5, dtype=torch.float64), torch.rand(3, 2, 4, 5, dtype=torch.float64)
    total = 0.0
    for n in range(3):
        squares = [
            (float(target[n][p]) - float(guess[n][p])) ** 2 for p in itertools.product(range(2), range(4), range(5))
        ]
        total += sum(squares) if reduction == "sum" else sum(squares) / len(squares)
    assert float(attention_consistency(target, guess, reduction=reduction)) == pytest.approx(total / 3)


def test_the_target_is_detached_unless_told():
    for detach in (True, False):
        target = torch.rand(2, 3, 3, requires_grad=True)
        guess = torch.rand(2, 3, 3, requires_grad=True)
        attention_consistency(target, guess, detach_target=detach).backward()
        assert (target.grad is None) == detach
        assert guess.grad is not None


@pytest.mark.parametrize("within", [True, False])
def test_equation_7(within):
    query, key, cross, same = unit(3, 4), unit(3, 4, seed=1), unit(5, 4, seed=2), unit(6, 4, seed=3)
    keep_cross = torch.rand(3, 5, generator=torch.Generator().manual_seed(4)) > 0.3
    keep_same = torch.rand(3, 6, generator=torch.Generator().manual_seed(5)) > 0.3
    got = contrastive(
        query, key, cross, same if within else None, temperature=0.2,
        cross_is_negative_BK=keep_cross, within_is_negative_BK=keep_same,
    )  # fmt: skip
    for n in range(3):
        positive = sim(query[n], key[n], 0.2)
        below = positive + sum(sim(query[n], cross[m], 0.2) for m in range(5) if keep_cross[n, m])
        if within:
            below += sum(sim(query[n], same[m], 0.2) for m in range(6) if keep_same[n, m])
        assert float(got[n]) == pytest.approx(-math.log(positive / below))


def test_gradients():
    parts = [unit(2, 3, seed=s).requires_grad_() for s in range(4)]
    assert torch.autograd.gradcheck(lambda q, k, c, w: contrastive(q, k, c, w, temperature=0.5), parts)
    maps = torch.rand(2, 3, 3, dtype=torch.float64), torch.rand(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: attention_consistency(maps[0], g), maps[1])


def make_output(count, dimensions=4):
    def stream(seed):
        empty = torch.zeros(count, 1)
        return Stream(empty, empty, empty, unit(count, dimensions, seed=seed), empty)

    maps = [torch.rand(count, 2, 3, 3, dtype=torch.float64) for _ in range(2)]
    maps += [torch.rand(count, 4, 5, dtype=torch.float64) for _ in range(2)]
    return Output(stream(0), stream(1), Attention(*maps))


@pytest.mark.parametrize("within", [True, False])
def test_equation_8_with_two_rows_of_one_video(within):
    out, videos = make_output(4), torch.tensor([7, 8, 7, 9])
    losses = in_batch_objective(out, videos, weight=1.5, temperature=0.1, within_modal=within)
    expected = 0.0
    for one, other in ((out.visual.embedding, out.audio.embedding), (out.audio.embedding, out.visual.embedding)):
        for n in range(4):
            others = [m for m in range(4) if videos[m] != videos[n]]
            positive = sim(one[n], other[n], 0.1)
            below = positive + sum(sim(one[n], other[m], 0.1) for m in others)
            if within:
                below += sum(sim(one[n], one[m], 0.1) for m in others)
            expected += -math.log(positive / below) / 4
    consistency = float(attention_consistency(out.attention[0], out.attention[1].float()))
    consistency += float(attention_consistency(out.attention[2], out.attention[3].float()))
    assert float(losses.contrastive) == pytest.approx(expected, rel=1e-6)
    assert float(losses.total) == pytest.approx(expected + 1.5 * consistency, rel=1e-5)


def test_accuracy_within_the_batch():
    out = make_output(5)
    same = out._replace(audio=out.visual)
    assert float(in_batch_objective(same, torch.arange(5)).accuracy) == 1.0


def test_wrong_calls():
    with pytest.raises(ValueError, match="differ in shape"):
        attention_consistency(torch.rand(2, 3), torch.rand(2, 4))
    with pytest.raises(ValueError, match="accepted are"):
        attention_consistency(torch.rand(2, 3), torch.rand(2, 3), reduction="max")
