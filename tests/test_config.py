"""One checkpoint's numbers: they round-trip, and anything strange is refused by name."""

from __future__ import annotations

import json

import pytest

from cmac_hub.config import ARCHITECTURES, CMAC_BASE, CMAC_NANO, FORMAT_VERSION, AttentionConfig, CMACConfig
from cmac_hub.errors import CheckpointError


@pytest.mark.parametrize("config", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_round_trip(config, tmp_path):
    config.save(tmp_path / "config.json")
    assert CMACConfig.load(tmp_path / "config.json") == config
    assert CMACConfig.from_dict(config.to_dict()) == config


def test_the_papers_numbers():
    visual, audio, joint = CMAC_BASE.visual, CMAC_BASE.audio, CMAC_BASE.attention
    assert (visual.frames, visual.size, visual.depth, visual.channels) == (32, 128, 18, 512)
    assert (audio.mel_bands, audio.channels) == (257, 512)
    assert (joint.filter_channels, joint.embedding, joint.scales, joint.normalization) == (512, 256, 2, "cosine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("audio"), "missing config keys"),
        (lambda v: v.update(colour="red"), "unknown config keys"),
        (lambda v: v["visual"].update(frames="eight"), r"visual\.frames"),
        (lambda v: v["visual"].update(frames=0), "at least 1"),
        (lambda v: v["attention"].update(normalization="l1"), "accepted are cosine, softmax, none"),
        (lambda v: v.update(format_version=FORMAT_VERSION + 1), "pip install -U"),
        (lambda v: v.pop("format_version"), "format_version"),
        (lambda v: v.update(visual=3), "not an object"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    values = CMAC_NANO.to_dict()
    change(values)
    with pytest.raises(CheckpointError, match=message) as caught:
        CMACConfig.from_dict(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "not json", "[1, 2]"])
def test_text_that_is_no_config(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError):
        CMACConfig.load(tmp_path / "config.json")


def test_a_whole_number_may_stand_for_a_float():
    values = json.loads(json.dumps(CMAC_NANO.to_dict()))
    values["window"] = 1
    assert CMACConfig.from_dict(values).window == 1.0


def test_wrong_normalization_is_refused_at_once():
    with pytest.raises(ValueError, match="accepted are"):
        CMACConfig(attention=AttentionConfig(normalization="l2"))  # type: ignore[arg-type]
