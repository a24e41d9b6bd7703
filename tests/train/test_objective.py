"""Eq. 6, 7, 8 in fp64 against slow loops written from the paper."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from cmac_hub.outputs import Attention, Output, Stream
from cmac_hub.train.objective import Keys, Negatives, ObjectiveSettings, attention_consistency, contrastive, objective


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
    query, key, cross, same = unit(3, 4), unit(3, 4, seed=1), unit(5, 4, seed=2), unit(5, 4, seed=3)
    keep = torch.rand(3, 5, generator=torch.Generator().manual_seed(4)) > 0.3
    got = contrastive(query, key, cross, same if within else None, temperature=0.2, is_negative_BK=keep)
    for n in range(3):
        positive = sim(query[n], key[n], 0.2)
        below = positive + sum(sim(query[n], cross[m], 0.2) for m in range(5) if keep[n, m])
        if within:
            below += sum(sim(query[n], same[m], 0.2) for m in range(5) if keep[n, m])
        assert float(got[n]) == pytest.approx(-math.log(positive / below))


def test_gradients():
    parts = [unit(2, 3, seed=s).requires_grad_() for s in range(4)]
    assert torch.autograd.gradcheck(lambda q, k, c, w: contrastive(q, k, c, w, temperature=0.5), parts)
    maps = torch.rand(2, 3, 3, dtype=torch.float64), torch.rand(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: attention_consistency(maps[0], g), maps[1])


def make_output(count, dimensions=4):
    def stream(seed):
        empty = torch.zeros(count, 1)
        return Stream(empty, empty, empty, unit(count, dimensions, seed=seed))

    generator = torch.Generator().manual_seed(2)
    maps = {
        name: torch.rand(count, *shape, dtype=torch.float64, generator=generator)
        for name, shape in (
            ("visual_guidance", (2, 3, 3)),
            ("visual_prediction", (2, 3, 3)),
            ("audio_guidance", (4, 5)),
            ("audio_prediction", (4, 5)),
        )
    }
    return Output(stream(0), stream(1), Attention(**maps))


def slow_objective(out, videos, keys, negatives, tau, cross_modal, within_negatives, within_positives):
    """L_cl written from Eq. 7 and Table 3, query by query."""
    count, total = len(videos), 0.0
    own = {"v": out.visual.embedding, "a": out.audio.embedding}
    key = {"v": keys.visual, "a": keys.audio}
    negative = {"v": negatives.visual, "a": negatives.audio}
    for mine, other in (("v", "a"), ("a", "v")):
        for n in range(count):
            rivals = [m for m in range(len(negatives.video)) if negatives.video[m] not in (-1, videos[n])]
            partner = n + 1 if n % 2 == 0 else n - 1
            below = 0.0
            if cross_modal:
                below += sum(sim(own[mine][n], negative[other][m], tau) for m in rivals)
            if within_negatives or not cross_modal:
                below += sum(sim(own[mine][n], negative[mine][m], tau) for m in rivals)
            positives = []
            if cross_modal:
                positives.append(sim(own[mine][n], key[other][n], tau))
            if within_positives or not cross_modal:
                positives.append(sim(own[mine][n], key[mine][partner], tau))
            total += sum(-math.log(p / (p + below)) for p in positives) / len(positives) / count
    return total


def slow_accuracy(out, videos, keys, negatives, cross_modal):
    """Share of the pictures that are nearer to their sound, or to the video's other picture, than to all negatives."""
    right = 0
    for n, query in enumerate(out.visual.embedding):
        partner = n + 1 if n % 2 == 0 else n - 1
        key = keys.audio[n] if cross_modal else keys.visual[partner]
        rows = negatives.audio if cross_modal else negatives.visual
        rivals = [sim(query, rows[m], 1) for m in range(len(rows)) if negatives.video[m] not in (-1, videos[n])]
        right += sim(query, key, 1) > max(rivals)
    return right / len(videos)


@pytest.mark.parametrize("detach_target", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("where", ["batch", "bank"])
@pytest.mark.parametrize("within_positives", [True, False])
@pytest.mark.parametrize("within_negatives", [True, False])
@pytest.mark.parametrize("cross_modal", [True, False])
def test_equation_8_and_its_alternatives(
    cross_modal, within_negatives, within_positives, where, reduction, detach_target
):
    out, videos = make_output(8), torch.tensor([7, 7, 8, 8, 9, 9, 10, 10])
    keys = negatives = None
    if where == "bank":
        keys = Keys(unit(8, 4, seed=5), unit(8, 4, seed=6))
        negatives = Negatives(unit(6, 4, seed=7), unit(6, 4, seed=8), torch.tensor([1, 7, -1, 8, 2, -1]))
    how = {
        "cross_modal": cross_modal,
        "within_negatives": within_negatives,
        "within_positives": within_positives,
    }
    guidance_v, prediction_v, guidance_a, prediction_a = (
        one.requires_grad_() for one in out.attention if one is not None
    )
    losses = objective(
        out,
        videos,
        ObjectiveSettings(temperature=0.1, reduction=reduction, detach_target=detach_target, **how),
        keys=keys,
        negatives=negatives,
    )
    own = Keys(out.visual.embedding, out.audio.embedding)
    keys, negatives = keys or own, negatives or Negatives(*own, videos)
    expected = slow_objective(out, videos, keys, negatives, 0.1, **how)
    consistency = attention_consistency(guidance_v, prediction_v.float(), reduction=reduction).item()
    consistency += attention_consistency(guidance_a, prediction_a.float(), reduction=reduction).item()
    assert float(losses.contrastive) == pytest.approx(expected, rel=1e-6)
    assert losses.total.item() == pytest.approx(expected + 1.5 * consistency, rel=1e-5)
    assert float(losses.accuracy) == slow_accuracy(out, videos, keys, negatives, cross_modal)
    losses.total.backward()
    assert (guidance_v.grad is None) == (guidance_a.grad is None) == detach_target


def test_each_half_can_be_left_out():
    out, videos = make_output(4), torch.arange(4)
    whole = objective(out, videos)
    alone = objective(out, videos, ObjectiveSettings(consistency_weight=0.0))
    assert float(alone.total) == pytest.approx(float(whole.contrastive)) and float(alone.consistency) == 0
    attention = objective(out, videos, ObjectiveSettings(contrastive_weight=0.0))
    assert float(attention.total) == pytest.approx(1.5 * float(whole.consistency))


def test_accuracy_among_the_negatives():
    out = make_output(5)
    same = out._replace(audio=out.visual)
    assert float(objective(same, torch.arange(5)).accuracy) == 1.0
    own, wrong = out.visual.embedding, -out.visual.embedding
    rivals = Negatives(own, own, torch.arange(10, 15))
    assert float(objective(out, torch.arange(5), keys=Keys(wrong, wrong), negatives=rivals).accuracy) == 0.0


def test_within_positives_need_pairs_of_clips():
    with pytest.raises(ValueError, match="3 rows are not pairs"):
        objective(make_output(3), torch.arange(3), ObjectiveSettings(within_positives=True))


def test_wrong_calls():
    with pytest.raises(ValueError, match="differ in shape"):
        attention_consistency(torch.rand(2, 3), torch.rand(2, 4))
    with pytest.raises(ValueError, match="accepted are"):
        attention_consistency(torch.rand(2, 3), torch.rand(2, 3), reduction="max")
