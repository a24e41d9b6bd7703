"""One checkpoint's numbers: they round-trip, and anything strange is refused by name."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from making import CMAC_BASE, CMAC_LITE, CMAC_NANO, VERSION_1

from cmac_hub.config import (
    FORMAT_VERSION,
    AttentionConfig,
    CMACConfig,
    DisplayConfig,
    architecture,
    architectures,
    without_weights,
)
from cmac_hub.config_file import NEW_IN_2
from cmac_hub.errors import CheckpointError
from cmac_hub.hub import fetch, parse_source

NAN = math.nan


@pytest.mark.parametrize("config", [architecture(n) for n in architectures()], ids=architectures())
def test_round_trip(config, tmp_path):
    config.save(tmp_path / "config.json")
    assert CMACConfig.load(tmp_path / "config.json") == config
    assert CMACConfig.from_dict(config.to_dict()) == config


def test_the_papers_numbers():
    visual, audio, joint = CMAC_BASE.visual, CMAC_BASE.audio, CMAC_BASE.attention
    assert (visual.frames, visual.size, visual.depth, visual.width) == (32, 128, 18, 64)
    assert (audio.n_mels, audio.win_length, audio.hop_length, audio.width) == (257, 480, 240, 64)
    assert (joint.filter_channels, joint.embedding, joint.scales, joint.normalization) == (512, 256, 2, "cosine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("audio"), "missing config keys"),
        (lambda v: v.update(color="red"), "unknown config keys"),
        (lambda v: v["visual"].update(frames="eight"), r"visual\.frames"),
        (lambda v: v["visual"].update(frames=0), "from 1 on"),
        (lambda v: v["attention"].update(normalization="l1"), "accepted are cosine, bounded, softmax, none"),
        (lambda v: v.update(format_version=FORMAT_VERSION + 1), "pip install -U"),
        (lambda v: v.pop("format_version"), "format_version"),
        (lambda v: v.update(format_version=0), "has format version 0; accepted are 1 to 2"),
        (lambda v: v.update(format_version=-1), "has format version -1; accepted are 1 to 2"),
        (lambda v: v.update(visual=3), "not an object"),
        (lambda v: v["visual"].update(mean=["a", "b", "c"]), r"visual\.mean\[0\]"),
        (lambda v: v["visual"].update(stage_strides=[1, 2, 1.5, 1]), r"visual\.stage_strides\[2\]"),
        (lambda v: v["visual"].update(mean=[0.5, 0.5]), "tuple of 3"),
        (lambda v: v["visual"].update(kind="vit"), "known are .*r2plus1d"),
        (lambda v: v["visual"].update(kind="resnet9"), "known are .*r2plus1d"),
        (lambda v: v["visual"].pop("kind"), r"'visual\.kind' is missing; known are .*r2plus1d.*--import MODULE"),
        (lambda v: v["audio"].update(kind=3), r"'audio\.kind' is 3; known are .*resnet9"),
        (lambda v: v["visual"].update(depth=50), "accepted are 10 and 18"),
        (lambda v: v["display"].update(default_map="both"), "accepted are guidance, prediction"),
        (lambda v: v.update(visual=None, audio=None), "neither"),
        (lambda v: v.update(audio=None), "set attention to null"),
        (lambda v: v["audio"].update(n_fft=64), "fit into the FFT"),
        *(
            (lambda v, value=value: v.update(window=value), f"window is {value}; it must be a positive number")
            for value in (0.0, -1.0, NAN, math.inf)
        ),
        (lambda v: v["visual"].update(map_shift=[0.0, NAN]), "map_shift is .*nan.*; it must be a finite number"),
        (lambda v: v["visual"].update(mean=[0.5, 0.5, NAN]), "mean is .*nan.*; it must be a finite number"),
        (lambda v: v["visual"].update(std=[0.2, 0.0, 0.2]), "std is .*; it must be a positive number"),
        (lambda v: v["visual"].update(width=0), "width is 0; it must be a whole number from 2 on"),
        (lambda v: v["visual"].update(stage_strides=[1, 2, 0, 1]), "stage_strides is .* from 1 on"),
        (lambda v: v["audio"].update(width=-4), "width is -4; it must be a whole number from 1 on"),
        (lambda v: v["audio"].update(std=0.0), "std is 0.0; it must be a positive number"),
        (lambda v: v["audio"].update(mean=NAN), "mean is nan; it must be a finite number"),
        (lambda v: v["audio"].update(log_floor=0.0), "log_floor is 0.0; it must be a positive number"),
        (lambda v: v["audio"].update(f_min=8000.0), "f_min is 8000, f_max 8000 .*; bands rise from at least 0"),
        (lambda v: v["audio"].update(f_min=-1.0), "f_min is -1, .*; bands rise from at least 0"),
        (
            lambda v: v["audio"].update(f_max=8001.0),
            "f_max 8001 .*; .* at most half of the rate",
        ),
        (lambda v: v["attention"].update(filter_channels=0), "filter_channels is 0; .* from 1 on"),
        (lambda v: v["attention"].update(embedding=-1), "embedding is -1; .* from 1 on"),
        (lambda v: v["attention"].update(saliency_channels=0), "saliency_channels is 0; .* from 1 on"),
        (lambda v: v["attention"].update(strength_weight=NAN), "strength_weight is nan"),
        (lambda v: v["attention"].update(motion_weight=1.1), "motion_weight is 1.1; it must be from 0 to 1"),
        (lambda v: v["attention"].update(strength_weight=0.6, motion_weight=0.5), "are 1.1 together; at most 1"),
        (lambda v: v["attention"].update(joint_smoothing=-1), "joint_smoothing is -1; .* from 0 on"),
        (
            lambda v: v["attention"].update(affinity_temperature=-0.1),
            "affinity_temperature is -0.1; it must be 0, or from 0.01 to 100",
        ),
        (lambda v: v["attention"].update(affinity_temperature=1e-300), "affinity_temperature is 1e-300; .* from 0.01"),
        (lambda v: v["attention"].update(affinity_temperature=NAN), "affinity_temperature is nan"),
        (lambda v: v["attention"].update(visual_motion=[2.0, 1.0]), "visual_motion is 2, 1; the second must be larger"),
        (lambda v: v["attention"].update(visual_strength=[NAN, 1.0]), "visual_strength is .*nan.*finite"),
        (lambda v: v["display"].update(visual_joint=[0.9, 0.5]), "visual_joint is 0.9, 0.5; the second must be larger"),
        (lambda v: v["display"].update(audio_guidance=[0.5, 0.5]), "audio_guidance is .*; the second must be larger"),
        (lambda v: v["display"].update(audio_joint=[0.5, NAN]), "audio_joint is .*nan.*finite"),
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


def test_lists_of_numbers_stand_on_one_line(tmp_path):
    CMAC_NANO.save(tmp_path / "config.json")
    text = (tmp_path / "config.json").read_text()
    assert '"stage_strides": [2, 2, 1, 1],' in text and max(map(len, text.splitlines())) < 120


def test_a_key_that_came_later_may_lack_in_older_files_only(tmp_path):
    """The first format had neither `map_shift` nor `power`; its files still mean what they meant."""
    old = CMACConfig.from_dict(json.loads((VERSION_1 / "released" / "config.json").read_text()))
    assert old.visual.map_shift == (0.0, 0.0) and old.audio.power == 2.0
    for part, key in (("visual", "map_shift"), ("audio", "power")):
        new = CMAC_NANO.to_dict()
        del new[part][key]
        with pytest.raises(CheckpointError, match=f"missing config keys in '{part}': {key}"):
            CMACConfig.from_dict(new)


@pytest.mark.parametrize("power", [0.0, -1.0, float("nan")])
def test_a_spectrum_has_a_positive_power(power):
    with pytest.raises(ValueError, match="it must be a positive number"):
        dataclasses.replace(CMAC_NANO.audio, power=power)


def test_the_first_format_is_read_under_its_names():
    old = json.loads((VERSION_1 / "released" / "config.json").read_text())
    config = CMACConfig.from_dict(old)
    audio = config.audio
    assert config.format_version == FORMAT_VERSION
    assert (config.visual.kind, audio.kind) == ("r2plus1d", "resnet9")
    assert (audio.win_length, audio.hop_length, audio.n_fft, audio.n_mels) == (320, 160, 1024, 64)
    assert (audio.f_min, audio.f_max) == (0.0, 8000.0)
    assert config.display.visual_guidance == config.display.audio_guidance == tuple(old["display"]["guidance"])


@pytest.mark.parametrize("part", ["visual", "audio", "display"])
def test_unknown_keys_stay_errors_in_every_format(part):
    old = json.loads((VERSION_1 / "released" / "config.json").read_text())
    old[part]["n_fft_"] = 3
    with pytest.raises(CheckpointError, match="unknown config keys"):
        CMACConfig.from_dict(old)


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("audio", "fft_size", "n_fft"),
        ("audio", "window_seconds", "win_length"),
        ("audio", None, "power"),
        ("visual", None, "map_shift"),
        ("attention", None, "strength_weight"),
        ("display", "guidance", "visual_guidance"),
        ("display", None, "audio_guidance"),
    ],
)
def test_the_first_format_has_no_keys_of_the_second(part, old, new):
    values, today = json.loads((VERSION_1 / "released" / "config.json").read_text()), CMAC_NANO.to_dict()
    if old is not None:
        del values[part][old]
    values[part][new] = today[part][new]
    with pytest.raises(CheckpointError, match=rf"unknown config keys in '{part}': {new} \(of format 2, not of 1\)"):
        CMACConfig.from_dict(values)


def test_the_first_format_drew_audio_maps_with_the_limits_of_visual_ones():
    values = json.loads((VERSION_1 / "released" / "config.json").read_text())
    values["display"] |= {"guidance": [0.1, 0.2], "prediction": [0.3, 0.4]}
    display = CMACConfig.from_dict(values).display
    assert display.visual_guidance == display.audio_guidance == (0.1, 0.2)
    assert display.visual_prediction == display.audio_prediction == (0.3, 0.4)
    assert display.visual_joint == display.audio_joint == (0.1, 0.2), "without a weight the joint map is guidance"


def test_an_architecture_may_be_a_file(tmp_path):
    CMAC_NANO.save(tmp_path / "my.json")
    assert architecture(str(tmp_path / "my.json")) == CMAC_NANO
    with pytest.raises(CheckpointError, match="cmac-base, cmac-lite, cmac-nano, or a path"):
        architecture("resnet50")
    with pytest.raises(CheckpointError, match="no readable JSON"):
        architecture(str(tmp_path / "missing.json"))


def test_what_describes_weights_is_left_behind():
    """The released network's config, without what was measured on its weights, is its architecture at another size."""
    released = CMACConfig.load(fetch(parse_source("cmac-nano")) / "config.json")
    visual = dataclasses.replace(CMAC_NANO.visual, size=released.visual.size)
    assert released.license != CMAC_NANO.license and released.training and released.visual.map_shift != (0.0, 0.0)
    assert without_weights(released) == dataclasses.replace(CMAC_NANO, visual=visual)
    spread = CMACConfig.load(fetch(parse_source("cmac-lite")) / "config.json")
    assert spread.attention.affinity_temperature and spread.attention.motion_weight
    assert without_weights(spread) == CMAC_LITE
    licensed = dataclasses.replace(CMAC_BASE, license="cc-by-nc-4.0")
    assert without_weights(licensed) == CMAC_BASE
    silent = dataclasses.replace(CMAC_BASE, audio=None, attention=None)
    assert without_weights(silent) == silent


def test_keys_that_came_with_format_2_are_none_of_format_1():
    for section, config in (("attention", AttentionConfig), ("display", DisplayConfig)):
        since = {one.name for one in dataclasses.fields(config) if one.metadata.get("since") == 2}
        assert since and since <= NEW_IN_2[section]


ODD = [
    None,
    True,
    -1,
    10**9 + 1,
    10**400,
    10**5000,
    1e308,
    NAN,
    math.inf,
    "x" * 5000,
    [],
    [10**20] * 4,
    {1: 2},
    {"kind": [1]},
]


def places(values, before=()):
    """Of every value of nested dictionaries and lists, the way to it."""
    yield before
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))
        else:
            yield (*before, key)


@pytest.mark.parametrize("name", ["version 1", "cmac-base", "cmac-lite"])
def test_any_value_anywhere_is_taken_or_refused_in_one_short_line(name):
    old = name == "version 1"
    text = json.dumps(
        json.loads((VERSION_1 / "released" / "config.json").read_text()) if old else architecture(name).to_dict()
    )
    refused = []
    for way in places(json.loads(text)):
        for value in ODD:
            values = inner = json.loads(text)
            for key in way[:-1]:
                inner = inner[key]
            if way:
                inner[way[-1]] = value
            else:
                values = value
            try:
                CMACConfig.from_dict(values)
            except CheckpointError as error:
                refused.append(str(error))
    assert len(refused) > 500 and not [line for line in refused if "\n" in line or len(line) > 700]


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("visual", "frames", 1025), ("visual", "size", 4097), ("visual", "multiple", 5000), ("audio", "n_fft", 65_537),
        ("audio", "sample_rate", 1_000_000), ("audio", "n_mels", 4096), ("attention", "scales", 17),
        ("visual", "temporal_layers", 65),
    ],
)  # fmt: skip
def test_what_would_fill_a_memory_is_refused_before_it_does(part, key, value):
    values = CMAC_LITE.to_dict()
    values[part][key] = value
    with pytest.raises(CheckpointError, match=f"{key} is {value}; it must be at most"):
        CMACConfig.from_dict(values)
    with pytest.raises(CheckpointError, match=r"window is 601.0; it must be at most 600"):
        CMACConfig.from_dict(CMAC_LITE.to_dict() | {"window": 601})


def test_deep_and_huge_files_are_refused(tmp_path):
    path = tmp_path / "config.json"
    for text, message in (
        ("[" * 50_000 + "]" * 50_000, "lie inside each other"),
        (json.dumps(CMAC_NANO.to_dict() | {"license": "x" * 2**20}), "at most 1,048,576 are read"),
    ):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=f"config.json is no readable JSON .*{message}"):
            CMACConfig.load(path)
    deep: dict = {}
    for _ in range(5000):
        deep = {"before": deep}
    with pytest.raises(CheckpointError, match="lie inside each other"):
        CMACConfig.from_dict(CMAC_NANO.to_dict() | {"training": deep})
    path.write_text(json.dumps(CMAC_NANO.to_dict()), encoding="utf-16")
    assert CMACConfig.load(path) == CMAC_NANO, "of an editor of Windows"
