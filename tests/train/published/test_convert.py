"""Published checkpoints, by their names and shapes, give what an independent network of theirs gives."""

import argparse
import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cmac_hub.errors import CheckpointError
from cmac_hub.hub import save_checkpoint
from cmac_hub.train.published.convert import convert, read_published, tell_differences
from cmac_hub.train.recipe import load_recipe
from cmac_hub.train.start import begin_with_parts

_SPEC = importlib.util.spec_from_file_location("references", Path(__file__).with_name("references.py"))
references = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(references)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory):
    """torchvision's file, its network, and the converted one."""
    torch.manual_seed(0)
    network, path = references.video(), tmp_path_factory.mktemp("published") / "r2plus1d_18.pth"
    torch.save(network.state_dict(), path)
    return path, network, convert("torchvision", path)


def close(found, expected):
    # Maps of random deep networks are large.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
def test_torchvision(kinetics):
    path, network, model = kinetics
    clips = torch.randn(2, 3, 6, 40, 32)
    close(model.visual_encoder(clips), references.trunk(network, clips))
    config = model.config
    assert config.audio is None and config.attention is None and config.license == "bsd-3-clause"
    made = config.training
    assert (made["origin"], made["file"]) == ("torchvision", path.name) and len(made["sha256"]) == 64


@torch.no_grad()
def test_gdt(tmp_path, capsys):
    video, audio = references.video(), references.audio()
    state = references.gdt_state(video, audio)
    assert {name: tuple(state[name].shape) for name in references.GDT_SHAPES} == references.GDT_SHAPES
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}, "epoch": 200}, tmp_path / "gdt.pth")
    model = convert("gdt", tmp_path / "gdt.pth")
    clips, spectrograms = torch.randn(1, 3, 4, 32, 40), torch.randn(2, 1, 40, 99)
    close(model.visual_encoder(clips), references.trunk(video, clips))
    close(model.audio_encoder(spectrograms), references.trunk(audio, spectrograms))
    tell_differences(model)
    assert capsys.readouterr().err.count("\n") == 1
    # Of HowTo100M: pictures and words.
    words = {k.replace("mlp_a", "mlp_t"): v for k, v in state.items() if not k.startswith("audio_network")}
    torch.save({**words, "text_network.fc1.weight": torch.zeros(2048, 300)}, tmp_path / "words.pth")
    model = convert("gdt", tmp_path / "words.pth")
    assert model.config.audio is None and "differs" not in model.config.training


@torch.no_grad()
def test_avid(tmp_path):
    state = references.avid_state()
    assert {name: tuple(state[name].shape) for name in references.AVID_SHAPES} == references.AVID_SHAPES
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}, "epoch": 20}, tmp_path / "checkpoint.pth.tar")
    model = convert("avid", tmp_path / "checkpoint.pth.tar")
    clips, spectrograms = torch.randn(1, 3, 8, 64, 48), torch.randn(2, 1, 65, 40)
    close(model.visual_encoder(clips), references.avid_video(state, clips))
    found = model.audio_encoder(spectrograms)
    close(found.transpose(2, 3), references.avid_audio(state, spectrograms.transpose(2, 3)))
    fast = model.optimize_for_inference("float32")
    close(fast.visual_encoder(clips).contiguous(), model.visual_encoder(clips).contiguous())


@torch.no_grad()
def test_xdc(tmp_path):
    network = references.xdc()
    state = {name: one for name, one in network.state_dict().items() if not name.startswith("fc.")}
    assert {name: tuple(state[name].shape) for name in references.XDC_SHAPES} == references.XDC_SHAPES
    save_file(state, tmp_path / "xdc.safetensors")
    model = convert("xdc", tmp_path / "xdc.safetensors")
    clips = torch.randn(1, 3, 4, 32, 40)
    close(model.visual_encoder(clips), references.trunk(network, clips))
    with pytest.raises(CheckpointError, match="is no checkpoint of torchvision"):
        convert("torchvision", tmp_path / "xdc.safetensors")


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer4.1.conv2.1.weight"), "missing visual_encoder.layer4.1.conv2.1.weight"),
        (lambda s: s.update({"layer9.weight": torch.zeros(1)}), "has the weight layer9.weight, which .* does not have"),
        (lambda s: s.update({"stem.0.weight": torch.zeros(45, 3, 1, 7, 5)}), r"stem\.0\.weight has shape"),
        (lambda s: s.update({"stem.1.weight": torch.full((45,), torch.nan)}), "NaN"),
        (lambda s: s.update(args=argparse.Namespace()), r"holds argparse\.Namespace .* weights_only=False"),
        (lambda s: s.update(args=Harmful()), r"holds \S*print beside the weights"),
        (lambda s: s.update(note="text"), "holds no weights by name, nor under model, state_dict"),
        (lambda s: [s.pop(name) for name in list(s) if not name.startswith("fc.")], "has no encoder of torchvision"),
    ],
)
def test_what_is_no_such_checkpoint_is_one_line(kinetics, tmp_path, change, message, capsys):
    state = kinetics[1].state_dict()
    change(state)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        convert("torchvision", tmp_path / "file.pth")
    assert "\n" not in str(caught.value) and "run" not in capsys.readouterr().out


def test_what_is_no_file_is_one_line(tmp_path):
    (tmp_path / "text.pth").write_text("<html>not found</html>")
    (tmp_path / "text.safetensors").write_text("<html>not found</html>")
    for name in ("text.pth", "text.safetensors", "none.pth"):
        with pytest.raises(CheckpointError, match=r"no weights that can be read|there is no file") as caught:
            read_published(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_the_papers_network_begins_with_kinetics(kinetics, tmp_path):
    save_checkpoint(kinetics[2], tmp_path / "kinetics")
    model = begin_with_parts(load_recipe("kinetics400"), tmp_path / "kinetics", None)
    for name, tensor in kinetics[2].visual_encoder.state_dict().items():
        assert torch.equal(tensor, model.visual_encoder.state_dict()[name])
    assert model.config.training["visual"]["origin"] == "torchvision"
