"""Encoders from outside of the package, and networks that lack a part."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import nn

from cmac_hub import CMAC, CheckpointError, CMACConfig, MissingPartError, VisualConfig, load_cmac, register_encoder
from cmac_hub.encoders import FrameEncoder
from cmac_hub.visualizer import Visualizer


@dataclass(frozen=True)
class ToyConfig(VisualConfig):
    kind: str = "toy"
    width: int = 6


class ToyEncoder(FrameEncoder):
    """A stride-8 convolution on each frame, then a mean over pairs of frames."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.channels = config.width
        self.conv = nn.Conv2d(3, config.width, 8, 8)

    def encode_frames(self, frames_NCHW):
        return self.conv(frames_NCHW).relu()

    def join_frames(self, features_BCTHW):
        return features_BCTHW.unflatten(2, (-1, 2)).mean(3)


register_encoder("toy", ToyConfig, ToyEncoder)


@pytest.fixture(scope="module")
def toy(tiny_config) -> CMAC:
    torch.manual_seed(0)
    visual = ToyConfig(frames=4, size=32, multiple=8)
    return CMAC(dataclasses.replace(tiny_config, name="toy", visual=visual)).eval()


def test_an_encoder_from_outside_works_like_ours(toy, clip, tmp_path, cmac):
    toy.save_pretrained(tmp_path / "toy")
    again = CMAC.from_pretrained(tmp_path / "toy")
    assert again.config == toy.config and type(again.visual_encoder) is ToyEncoder
    torch.testing.assert_close(again.extract_features(clip).visual, toy.extract_features(clip).visual)
    code, out, _ = cmac("localize", clip, "-o", tmp_path / "out.mp4", model=tmp_path / "toy")
    assert code == 0 and (tmp_path / "out.mp4").exists()
    code, out, _ = cmac("info", tmp_path / "toy", model=None)
    assert code == 0 and "visual.kind" in out and "toy" in out


def test_two_steps_are_one(toy):
    clips = torch.randn(2, 3, 4, 32, 40)
    frames = toy.visual_encoder.encode_frames(clips.transpose(1, 2).flatten(0, 1))
    joined = toy.visual_encoder.join_frames(frames.unflatten(0, (2, 4)).transpose(1, 2))
    torch.testing.assert_close(toy.visual_encoder(clips), joined)


def test_a_second_encoder_of_a_kind_is_refused():
    with pytest.raises(ValueError, match="kind 'toy' already"):
        register_encoder("toy", ToyConfig, ToyEncoder)
    with pytest.raises(ValueError, match="kind 'r2plus1d' already"):
        register_encoder("r2plus1d", ToyConfig, ToyEncoder)
    with pytest.raises(ValueError, match="no config of kind 'other'"):
        register_encoder("other", ToyConfig, ToyEncoder)


@dataclass(frozen=True)
class FieldsConfig(ToyConfig):
    kind: str = "fields"
    backbone: str | None = None
    dropout: float = 0
    dims: tuple[int, ...] = (1, 2)
    levels: tuple = ()
    pairs: tuple[tuple[int, str], ...] = ()
    norm: Literal["batch", "layer"] = "batch"
    either: int | str = 3
    exact: bool = False


register_encoder("fields", FieldsConfig, ToyEncoder)


def test_fields_of_a_config_hold_what_their_annotations_say(tiny_config):
    given = {"backbone": "resnet18", "dropout": 0.1, "dims": (1, 2, 3), "levels": (4,), "pairs": ((1, "a"), (2, "b"))}
    for values in ({}, {**given, "norm": "layer", "either": "x", "exact": True}):
        config = dataclasses.replace(tiny_config, visual=FieldsConfig(**values))
        assert CMACConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("backbone", 3, "'visual.backbone' is 3; expected a str"),
        ("dropout", "much", "expected a float"),
        ("dims", [1, 2.5], r"'visual.dims\[1\]' is 2.5; expected an int"),
        ("pairs", [[1]], r"'visual.pairs\[0\]' is \[1\]; expected a tuple of 2"),
        ("levels", "all", "expected a tuple"),
        ("norm", 1, "expected typing.Literal"),
        ("either", [1], "expected a str"),
        ("exact", 1, "expected a bool"),
    ],
)
def test_other_values_are_refused_by_name(tiny_config, field, value, message):
    values = dataclasses.replace(tiny_config, visual=FieldsConfig()).to_dict()
    values["visual"][field] = value
    with pytest.raises(CheckpointError, match=message):
        CMACConfig.from_dict(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": None}, "ToyEncoder has no channels"),
        ({"forward": lambda clips: clips.mean((2, 3, 4))}, r"gave \(2, 3\); expected a map \(B, 6, T, H, W\)"),
        ({"forward": lambda clips: (clips,)}, "gave a tuple; expected a map"),
        ({"forward": lambda clips: clips}, r"gave \(2, 3, 4, 32, 32\); expected"),
    ],
)
def test_what_an_encoder_gives_is_checked(toy, monkeypatch, change, message):
    if "channels" in change:
        monkeypatch.setattr(ToyEncoder, "__init__", lambda one, config: nn.Module.__init__(one))
        with pytest.raises(ValueError, match=message):
            CMAC(toy.config)
        return
    network = CMAC(toy.config)
    network.visual_encoder.forward = change["forward"]
    for task in (network.embed_visual, network.attend):
        with pytest.raises(ValueError, match=message):
            task(torch.randn(2, 3, 4, 32, 32))


def parts(config: CMACConfig, **missing: None) -> CMAC:
    torch.manual_seed(0)
    return CMAC(dataclasses.replace(config, **missing)).eval()


def test_a_network_with_one_encoder_gives_its_features(tiny_config, tiny, clip):
    visual_only = parts(tiny_config, audio=None, attention=None)
    visual_only.visual_encoder.load_state_dict(tiny.visual_encoder.state_dict())
    found = visual_only.extract_features(clip)
    torch.testing.assert_close(found.visual, tiny.extract_features(clip).visual)
    assert found.audio is found.visual_embedding is found.sound_level is None
    audio_only = parts(tiny_config, visual=None, attention=None)
    audio_only.audio_encoder.load_state_dict(tiny.audio_encoder.state_dict())
    found = audio_only.extract_features(clip)
    torch.testing.assert_close(found.audio, tiny.extract_features(clip).audio)
    assert found.visual is found.audio_embedding is None


def test_a_network_without_attention_gives_features_of_both(tiny_config, clip, tmp_path):
    network = parts(tiny_config, attention=None)
    network.save_pretrained(tmp_path / "plain")
    found = CMAC.from_pretrained(tmp_path / "plain").extract_features(clip)
    assert found.visual is not None and found.audio is not None and found.visual_embedding is None


@pytest.mark.parametrize("missing", [{"attention": None}, {"audio": None, "attention": None}])
def test_what_needs_a_missing_part_says_so_in_one_line(tiny_config, clip, tmp_path, missing, cmac):
    network = parts(tiny_config, **missing)
    network.save_pretrained(tmp_path / "part")
    clips, spectrograms = torch.randn(1, 3, 8, 32, 32), torch.randn(1, 1, 64, 100)
    named = "no audio encoder" if "audio" in missing else "no attention"
    for task in (
        lambda: network(clips, spectrograms),
        lambda: network.attend(clips),
        lambda: network.similarity(clips, spectrograms),
        lambda: Visualizer(network).render(clip, tmp_path / "out.mp4"),
        lambda: next(Visualizer(network).heatmaps(clip, map="prediction")),
        lambda: load_cmac(tmp_path / "part"),
    ):
        with pytest.raises(MissingPartError, match=named) as caught:
            task()
        assert "\n" not in str(caught.value)
    code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", model=tmp_path / "part")
    assert code == 1 and named in err and len(err.strip().splitlines()) == 1
    code, _, err = cmac("features", clip, "-o", tmp_path / "features", model=tmp_path / "part")
    assert (code, err) == (0, "")


def test_a_file_without_the_only_stream_that_counts(tiny_config, video_only, audio_only):
    from cmac_hub.errors import MediaError

    with pytest.raises(MediaError, match="only an audio encoder"):
        parts(tiny_config, visual=None, attention=None).extract_features(video_only)
    with pytest.raises(MediaError, match="only a visual encoder"):
        parts(tiny_config, audio=None, attention=None).extract_features(audio_only)


def test_a_network_of_another_encoder_is_trained_and_released(toy, tmp_path):
    """By recipe and by command, without a line of the package changed."""
    from cmac_hub.train.__main__ import main

    toy.config.save(tmp_path / "toy.json")
    settings = ["batch=4", "steps=2", "workers=0", "bank=8", "drawn_clips=100", "checkpoint_every=2"]
    command = ["pretrain", "--recipe", "nano_drawn", "--set", f"architecture={tmp_path / 'toy.json'}", *settings]
    assert main([*command, "-o", str(tmp_path / "run")]) == 0
    assert main(["release", str(tmp_path / "run"), "-o", str(tmp_path / "released")]) == 0
    assert CMAC.from_pretrained(tmp_path / "released").config.visual == toy.config.visual


def test_retrieval_needs_the_whole_network_and_the_probe_does_not(tiny_config, shared, tmp_path, capsys):
    from cmac_hub.train.__main__ import main

    parts(tiny_config, visual=None, attention=None).save_pretrained(tmp_path / "audio")
    for command in (["retrieve", "--on", "scenes"], ["localize", "--scenes", "4"]):
        assert main([*command, "--model", str(tmp_path / "audio"), "--data", str(shared)]) == 1
        (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("cmac_hub.train:")]
        assert "has no visual encoder" in line
