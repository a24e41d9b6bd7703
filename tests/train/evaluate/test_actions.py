"""Action videos in a generated set of the official layout: a test of the path, not a number."""

import json

import numpy as np
import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash, load_model
from cmac_hub.train.__main__ import main
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.evaluate import finetune as module
from cmac_hub.train.evaluate.actions import find_split
from cmac_hub.train.evaluate.clips import read_clips
from cmac_hub.train.evaluate.finetune import FinetuneSettings, _batches, finetune, start_from
from cmac_hub.train.evaluate.retrieval import (
    as_table,
    evaluate_actions,
    recall_of_labels,
    recall_of_pairs,
    video_features,
)


def test_official_lists(ucf, tmp_path):
    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    assert len(split.train) == 6 and len(split.test) == 2
    assert {one.label for one in split.test} == {"Rise", "Fall"}
    (tmp_path / "brush_hair_test_split1.txt").write_text("v_Rise_g01_c01.avi 2\nv_Rise_g02_c01.avi 1\nother.avi 0\n")
    hmdb = find_split("hmdb51", ucf / "UCF-101", tmp_path)
    assert [one.label for one in hmdb.train + hmdb.test] == ["brush_hair"] * 2


def test_recall_equals_a_slow_loop():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(6, 4)), rng.normal(size=(30, 4))
    labels, others = rng.integers(0, 4, 6), rng.integers(0, 4, 30)
    found = recall_of_labels(query, labels, gallery, others)
    for k in (1, 5, 10, 20):
        hits = 0
        for vector, label in zip(query, labels, strict=True):
            cosine = [float(vector @ g / np.linalg.norm(vector) / np.linalg.norm(g)) for g in gallery]
            nearest = sorted(range(30), key=lambda i: -cosine[i])[:k]
            hits += any(others[i] == label for i in nearest)
        assert found[f"R@{k}"] == pytest.approx(hits / 6)


def test_recall_of_pairs_equals_a_slow_loop_both_ways():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(40, 4)), rng.normal(size=(40, 4))
    for query, gallery in ((one, other), (other, one)):
        found = recall_of_pairs(query, gallery)
        for k in (1, 5, 10, 20):
            hits = 0
            for number, vector in enumerate(query):
                cosine = [float(vector @ g / np.linalg.norm(vector) / np.linalg.norm(g)) for g in gallery]
                hits += number in sorted(range(40), key=lambda i: -cosine[i])[:k]
            assert found[f"R@{k}"] == pytest.approx(hits / 40)


def test_pairs_and_ties():
    vectors = np.random.default_rng(0).normal(size=(40, 8))
    assert recall_of_pairs(vectors, vectors)["R@1"] == 1.0
    assert recall_of_pairs(np.ones((40, 8)), np.ones((40, 8)))["R@20"] == 0.0, "a constant finds nothing"
    with pytest.raises(CMACError, match="not finite"):
        recall_of_pairs(vectors * np.nan, vectors)


def test_retrieval_end_to_end(tiny, ucf):
    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    report = evaluate_actions(tiny, split)
    assert report["queries"] == 2 and report["gallery"] == 6 and not report["missing"]
    assert report["recall"]["chance"]["R@1"] == 0.5 and report["recall"]["CMAC"]["R@20"] == 1.0
    assert as_table(report).splitlines()[0] == "| 2 queries among 6 | R@1 | R@5 | R@10 | R@20 |"
    frames = read_clips(split.test[0].path, tiny.config.visual, 1.0, np.array([0.5]))
    assert video_features(tiny, frames).shape == (tiny.config.visual.channels,)


def test_finetuning_learns_resumes_and_reports(tiny, ucf, tmp_path):
    import copy

    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    settings = FinetuneSettings(epochs=2, batch=4, clips=2, learning_rate=0.01)
    whole = finetune(copy.deepcopy(tiny), split, tmp_path / "whole", settings)
    assert whole["tested"] == 2 and whole["chance"] == 0.5 and 0 <= whole["top1"] <= 1
    again = finetune(copy.deepcopy(tiny), split, tmp_path / "whole", settings)
    assert again["top1"] == whole["top1"], "nothing is trained twice"
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
    assert found["checkpoint"] == checkpoint_hash(load_model(str(model_folder))), "of the weights before finetuning"
    assert main([*command, "--split", "3", "--epochs", "1", "-o", str(tmp_path / "runs")]) == 1
    assert "there is no list" in capsys.readouterr().err


def test_what_finetuning_starts_from(tiny):
    copied = start_from(tiny)
    assert copied is not tiny.visual_encoder
    for one, other in zip(copied.parameters(), tiny.visual_encoder.parameters(), strict=True):
        assert torch.equal(one, other)
    fresh = start_from(tiny, "scratch")
    assert not torch.equal(next(fresh.parameters()), next(tiny.visual_encoder.parameters()))
    with pytest.raises(CMACError, match="full width"):
        start_from(tiny, "torchvision")
    with pytest.raises(CMACError, match="accepted are cmac, scratch, torchvision"):
        start_from(tiny, "imagenet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lists: (lists / "testlist01.txt").write_text("Rise/gone.avi\n"),
            "1 of 7 videos in the lists are not in",
        ),
        (lambda lists: (lists / "testlist01.txt").unlink(), "there is no list"),
        (lambda lists: (lists / "trainlist01.txt").write_text("Rise/v_Rise_g02_c01.avi 1\n"), "none to train"),
        (lambda lists: (lists / "testlist01.txt").write_text("v_Rise_g01_c01.avi\n"), "expected CLASS/VIDEO"),
        (lambda lists: (lists / "testlist01.txt").write_text("\n"), "and 0 to test"),
    ],
)
def test_wrong_lists_are_one_line(ucf, tmp_path, change, message, model_folder, capsys):
    lists = tmp_path / "lists"
    lists.mkdir()
    for path in (ucf / "lists").iterdir():
        (lists / path.name).write_text(path.read_text())
    change(lists)
    command = ["retrieve", "--model", str(model_folder), "--on", "ucf101", "--data", str(ucf / "UCF-101")]
    assert main([*command, "--lists", str(lists)]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert main(command) == 1 and "--lists FOLDER" in capsys.readouterr().err


def test_a_wrong_folder_level_is_one_line(ucf, model_folder, capsys):
    command = ["retrieve", "--model", str(model_folder), "--on", "ucf101", "--lists", str(ucf / "lists")]
    assert main([*command, "--data", str(ucf / "lists")]) == 1
    assert "holds no media file" in capsys.readouterr().err
    assert main([*command, "--data", str(ucf / "none")]) == 1
    assert "there is no folder of videos" in capsys.readouterr().err
