"""Pairs that a frozen trunk has encoded once."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from cmac_hub.encoders import FrameNetworkConfig
from cmac_hub.model import CMAC
from cmac_hub.train.cached_pairs import CachedPairs
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.fields import RecipeError
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.stream import Pair


class Numbered:
    """Pairs that show and sound their own number."""

    videos = None

    def name(self, video):
        return f"video {video}"

    def hash(self):
        return "numbers"

    def pair(self, index, view=0):
        rng = np.random.default_rng(index)
        frames = torch.from_numpy(rng.integers(0, 255, (2, 32, 32, 3), dtype=np.uint8))
        return Pair(frames, torch.full((16000,), index / 100), index)


@pytest.fixture(scope="module")
def lite_file(tiny_config, tmp_path_factory) -> str:
    visual = FrameNetworkConfig(frames=2, size=32, level="before_head", temporal_layers=1, temporal_channels=8)
    path = tmp_path_factory.mktemp("lite") / "lite.json"
    dataclasses.replace(tiny_config, name="lite", visual=visual).save(path)
    return str(path)


@pytest.fixture
def cached(recipe, lite_file):
    return recipe.replace(architecture=lite_file, bank=0, cached_pairs=6, batch=4, bf16=False, drawn_clips=100)


class Held(Numbered):
    """A source of which there is to be one."""

    def __reduce__(self):
        raise AssertionError("a worker wants a copy")


@pytest.mark.usefixtures("copying")
def test_the_source_is_not_copied(cached):
    assert len(CachedPairs(Held(), cached.replace(workers=1), CMAC(cached.config), progress=False)) == 6


def test_a_pair_is_what_the_trunk_makes_of_its_frames(cached):
    torch.manual_seed(0)
    model = CMAC(cached.config)
    pairs = CachedPairs(Numbered(), cached, model, progress=False)
    model.eval()
    for index in range(6):
        pair = pairs.pair(index)
        original = Numbered().pair(pair.video)
        clips, spectrograms = model.prepare(original.frames[None], original.waveform[None])
        assert pair.frames.dtype == torch.float16
        given = model(pair.frames[None].float(), spectrograms, encoded=True)
        torch.testing.assert_close(given.visual.map, model(clips, spectrograms).visual.map, atol=2e-2, rtol=2e-2)
        torch.testing.assert_close(pair.waveform, original.waveform, atol=1e-4, rtol=0)


def test_every_pair_comes_once_in_each_round_and_always_in_the_same_place(cached):
    torch.manual_seed(0)
    model = CMAC(cached.config)
    pairs = CachedPairs(Numbered(), cached, model, progress=False)
    rounds = [[pairs.pair(6 * turn + i).video for i in range(6)] for turn in range(3)]
    assert all(sorted(one) == list(range(6)) for one in rounds) and rounds[0] != rounds[1]
    assert [pairs.pair(i).video for i in range(6)] == rounds[0], "whatever was asked before"


def test_a_run_trains_all_but_the_trunk_and_goes_on_as_if_unbroken(cached, tmp_path):
    whole = pretrain(cached, None, tmp_path / "whole", progress=False)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    (tmp_path / "parts" / "checkpoints" / "step_00000006.pt").unlink()
    parts = pretrain(cached, None, tmp_path / "parts", resume=True, progress=False)
    torch.manual_seed(cached.seed)
    first = CMAC(cached.config)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, msg=name)
        if ".trunk." in name:
            assert torch.equal(value, first.state_dict()[name]), name
    moved = [n for n, v in whole.named_parameters() if not torch.equal(v, dict(first.named_parameters())[n])]
    assert any("layers" in name for name in moved) and any("audio_encoder" in name for name in moved)


def test_a_trunk_learns_at_a_rate_of_its_own(cached, tmp_path):
    recipe = cached.replace(cached_pairs=0, trunk_rate=0.1, steps=2, checkpoint_every=1)
    pretrain(recipe, None, tmp_path / "run", progress=False)
    groups = read_checkpoint(tmp_path / "run")["optimizer"]["param_groups"]
    assert sorted({group["rate"] for group in groups}) == [0.1, 1.0]
    assert {round(group["lr"] / group["rate"], 12) for group in groups}.__len__() == 1


def test_a_slow_encoder_keeps_its_statistics_and_a_frozen_stage_its_weights(cached, tmp_path):
    how = {"cached_pairs": 0, "trunk_rate": 0.1, "audio_rate": 0.0, "frozen_stages": 2, "frames": 1, "steps": 2}
    recipe = cached.replace(**how)
    torch.manual_seed(recipe.seed)
    first = CMAC(recipe.config).state_dict()
    trained = pretrain(recipe, None, tmp_path / "run", progress=False)
    groups = read_checkpoint(tmp_path / "run")["optimizer"]["param_groups"]
    assert {group["rate"] for group in groups} == {0.1, 1.0}
    moved = {name for name, value in trained.state_dict().items() if not torch.equal(value, first[name])}
    weights = {name for name, _ in trained.named_parameters()}
    assert not {n for n in moved if n.startswith(("audio_encoder", "visual_encoder.layers")) and n in weights}
    trunk = {n.removeprefix("visual_encoder.trunk.") for n in moved if ".trunk." in n}
    assert any(n.startswith("stages.2.") for n in trunk) and not any("running" in n for n in trunk)
    assert not any(n.startswith(("stem.", "stages.0.", "stages.1.")) for n in trunk)
    assert not any("audio_encoder" in n for n in moved) and any("audio_transform" in n for n in moved)


def test_more_frozen_stages_than_there_are_are_refused(cached, recipe, tmp_path):
    with pytest.raises(RecipeError, match="'frozen_stages' is 8; the visual encoder has 7"):
        pretrain(cached.replace(cached_pairs=0, frozen_stages=8), None, tmp_path / "run", progress=False)
    with pytest.raises(RecipeError, match="has 0 stages"):
        pretrain(recipe.replace(frozen_stages=1), None, tmp_path / "other", progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bank": 8}, "without a bank"),
        ({"tiles": 2}, "without tiles"),
        ({"within_positives": True}, "one clip a video"),
    ],
)
def test_what_does_not_go_together_is_refused(cached, tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        pretrain(cached.replace(**changes), None, tmp_path / "run", progress=False)


def test_an_encoder_without_single_frames_is_refused(recipe, tmp_path):
    with pytest.raises(RecipeError, match="looks at single frames"):
        pretrain(recipe.replace(bank=0, cached_pairs=4), None, tmp_path / "run", progress=False)
