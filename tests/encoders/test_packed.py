"""Packed convolutions against the sums they stand for; which modules are found to follow each other."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cmac_hub.encoders.efficientnet_lite import SameConv
from cmac_hub.encoders.packed import Chain, PackedConv, fold
from cmac_hub.encoders.packing import follow, pack
from cmac_hub.encoders.planes import PointConv, SpatialConv, TemporalConv, kernel_of

KINDS = {
    "space": (lambda: SpatialConv(4, 6, 3, 2), (2, 4, 3, 9, 8)),
    "time": (lambda: TemporalConv(4, 6, 2), (2, 4, 5, 3, 4)),
    "point": (lambda: PointConv(4, 6, (2, 1, 2)), (2, 4, 5, 6, 7)),
    "same": (lambda: SameConv(4, 8, 5, 2, groups=4), (2, 4, 9, 12)),
    "same, even": (lambda: SameConv(4, 8, 3, 2, groups=4), (2, 4, 8, 11)),
    "same, stride 1": (lambda: SameConv(4, 8, 3), (2, 4, 8, 11)),
    "plain": (lambda: nn.Conv2d(4, 6, 3, 2, 1), (2, 4, 9, 12)),
}


def norm_of(axes: int, channels: int) -> nn.Module:
    norm = (nn.BatchNorm3d if axes == 3 else nn.BatchNorm2d)(channels, eps=1e-2)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.2, 3)
    return norm.eval()


@pytest.mark.parametrize("kind", ["same, even", "plain"])
def test_another_thread_may_lay_out_for_another_size_meanwhile(kind, monkeypatch):
    torch.manual_seed(0)
    make, shape = KINDS[kind]
    packed = PackedConv(Chain(make(), None, None), torch.float32)
    one, other = torch.randn(shape), torch.randn(*shape[:2], shape[2] + 1, shape[3] + 1)
    with torch.no_grad():
        expected, different = packed(one), packed(other)
        convert, between = torch.Tensor.to, []

        def slow(tensor, *how):
            # Weights are laid out by now: the other thread's turn.
            if tensor.shape == one.shape and not between:
                between.append(None)
                between.append(packed(other))
            return convert(tensor, *how)

        monkeypatch.setattr(torch.Tensor, "to", slow)
        torch.testing.assert_close(packed(one), expected)
    torch.testing.assert_close(between[1], different)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.ReLU6()])
@pytest.mark.parametrize("normed", [True, False])
def test_a_packed_chain_gives_what_its_modules_give_one_after_the_other(kind, activation, normed):
    torch.manual_seed(0)
    make, shape = KINDS[kind]
    conv, x = make(), torch.randn(shape)
    with torch.no_grad():
        expected = conv(x)
        norm = norm_of(len(shape) - 2, expected.shape[1]) if normed else None
        if norm is not None:
            # Written out: the mean and the variance of training, not those of this input.
            stretch = [1, -1, *[1] * (expected.ndim - 2)]
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            expected = (expected - norm.running_mean.view(stretch)) * scale.view(stretch) + norm.bias.view(stretch)
        if activation is not None:
            expected = expected.clamp(0, 6 if isinstance(activation, nn.ReLU6) else None)
        packed = PackedConv(Chain(conv, norm, activation), torch.float32)
        for _ in range(2):
            torch.testing.assert_close(packed(x), expected, atol=1e-5, rtol=1e-5)
        assert packed(x.bfloat16()).dtype == torch.float32
        empty = packed(x[:0])
    assert empty.shape == (0, *expected.shape[1:])


def test_a_packed_convolution_takes_any_size_after_the_first():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
    plain = copy.deepcopy(conv)
    packed = PackedConv(Chain(conv, None, None), torch.float32)
    with torch.no_grad():
        for shape in ((1, 3, 8, 8), (4, 3, 33, 17), (2, 3, 5, 64)):
            x = torch.randn(shape)
            torch.testing.assert_close(packed(x), plain(x), atol=1e-5, rtol=1e-5)


def test_it_can_be_copied_pickled_and_moved_after_it_ran():
    torch.manual_seed(0)
    packed = PackedConv(Chain(nn.Conv2d(3, 8, 3), None, nn.ReLU()), torch.float32)
    x = torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        expected = packed(x)
        for other in (
            copy.deepcopy(packed),
            pickle.loads(pickle.dumps(packed)),
            copy.deepcopy(packed).double().float(),
        ):
            torch.testing.assert_close(other(x), expected)


def test_gradients_reach_its_input():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3)
    plain = copy.deepcopy(conv)
    packed = PackedConv(Chain(conv, None, nn.ReLU()), torch.float32)
    one, two = (torch.ones(1, 3, 9, 9, requires_grad=True) for _ in range(2))
    packed(one).sum().backward()
    F.relu(plain(two)).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    assert not any(tensor.requires_grad for tensor in packed.parameters())


def test_folding_is_done_in_double_precision():
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0).eval()
    with torch.no_grad():
        conv.weight.fill_(3)
        norm.weight.fill_(2), norm.bias.fill_(1), norm.running_mean.fill_(5), norm.running_var.fill_(16)
    weight, bias = fold(conv, norm)
    assert (weight.dtype, weight.item(), bias.item()) == (torch.float64, 1.5, -1.5)


@pytest.mark.parametrize("inference", [False, True])
def test_what_was_written_to_in_between_is_no_chain(inference):
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.relu(self.norm(self.conv(x)).add_(x))

    network = Residual().eval()
    with torch.inference_mode(inference):
        assert follow(network, torch.randn(1, 3, 4, 4)) == [Chain(network.conv, network.norm, None)]


class Odd(nn.Module):
    """Chains, and what is none."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.relu = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.twice = nn.Conv2d(4, 4, 1)
        self.bare, self.apart = nn.Conv2d(4, 4, 1), nn.ReLU()
        self.other = nn.Conv2d(4, 4, 3, padding="same")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.first(x)))
        x = self.twice(self.twice(x))
        return self.other(self.apart(2 * self.bare(x)))


def test_only_what_directly_follows_is_a_chain():
    torch.manual_seed(0)
    odd = Odd().eval()
    x = torch.randn(2, 3, 5, 5)
    found = follow(odd, x)
    assert found == [Chain(odd.first, odd.norm, odd.relu), Chain(odd.bare, None, None)]
    with torch.no_grad():
        expected = odd(x)
        pack(odd, x, torch.float32)
        torch.testing.assert_close(odd(x), expected, atol=1e-5, rtol=1e-5)
    assert isinstance(odd.first, PackedConv) and isinstance(odd.norm, nn.Identity) and isinstance(odd.relu, nn.Identity)
    assert isinstance(odd.apart, nn.ReLU) and type(odd.twice) is nn.Conv2d
    assert kernel_of(odd.other) is None


def test_parts_that_are_named_exact_stay_in_fp32():
    class Careful(nn.Sequential):
        exact = ("0",)

    network = Careful(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)).eval()
    pack(network, torch.randn(1, 3, 4, 4), torch.bfloat16)
    assert [tensor.dtype for tensor in network.parameters()] == [torch.float32] * 2 + [torch.bfloat16] * 2
    with torch.no_grad():
        assert network(torch.randn(1, 3, 4, 4)).dtype == torch.bfloat16
