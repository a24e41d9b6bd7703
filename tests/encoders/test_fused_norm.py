"""Fused norms beside PyTorch's modules in float64. The kernels run in Triton's interpreter (`conftest.py`).

On a GPU `benchmarks/pretrain.py --variants` runs them; what was measured there stands in `benchmarks/README.md`.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from cmac_hub.encoders import R2Plus1D, R2Plus1DConfig, ResNet9, ResNet9Config, fused_norm, norm_kernels
from cmac_hub.encoders.lean import NormChain, set_fused


@pytest.fixture
def interpreted(monkeypatch):
    """The kernels on a CPU; counts how often a norm took them."""
    monkeypatch.setattr(fused_norm, "DEVICES", {"cpu"})
    taken = []
    apply = fused_norm._FusedNorm.apply
    monkeypatch.setattr(fused_norm._FusedNorm, "apply", lambda *args: taken.append(1) or apply(*args))
    return taken


def norm_of(channels: int) -> nn.BatchNorm3d:
    norm = nn.BatchNorm3d(channels, momentum=0.3)
    nn.init.uniform_(norm.weight, -1.5, 1.5)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    return norm


def map_of(shape: tuple[int, ...], own: int, dtype: torch.dtype, mean: float) -> torch.Tensor:
    """With zeros beyond the norm's channels."""
    x = (torch.randn(shape) + mean).to(memory_format=torch.channels_last_3d).to(dtype)
    x[:, own:] = 0
    return x


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.detach().double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize(
    ("shape", "own", "dtype", "mean"),
    [
        ((2, 64, 3, 7, 5), 64, torch.float32, 0),
        ((2, 48, 3, 7, 5), 45, torch.bfloat16, 1),
        ((1, 3, 1, 2, 3), 3, torch.float32, 0),
        ((3, 144, 5, 11, 9), 144, torch.float16, 0),
        ((2, 1152, 2, 3, 1), 1152, torch.float32, 0),
        ((2, 16, 4, 6, 6), 16, torch.float32, 1000),
    ],
)
def test_it_is_norm_sum_and_relu(interpreted, shape, own, dtype, mean, summed, relu):
    torch.manual_seed(0)
    norm = norm_of(own)
    plain = copy.deepcopy(norm).double()
    x = map_of(shape, own, dtype, mean)
    other = map_of(shape, own, dtype, 0) if summed else None
    g = torch.randn(shape).to(dtype)
    inputs = [one.clone().requires_grad_() for one in (x, other) if one is not None]
    y = fused_norm.fused_norm(norm, *inputs, relu=relu)
    y.backward(g)

    wide = [one[:, :own].double().requires_grad_() for one in (x, other) if one is not None]
    expected = plain(wide[0])
    if summed:
        expected = expected + wide[1]
    if relu:
        # Where rounding decides on which side of 0 a value lies, take the side that was taken.
        assert bool(((expected.relu() - y[:, :own]).abs() < 0.02 * (1 + expected.abs())).all())
        expected = expected * (y[:, :own] > 0)
    expected.backward(g[:, :own].double())

    rough = 2e-3 if mean else 1e-5
    tolerance = {torch.float32: rough, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    assert relative(y[:, :own], expected.detach()) < tolerance
    for mine, theirs in zip(inputs, wide, strict=True):
        assert mine.grad is not None and theirs.grad is not None and mine.grad.dtype == dtype
        assert relative(mine.grad[:, :own], theirs.grad) < tolerance
    assert not inputs[0].grad[:, own:].any()
    assert not y[:, own:].any() and y.dtype == dtype
    for name, value in norm.named_parameters():
        torch.testing.assert_close(value.grad.double(), plain.get_parameter(name).grad, rtol=2e-3, atol=2e-3)
    for name, value in norm.named_buffers():
        torch.testing.assert_close(value.double(), plain.get_buffer(name).double(), rtol=1e-5, atol=1e-6)
    assert len(interpreted) == 1


def test_any_layout_is_taken(interpreted):
    norm = norm_of(8)
    twin = copy.deepcopy(norm)
    x = torch.randn(2, 3, 5, 4, 8).permute(0, 4, 2, 1, 3)
    found = fused_norm.fused_norm(norm, x)
    torch.testing.assert_close(found, twin(x).relu())
    flat = torch.randn(6, 8)
    torch.testing.assert_close(fused_norm.fused_norm(nn.BatchNorm1d(8), flat), nn.BatchNorm1d(8)(flat).relu())


@pytest.mark.parametrize("kind", ["visual", "audio"])
def test_an_encoder_gives_the_same(interpreted, kind):
    torch.manual_seed(0)
    if kind == "visual":
        encoder, x = R2Plus1D(R2Plus1DConfig(width=8, depth=10)), torch.randn(2, 3, 8, 24, 24)
        encoder.train_lean(multiple=16, checkpointing=True)
        norms = 2 + 4 * 4 + 3
    else:
        encoder, x = ResNet9(ResNet9Config(width=8)), torch.randn(2, 1, 40, 50)
        norms = 1 + 2 * 4 + 3
    plain = copy.deepcopy(encoder).double()
    set_fused(encoder, True)
    y, expected = encoder(x), plain(x.double())
    assert len(interpreted) == norms
    weights = torch.linspace(-1, 1, y.numel()).view_as(y)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    assert relative(y.detach(), expected.detach()) < 1e-4
    for name, parameter in encoder.named_parameters():
        assert relative(parameter.grad, plain.get_parameter(name).grad) < 1e-2, name
    for name, buffer in encoder.named_buffers():
        torch.testing.assert_close(buffer.double(), plain.get_buffer(name).double(), rtol=1e-4, atol=1e-5, msg=name)
    interpreted.clear()
    encoder.eval()(x)
    assert not interpreted, "inference is as ever"


def test_what_the_kernels_do_not_take_is_left_to_the_modules(monkeypatch):
    x, norm = torch.randn(2, 4, 3, 3), nn.BatchNorm2d(4)
    assert not fused_norm.is_fusible(norm, x), "a CPU"
    monkeypatch.setattr(fused_norm, "DEVICES", {"cpu"})
    assert fused_norm.is_fusible(norm, x)
    for other in (nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, momentum=None), nn.GroupNorm(2, 4)):
        assert not fused_norm.is_fusible(other, x)
    assert not fused_norm.is_fusible(nn.BatchNorm2d(4, track_running_stats=False), x)
    assert not fused_norm.is_fusible(norm, x.double())
    assert norm_kernels.LANES == fused_norm.MOST_CHANNELS < 4096
    assert not fused_norm.is_fusible(nn.BatchNorm1d(4096), torch.randn(2, 4096))
    assert not fused_norm.is_fusible(copy.deepcopy(norm).eval(), x)
    assert not fused_norm.is_fusible(norm, x[:1, :, :1, :1]), "one position, which PyTorch refuses"


def test_a_device_without_triton_is_told_from_one_where_it_fails(interpreted, monkeypatch, recwarn):
    assert fused_norm.can_fuse(torch.device("cpu"))
    assert not fused_norm.can_fuse(torch.device("meta"))

    def fail(*_):
        raise RuntimeError("Failed to find C compiler\nhere")

    monkeypatch.setattr(fused_norm._FusedNorm, "apply", fail)
    assert not recwarn.list
    with pytest.warns(
        UserWarning, match="^norms are not fused: Triton failed here .RuntimeError: Failed to find C comp"
    ):
        assert not fused_norm.can_fuse(torch.device("cpu"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not fused_norm.can_fuse(torch.device("cpu"))


def test_chains_fuse_what_follows_a_norm_alone(interpreted):
    x = torch.randn(2, 3, 4, 4)
    chain = NormChain(
        nn.Conv2d(3, 8, 1), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4), nn.ReLU()
    )
    plain = copy.deepcopy(chain)
    set_fused(chain, True)
    torch.testing.assert_close(chain(x), plain(x))
    assert len(interpreted) == 2
    wide = NormChain(nn.Conv2d(3, 10, 1), nn.BatchNorm2d(8))
    set_fused(wide, True)
    with pytest.raises(RuntimeError):
        wide(x)


def test_a_second_derivative_is_refused(interpreted):
    x = torch.randn(4, 3, requires_grad=True)
    loss = fused_norm.fused_norm(nn.BatchNorm1d(3), x).square().sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


PROCESS = """
import os

import torch
import torch.distributed as dist
from torch import nn

from cmac_hub.encoders import fused_norm

fused_norm.DEVICES = {"cpu"}
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
x, g = torch.randn(4, 6, 3, 5) + 2, torch.randn(4, 6, 3, 5)
plain = nn.BatchNorm2d(6)
nn.init.normal_(plain.weight)
norm = nn.SyncBatchNorm(6)
norm.load_state_dict(plain.state_dict())

whole = x.clone().requires_grad_()
expected = plain(whole).relu()
expected.backward(g)
own = slice(0, 3) if rank == 0 else slice(3, 4)
part = x[own].clone().requires_grad_()
y = fused_norm.fused_norm(norm, part)
y.backward(g[own])

torch.testing.assert_close(y, expected[own])
torch.testing.assert_close(part.grad, whole.grad[own])
torch.testing.assert_close(dict(norm.named_buffers()), dict(plain.named_buffers()))
for name in ("weight", "bias"):
    # Each process has its share, as with PyTorch's own; what trains the network sums them.
    total = getattr(norm, name).grad.clone()
    dist.all_reduce(total)
    torch.testing.assert_close(total, getattr(plain, name).grad)
dist.barrier()
dist.destroy_process_group()
print("same", flush=True)
# What PyTorch clears up at the end of such a process aborts it now and then.
os._exit(0)
"""


def test_the_batches_of_two_processes_count_together(tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("same") == 2, done.stderr[-2000:]
