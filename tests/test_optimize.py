"""The copy for inference against the network that it was made from."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from counting import counted
from making import CMAC_BASE, CMAC_NANO
from torch import nn

from cmac_hub import CMAC, CheckpointError, CMACConfig
from cmac_hub.encoders.packed import PackedConv
from cmac_hub.encoders.r2plus1d import R2Plus1DConfig
from cmac_hub.optimize import choose_dtype

SMALL_BASE = dataclasses.replace(
    CMAC_BASE,
    visual=dataclasses.replace(CMAC_BASE.visual, width=8, frames=4, size=48),
    audio=dataclasses.replace(CMAC_BASE.audio, width=8),
)
"""The paper's depths and strides."""

NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def trained(name: str) -> CMAC:
    """A released network, or the small one with norms that are not the identity."""
    if name != "base":
        return CMAC.from_pretrained(name)
    torch.manual_seed(0)
    network = CMAC(SMALL_BASE).eval()
    for module in network.modules():
        if isinstance(module, NORMS):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


def inputs(network: CMAC, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    size = network.config.visual.size
    smooth = F.interpolate(torch.rand(count * network.config.visual.frames, 3, 6, 8), (size, size + 32), mode="bicubic")
    frames = (255 * smooth.clamp(0, 1)).byte().unflatten(0, (count, -1)).permute(0, 1, 3, 4, 2)
    clips, spectrograms = network.prepare(frames, torch.randn(count, network.config.audio.sample_rate) / 5)
    return clips, spectrograms


@pytest.mark.parametrize("name", ["cmac-nano", "cmac-lite", "base"])
def test_in_fp32_maps_and_features_differ_by_rounding_alone(name):
    network = trained(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    fast = network.optimize_for_inference("float32")
    for encoder in (fast.visual_encoder, fast.audio_encoder):
        assert not any(isinstance(module, NORMS) for module in encoder.modules())
    clips, spectrograms = inputs(network)
    for ours, expected in zip(fast.attend(clips, spectrograms), network.attend(clips, spectrograms), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    with torch.no_grad():
        for ours, expected in (
            (fast.embed_visual(clips), network.embed_visual(clips)),
            (fast.embed_audio(spectrograms), network.embed_audio(spectrograms)),
        ):
            for one, other in zip(ours, expected, strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", ["cmac-nano", "cmac-lite", "base"])
def test_in_bf16_pooled_features_keep_their_direction(name):
    network = trained(name)
    fast = network.optimize_for_inference(torch.bfloat16)
    clips, spectrograms = inputs(network)
    with torch.no_grad():
        for ours, expected in (
            (fast.embed_visual(clips), network.embed_visual(clips)),
            (fast.embed_audio(spectrograms), network.embed_audio(spectrograms)),
        ):
            assert F.cosine_similarity(ours.features.float(), expected.features).min() >= 0.999
            assert ours.embedding.dtype == torch.float32
            assert F.cosine_similarity(ours.embedding, expected.embedding).min() >= 0.998
    for ours, expected in zip(fast.attend(clips, spectrograms), network.attend(clips, spectrograms), strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3, 1, 33, 47), (3, 3, 4, 70, 58), (1, 3, 8, 112, 112)])
def test_a_wide_encoder_of_any_size(dtype, shape):
    torch.manual_seed(0)
    network = CMAC(CMACConfig(visual=R2Plus1DConfig(depth=10, frames=4, size=32), audio=None, attention=None)).eval()
    fast = network.optimize_for_inference(dtype).visual_encoder
    fast.values_at_once = 2**18
    clips = torch.randn(shape)
    with torch.no_grad(), counted() as work:
        ours = fast(clips)
    assert (work.operators["_convolution_pointwise_"] > 0) == (dtype == torch.float32 and shape[-1] > 50)
    assert ("cat" in work.operators) == (shape[0] > 1)
    with torch.no_grad():
        expected = network.visual_encoder(clips)
    if dtype == torch.float32:
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    assert F.cosine_similarity(ours.float().flatten(1), expected.flatten(1)).min() >= 0.999


def test_large_clips_are_encoded_one_by_one():
    network = CMAC(CMACConfig(visual=R2Plus1DConfig(frames=16, size=112), audio=None, attention=None))
    encoder = network.optimize_for_inference("float32").visual_encoder
    assert network.visual_encoder.values_at_once == float("inf")
    assert encoder.together(torch.empty(4, 3, 16, 112, 112)) == 1
    assert encoder.together(torch.empty(4, 3, 8, 96, 96)) == 3
    assert encoder.together(torch.empty(4, 3, 4, 32, 32)) == 4


def test_a_network_in_training_mode_stays_in_it_and_its_copy_is_not():
    network = CMAC(CMAC_NANO)
    fast = network.optimize_for_inference("float32")
    assert network.training and not any(module.training for module in fast.modules())
    assert all(tensor.requires_grad for tensor in network.parameters())


def test_files_go_through_it(clip):
    network = CMAC.from_pretrained("cmac-nano")
    expected = network.extract_features(clip)
    got = network.optimize_for_inference("float32").extract_features(clip)
    for name, tensor in expected.to_dict().items():
        torch.testing.assert_close(getattr(got, name), tensor, atol=1e-4, rtol=1e-4)


def test_it_is_not_saved(tmp_path):
    fast = CMAC.from_pretrained("cmac-nano").optimize_for_inference()
    with pytest.raises(CheckpointError, match=r"copy for inference.*save the network"):
        fast.save_pretrained(tmp_path / "fast")


@pytest.mark.parametrize("dtype", ["half", torch.float16, None])
def test_other_types_are_refused(dtype):
    with pytest.raises(ValueError, match=r"dtype is .*; accepted are auto, float32, bfloat16"):
        choose_dtype(dtype, torch.device("cpu"))


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_auto_is_bf16_where_the_processor_multiplies_in_it(monkeypatch, name):
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {name: has})
        assert choose_dtype("auto", torch.device("cpu")) == (torch.bfloat16 if has else torch.float32)


class Fickle(nn.Module):
    """An encoder that gives something else each time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.conv = channels, nn.Conv2d(3, channels, 3)

    def forward(self, clips_BCTHW):
        return self.conv(clips_BCTHW[:, :, 0])[:, :, None] + torch.randn(()) * 10


def test_an_encoder_that_cannot_be_packed_stays_and_that_is_said():
    torch.manual_seed(0)
    network = CMAC(CMAC_NANO).eval()
    network.visual_encoder = Fickle(network.channels("visual"))
    with pytest.warns(UserWarning, match=r"visual encoder .* cannot be packed"):
        fast = network.optimize_for_inference("float32")
    assert not any(isinstance(module, PackedConv) for module in fast.visual_encoder.modules())
    assert any(isinstance(module, PackedConv) for module in fast.audio_encoder.modules())


def test_a_network_of_one_encoder():
    fast = CMAC(CMACConfig(visual=R2Plus1DConfig(width=4, frames=2, size=32), audio=None, attention=None))
    assert fast.optimize_for_inference("float32").audio_encoder is None


@pytest.mark.parametrize("part", ["visual_encoder.stem.0", "audio_encoder.stem.0", "visual_transform"])
def test_weights_that_are_computed_become_plain_ones(part):
    network = trained("base")
    module = next(one for one in network.get_submodule(part).modules() if hasattr(one, "weight"))
    nn.utils.parametrizations.weight_norm(module)
    fast = network.optimize_for_inference(torch.float32)
    clips, spectrograms = torch.randn(1, 3, 4, 48, 48), torch.randn(1, 1, 257, 40)
    expected, found = network.attend(clips, spectrograms), fast.attend(clips, spectrograms)
    torch.testing.assert_close(found.visual_guidance, expected.visual_guidance, atol=1e-4, rtol=1e-4)
    assert any("parametrizations" in name for name, _ in network.named_parameters()), "the network itself stays"
