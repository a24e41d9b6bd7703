"""Settings of how a network is computed: the same run with and without them, and resumed from one with the other."""

from __future__ import annotations

import csv

import pytest
import torch
from torch._dynamo.utils import counters

from cmac_hub.errors import CMACError
from cmac_hub.train import modules
from cmac_hub.train import pretrain as pretraining
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.distributed import World
from cmac_hub.train.estimate import estimate
from cmac_hub.train.modules import make_modules
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import RecipeError

LEAN = {"padded_planes": 16, "checkpointing": True, "compile": True}


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Traced as with a compiler, computed by PyTorch's own kernels. It would count a batch twice where maps are
    computed twice, which compilers do not: `tests/encoders/test_lean.py`."""
    monkeypatch.setattr(modules, "BACKEND", "eager")


def rows_of(run):
    with (run / "log.csv").open() as file:
        return [[float(row[name]) for name in ("step", "loss", "accuracy", "spread")] for row in csv.DictReader(file)]


def compiled_modules(network):
    return [name for name, module in network.named_modules() if module._compiled_call_impl is not None]


def test_a_run_with_settings_is_the_run_without_them_and_goes_on_with_others(recipe, tmp_path):
    recipe = recipe.replace(steps=4, decay_steps=1, checkpoint_every=2, keep=9, log_every=1, accumulate=2, bf16=False)
    plain = pretrain(recipe, None, tmp_path / "plain", progress=False)
    lean = recipe.replace(padded_planes=16, compile=True)
    torch._dynamo.reset()
    counters.clear()
    trained = pretrain(lean, None, tmp_path / "lean", progress=False)
    # Two encoders, with gradients and, for the momentum network, without: each whole, and never compiled again.
    assert counters["stats"]["unique_graphs"] == counters["frames"]["total"] == 4 and not counters["graph_break"]
    assert compiled_modules(trained) == ["visual_encoder", "audio_encoder"]
    one, other = (read_checkpoint(tmp_path / run) for run in ("plain", "lean"))
    for part in ("model", "momentum", "bank"):
        assert list(one[part]) == list(other[part])
        torch.testing.assert_close(one[part], other[part], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(one["optimizer"]["state"], other["optimizer"]["state"], atol=1e-4, rtol=1e-2)

    # From step 2 on, the plain run goes on with others, and the lean one without.
    for run, begun in (("plain", recipe.replace(padded_planes=8, checkpointing=True)), ("lean", recipe)):
        (tmp_path / run / "checkpoints" / "step_00000004.pt").unlink()
        resumed = pretrain(begun, None, tmp_path / run, progress=False, resume=True)
        torch.testing.assert_close(resumed.state_dict(), plain.state_dict(), atol=1e-4, rtol=1e-3)
    rows = torch.tensor(rows_of(tmp_path / "plain"))
    assert rows[:, 0].tolist() == [1, 2, 3, 4] and len({*rows[:, 1].tolist()}) == 4
    torch.testing.assert_close(torch.tensor(rows_of(tmp_path / "lean")), rows, atol=2e-3, rtol=1e-3)


def test_computing_maps_twice_gives_the_same_run_bit_by_bit(recipe, tmp_path):
    recipe = recipe.replace(steps=2, warmup_steps=1, decay_steps=0)
    one = pretrain(recipe, None, tmp_path / "plain", progress=False)
    other = pretrain(recipe.replace(checkpointing=True), None, tmp_path / "lean", progress=False)
    torch.testing.assert_close(one.state_dict(), other.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("fused", [True, False])
def test_all_settings_reach_the_momentum_network(recipe, monkeypatch, fused):
    monkeypatch.setattr(modules, "can_fuse", lambda device: True)
    made = make_modules(recipe.replace(**LEAN, fused_norms=fused), None, World())
    for network in (made.model, made.momentum.network):
        for part in (network.visual_encoder.stem, network.visual_encoder.layer1[0], network.audio_encoder.stem):
            assert part.fused == fused
        assert compiled_modules(network) == ["visual_encoder", "audio_encoder"]
        assert network.visual_encoder.layer1[0].conv1[0].multiple == network.visual_encoder.stem.multiple == 16
    assert made.model.visual_encoder._computed_twice


def test_norms_are_fused_in_all_processes_or_in_none(recipe, monkeypatch):
    monkeypatch.setattr(modules, "can_fuse", lambda device: True)
    for elsewhere in (True, False):
        monkeypatch.setattr(World, "any", lambda self, flag, elsewhere=elsewhere: flag or not elsewhere)
        made = make_modules(recipe.replace(fused_norms=True), None, World())
        assert made.model.visual_encoder.stem.fused == elsewhere


def test_another_encoder_than_r2plus1d_refuses_what_it_cannot(recipe):
    lite = recipe.replace(architecture="cmac-lite", bank=0)
    with pytest.raises(RecipeError, match=r"'checkpointing' is .* of 'cmac-lite' is a FrameNetwork; leave it out"):
        make_modules(lite.replace(checkpointing=True), None, World())
    # It has no planes to pad: kinetics400, which pads them, takes any architecture.
    make_modules(lite.replace(compile=True, padded_planes=16), None, World())


def test_cudnn_tries_its_algorithms_in_training_alone(recipe, tmp_path, monkeypatch):
    before, seen = torch.backends.cudnn.benchmark, []
    step = pretraining.take_step
    monkeypatch.setattr(
        pretraining, "take_step", lambda *args: seen.append(torch.backends.cudnn.benchmark) or step(*args)
    )
    pretrain(recipe.replace(steps=2, warmup_steps=1, decay_steps=0), None, tmp_path, progress=False)
    assert seen == [True, True] and torch.backends.cudnn.benchmark == before


def test_a_compiler_that_fails_is_one_line(recipe, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no compiler\nhere")

    monkeypatch.setattr(modules, "BACKEND", fail)
    before = torch.backends.cudnn.benchmark
    with pytest.raises(
        CMACError, match=r"torch\.compile failed \(.*no compiler\); go on without it: --set compile=fal"
    ):
        pretrain(recipe.replace(compile=True), None, tmp_path, progress=False)
    assert torch.backends.cudnn.benchmark == before


def test_a_dry_run_counts_what_is_kept(recipe):
    recipe = recipe.replace(architecture="cmac-nano", size=96, batch=2)
    plain, twice = (estimate(recipe.replace(checkpointing=on)).clip_bytes for on in (False, True))
    assert twice < 0.8 * plain


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_an_optimizer_of_a_gpu_goes_on_on_a_cpu(recipe, optimizer):
    """A GPU's updates all weights in one kernel, and says so in its checkpoint."""
    made = make_modules(recipe.replace(optimizer=optimizer), None, World())
    sum(p.sum() for p in made.model.parameters()).backward()
    made.optimizer.step()
    state = made.snapshot(recipe, 1, {})
    for group in state["optimizer"]["param_groups"]:
        assert group["fused"] is None
        group["fused"] = True
    other = make_modules(recipe.replace(optimizer=optimizer), None, World())
    other.load(state)
    sum(p.sum() for p in other.model.parameters()).backward()
    for each in (made, other):
        each.optimizer.step()
        assert all(group["fused"] is None for group in each.optimizer.param_groups)
    one, two = (each.optimizer.state_dict()["state"] for each in (made, other))
    torch.testing.assert_close(one, two, atol=0, rtol=0)
