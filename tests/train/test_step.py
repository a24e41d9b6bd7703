"""What a step asks of host and device: no number is looked at before the backward pass is under way."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cmac_hub.train.distributed import World
from cmac_hub.train.later import Later, send
from cmac_hub.train.modules import make_modules
from cmac_hub.train.pretrain import open_source
from cmac_hub.train.runlog import FIGURES
from cmac_hub.train.step import Done, share, take_step
from cmac_hub.train.stream import PairStream

WAITS = {"_local_scalar_dense", "is_nonzero", "nonzero", "item", "equal", "masked_select", "unique", "lift_fresh"}
"""Operators that bring numbers of a device to the host, or (the last) a list of the host to the device."""


class Operators(TorchDispatchMode):
    """Counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.counts[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))

    def waits(self) -> dict[str, int]:
        return {name: count for name, count in self.counts.items() if name in WAITS}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "padded_planes": 16, "checkpointing": True},
        {"bank": 0, "mil_weight": 1.0, "scales": 3},
    ],
)
def test_no_step_waits_for_a_number(recipe, changes):
    # AdamW counts its steps on the host, and sounds are mixed there.
    recipe = recipe.replace(optimizer="sgd", **changes)
    made = make_modules(recipe, None, World())
    batches = iter(PairStream(open_source(recipe, None), recipe).loader())
    ready = [next(batches) for _ in range(2 * recipe.accumulate)]
    weights = [p.detach().clone() for p in made.model.parameters()]
    checked = []

    def check(loss, batch, number):
        """The backward pass is under way, no weight has changed."""
        assert all(torch.equal(p, before) for p, before in zip(made.model.parameters(), weights, strict=True))
        assert any(p.grad is not None for p in made.model.parameters())
        assert batch is ready[len(checked)] and torch.isfinite(loss)
        checked.append(number)

    # The first step fills what is kept for later ones.
    take_step(recipe, made, made.model, iter(ready), World(), 0, 0.0, check)
    del checked[:], ready[: recipe.accumulate]
    weights = [p.detach().clone() for p in made.model.parameters()]
    with Operators() as operators:
        done = take_step(recipe, made, made.model, iter(ready), World(), 1, 0.1, lambda *_: None)
    assert operators.waits() == {}
    assert operators.counts["convolution"] > 10 and set(done.figures) == set(FIGURES)
    assert not all(torch.equal(p, before) for p, before in zip(made.model.parameters(), weights, strict=True))


def test_the_counts_see_what_makes_a_host_wait():
    values = torch.tensor([1.0, 2.0])
    with Operators() as operators:
        _ = bool(values.sum() > 0), torch.tensor([3.0])
    assert set(operators.waits()) >= {"_local_scalar_dense", "lift_fresh"}


def test_numbers_that_come_later_are_those_of_now():
    values = torch.tensor([1.5, 2.0], dtype=torch.float64, requires_grad=True)
    later = Later(values)
    with torch.no_grad():
        values.zero_()
    assert later.read().tolist() == [1.5, 2.0] and later.read().dtype == torch.float32
    assert not later.read().requires_grad
    assert send(values, torch.device("cpu")) is values


def test_one_process_knows_what_it_shares():
    done = Done({"loss": torch.tensor(1.0)}, 3, 0.5)
    for stop in (False, True):
        shared = share(done, stop, World())
        assert shared.figures is done.figures and shared.replaced == 3
        assert shared.told.read().tolist() == [3, stop]
