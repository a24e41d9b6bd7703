"""Finetuning on a generated set of the official layout: a test of the path, not a number."""

import json

import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash
from cmac_hub.model import CMAC
from cmac_hub.train.__main__ import main
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.evaluate import finetune as module
from cmac_hub.train.evaluate.finetune import FinetuneSettings, _batches, finetune, starting_encoder
from cmac_hub.train.evaluate.toolbox.actions import find_split


def test_finetuning_learns_resumes_and_reports(tiny, ucf, tmp_path):
    import copy

    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    settings = FinetuneSettings(epochs=2, batch=4, clips=2, learning_rate=0.01)
    whole = finetune(copy.deepcopy(tiny), split, tmp_path / "whole", settings)
    assert whole["tested"] == 2 and whole["chance"] == 0.5 and 0 <= whole["top1"] <= 1
    again = finetune(copy.deepcopy(tiny), split, tmp_path / "whole", settings)
    assert again["top1"] == whole["top1"], "nothing is trained twice"
    broken = split._replace(train=[*split.train, split.train[0]._replace(path=tmp_path / "none.avi")])
    for _ in range(2):
        found = finetune(copy.deepcopy(tiny), broken, tmp_path / "broken", settings)
        assert "none.avi" in str(found["missing"]), "a second call still says so"
    with pytest.raises(CMACError, match="holds a run of other settings"):
        finetune(copy.deepcopy(tiny), split, tmp_path / "whole", FinetuneSettings(epochs=3, batch=4))
    other = copy.deepcopy(tiny)
    torch.nn.init.ones_(other.visual_encoder.stem[0].weight)
    with pytest.raises(CMACError, match="other settings, weights or videos"):
        finetune(other, split, tmp_path / "whole", settings)
    assert (tmp_path / "whole" / "report.json").exists()


def test_finetuning_changes_all_weights_and_after_a_break_ends_as_without_one(tiny, ucf, tmp_path, monkeypatch):
    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    settings, save = FinetuneSettings(epochs=2, batch=4, clips=1), Checkpoints.save
    finetune(tiny, split, tmp_path / "whole", settings, workers=1)

    def save_and_break_off(*given):
        save(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", save_and_break_off)
        finetune(tiny, split, tmp_path / "parts", settings, workers=1)
    assert read_checkpoint(tmp_path / "parts")["step"] == 1
    finetune(tiny, split, tmp_path / "parts", settings, workers=1)
    whole, parts = (read_checkpoint(tmp_path / run)["model"] for run in ("whole", "parts"))
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name
    for name, value in tiny.visual_encoder.named_parameters():
        assert not torch.equal(whole[f"encoder.{name}"], value), name


def test_a_clip_is_taught_the_label_of_its_video(tiny, ucf, monkeypatch):
    videos, labels = find_split("ucf101", ucf / "UCF-101", ucf / "lists").train, ["Fall", "Rise"]
    # In place of a clip stands the number of its video.
    monkeypatch.setattr(module, "read_ahead", lambda clips, *_: map(torch.tensor, clips.turns))
    batches = _batches(videos, labels, tiny, FinetuneSettings(batch=4, clips=2), 0, set(), 1)
    taught = [
        (int(one), labels[target]) for clips, targets in batches for one, target in zip(clips, targets, strict=True)
    ]
    assert sorted(taught) == sorted(2 * [(number, video.label) for number, video in enumerate(videos)])


def test_several_splits_and_their_mean(ucf, model_folder, tmp_path, capsys):
    for part in ("train", "test"):
        (tmp_path / f"{part}list02.txt").write_text((ucf / "lists" / f"{part}list01.txt").read_text())
        (tmp_path / f"{part}list01.txt").write_text((ucf / "lists" / f"{part}list01.txt").read_text())
    command = ["finetune", "--model", str(model_folder), "--data", str(ucf / "UCF-101"), "--lists", str(tmp_path)]
    assert main([*command, "--split", "1", "2", "--epochs", "1", "-o", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "| top-1 | split 1 | split 2 | mean |"
        and lines[-1] == "| *the paper:* CMAC, three splits | - | - | 90.3 |"
    )
    assert "| chance | 50.0 | 50.0 | 50.0 |" in lines
    found = json.loads((tmp_path / "runs" / "finetune.json").read_text())
    assert set(found["result"]["splits"]) == {"1", "2"} and found["result"]["weights"] == "cmac"
    assert found["checkpoint"] == checkpoint_hash(CMAC.from_pretrained(str(model_folder))), (
        "of the weights before finetuning"
    )
    assert main([*command, "--split", "3", "--epochs", "1", "-o", str(tmp_path / "runs")]) == 1
    assert "there is no list" in capsys.readouterr().err


def test_what_finetuning_starts_from(tiny):
    copied = starting_encoder(tiny)
    assert copied is not tiny.visual_encoder
    for one, other in zip(copied.parameters(), tiny.visual_encoder.parameters(), strict=True):
        assert torch.equal(one, other)
    fresh = starting_encoder(tiny, "scratch")
    assert not torch.equal(next(fresh.parameters()), next(tiny.visual_encoder.parameters()))
    with pytest.raises(CMACError, match="full width"):
        starting_encoder(tiny, "torchvision")
    with pytest.raises(CMACError, match="accepted are cmac, scratch, torchvision"):
        starting_encoder(tiny, "imagenet")
