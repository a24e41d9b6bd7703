"""Padded planes and maps computed twice: the same outputs, gradients and statistics, under the same names."""

from __future__ import annotations

import copy
import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from cmac_hub.encoders import R2Plus1D, R2Plus1DConfig


class Pass(NamedTuple):
    """Forward and backward."""

    output: Tensor
    gradients: dict[str, Tensor]
    state: dict[str, Tensor]
    kept: int
    """Bytes for the backward pass."""


def kept_bytes(encoder: nn.Module, clips: Tensor) -> tuple[Tensor, int]:
    weights = {p.untyped_storage()._cdata for p in encoder.parameters()}
    kept: dict[int, int] = {}

    def keep(values: Tensor) -> Tensor:
        if values.untyped_storage()._cdata not in weights:
            kept[values.untyped_storage()._cdata] = values.untyped_storage().nbytes()
        return values

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
        output = encoder(clips)
    return output, sum(kept.values())


def run(encoder: R2Plus1D, clips: Tensor, compiled: bool | str = False) -> Pass:
    encoder = copy.deepcopy(encoder)
    if compiled:
        encoder.compile(backend=compiled, dynamic=False, fullgraph=True)
    output, kept = kept_bytes(encoder, clips)
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    gradients = {name: p.grad for name, p in encoder.named_parameters()}
    return Pass(output.detach(), gradients, dict(encoder.state_dict()), kept)


def make(depth: int = 18, frames: int = 8) -> tuple[R2Plus1D, Tensor]:
    torch.manual_seed(0)
    encoder = R2Plus1D(R2Plus1DConfig(width=4, depth=depth)).double().train()
    return encoder, torch.randn(2, 3, frames, 32, 32, dtype=torch.float64)


def assert_same(one: Pass, other: Pass) -> None:
    for name in ("output", "gradients", "state"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9)
    assert list(one.state) == list(other.state), "in their order, too"


class Planes(TorchDispatchMode):
    """Notes the channels that convolutions take and give."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.convolution.default:
            self.seen |= {args[1].shape[0], args[1].shape[1]}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("multiple", [8, 16])
def test_padded_planes_change_nothing(multiple, frozen):
    encoder, clips = make()
    for module in encoder.modules() if frozen else ():
        if isinstance(module, nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_mean)
            module.eval()
    plain = run(encoder, clips)
    encoder.train_lean(multiple=multiple)
    with Planes() as planes:
        assert_same(run(encoder, clips), plain)
    # The blocks' own widths are 4 to 32; the three channels of clips become 16.
    assert {n for n in planes.seen if n % multiple} <= {4, 8}
    with Planes() as planes, torch.no_grad():
        encoder.eval()(clips)
    assert {n for n in planes.seen if n % 8} > {3, 4}, "in eval mode nothing is padded"


def test_computing_twice_keeps_less_and_counts_a_batch_once():
    encoder, clips = make()
    plain = run(encoder, clips)
    encoder.train_lean(checkpointing=True)
    lean = run(encoder, clips)
    for name in ("output", "gradients", "state"):
        torch.testing.assert_close(getattr(lean, name), getattr(plain, name), rtol=0, atol=0)
    assert {int(n) for name, n in lean.state.items() if name.endswith("tracked")} == {1}
    assert lean.kept < plain.kept / 2
    again, kept = kept_bytes(encoder.eval(), clips)
    assert kept > lean.kept, "in eval mode maps are kept as ever"
    with torch.no_grad():
        torch.testing.assert_close(encoder.train()(clips), lean.output, rtol=0, atol=0)
    assert again.shape == lean.output.shape


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.extras)])
def test_compiled_whole_it_gives_the_same(backend):
    """In one graph (`fullgraph`); "inductor" needs a compiler and a minute."""
    encoder, clips = make(depth=10, frames=4)
    plain = run(encoder, clips)
    options = [(16, True)] if backend == "aot_eager" else list(itertools.product((1, 16), (False, True)))
    for multiple, checkpointing in options:
        encoder.train_lean(multiple=multiple, checkpointing=checkpointing)
        assert_same(run(encoder, clips, backend), plain)


def test_the_papers_batch_keeps_a_third():
    """Bytes of the maps in bfloat16, without computing them: 32 frames of 128 pixels, 128 clips."""
    found = {}
    for checkpointing in (False, True):
        with FakeTensorMode(), torch.autocast("cpu", torch.bfloat16):
            encoder = R2Plus1D().train()
            encoder.train_lean(multiple=16, checkpointing=checkpointing)
            found[checkpointing] = kept_bytes(encoder, torch.empty(128, 32, 128, 128, 3).permute(0, 4, 1, 2, 3))[1]
    plain, lean = (found[key] / 2**30 for key in (False, True))
    assert 70 < plain < 90
    assert lean < plain / 2.9


def test_batch_norms_take_and_give_bfloat16():
    """Of all maps the clip alone is cast; batch norms work on bfloat16 and compute their statistics in fp32 inside."""
    casts, norms = [], set()

    class Casts(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function is torch.ops.aten._to_copy.default and args[0].shape[0] in (3, 3 * 8):
                casts.append(args[0].shape)
            if "batch_norm" in function.name():
                norms.add((args[0].dtype, result[0].dtype))
            return result

    encoder = R2Plus1D(R2Plus1DConfig(width=4))
    with Casts():
        with torch.autocast("cpu", torch.bfloat16):
            output = encoder(torch.randn(3, 3, 8, 32, 32))
        output.backward(torch.ones_like(output))
    assert casts == [(3 * 8, 3, 32, 32)]
    assert norms == {(torch.bfloat16, torch.bfloat16)}
