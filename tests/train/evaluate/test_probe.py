import csv
import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cmac_hub.errors import CMACError
from cmac_hub.hub import checkpoint_hash
from cmac_hub.train.__main__ import main
from cmac_hub.train.distillation.teacher import YAMNet
from cmac_hub.train.evaluate import probe
from cmac_hub.train.evaluate.probe import (
    STRENGTHS,
    as_table,
    classify,
    cut_crops,
    encoder_features,
    evaluate_probe,
    log_mel_statistics,
    mfcc_statistics,
    teacher_features,
)
from cmac_hub.train.evaluate.sets import Crops
from cmac_hub.train.evaluate.toolbox.sounds import find_sounds


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def test_crops_are_even_and_a_short_sound_is_repeated():
    ramp = np.arange(100, dtype=np.float32)
    crops = cut_crops(ramp, Crops(3, 0.4), 100)
    assert crops[:, 0].tolist() == [0, 30, 60] and crops.shape == (3, 40)
    assert cut_crops(ramp[:15], Crops(2, 0.4), 100)[0, 15] == 0


def test_descriptions_have_one_row_a_crop(tiny):
    crops = torch.randn(3, 16000) / 10
    config = tiny.config.audio
    with torch.inference_mode():
        assert encoder_features(tiny)(crops).shape == (3, 2 * tiny.channels("audio"))
        assert log_mel_statistics(config)(crops).shape == (3, 128)
        assert mfcc_statistics(config)(crops).shape == (3, 160)


def test_the_classifier_finds_what_is_linear_and_not_what_is_noise():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 60)
    folds = np.tile(["1", "2", "3"], 40)
    features = rng.normal(0, 1, (120, 4, 5)) + (labels == "a")[:, None, None]
    right = labels[folds == "3"]
    assert (classify(features, labels, folds, "3") == right).mean() > 0.95
    noise = rng.normal(0, 1, (120, 4, 5))
    assert 0.25 < (classify(noise, labels, folds, "3") == right).mean() < 0.75


def test_the_classifier_is_scikit_learns_with_crops_scores_averaged():
    """Against scikit-learn called directly, at the one strength that is tried."""
    rng = np.random.default_rng(1)
    labels, folds = np.repeat(["a", "b", "c"], 30), np.tile(["1", "2", "3"], 30)
    features = rng.normal(0, 2, (90, 3, 6)) + (labels[:, None] == ["a", "b", "c"]).repeat(2, 1)[:, None]
    train, crops = folds != "3", features.shape[1]
    scaler = StandardScaler().fit(features[train].reshape(-1, 6))
    model = LogisticRegression(C=0.1, max_iter=200, tol=1e-3)
    model.fit(scaler.transform(features[train].reshape(-1, 6)), labels[train].repeat(crops))
    expected = []
    for recording in features[~train]:
        scores = sum(model.predict_log_proba(scaler.transform(crop[None]))[0] for crop in recording)
        expected.append(model.classes_[int(scores.argmax())])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmac_hub.train.evaluate.probe.STRENGTHS", (0.1,))
        assert classify(features, labels, folds, "3").tolist() == expected


@pytest.mark.parametrize("best", STRENGTHS)
@pytest.mark.parametrize("others", [{"1", "2"}, {"1"}])
def test_the_regularization_is_chosen_without_the_tested_fold(best, others, monkeypatch):
    labels, folds = np.tile(["a", "b"], 30), np.repeat(sorted({*others, "3"}), 60 // (len(others) + 1))
    calls = []

    def fit(_, labels, train, test, strength):
        """Right at the best strength alone, and on the tested fold at another, which must not matter."""
        calls.append((train, test, strength))
        right = strength == (best if "3" not in folds[test] else min(set(STRENGTHS) - {best}))
        return labels[test] if right else np.full(len(test), "none")

    monkeypatch.setattr(probe, "_fit", fit)
    classify(np.random.default_rng(0).normal(size=(60, 2, 3)), labels, folds, "3")
    *tried, (train, test, strength) = calls
    assert [one for *_, one in tried] == list(STRENGTHS) and strength == best
    for fitted, held, _ in tried:
        assert sorted([*fitted, *held]) == np.flatnonzero(folds != "3").tolist() and len(fitted) and len(held)
    assert train.tolist() == np.flatnonzero(folds != "3").tolist()
    assert test.tolist() == np.flatnonzero(folds == "3").tolist()


def test_seeds_move_crops_and_give_a_spread(tiny, sounds):
    ramp = np.arange(100, dtype=np.float32)
    moved = cut_crops(ramp, Crops(3, 0.4), 100, np.random.default_rng(1))[:, 0]
    assert moved.tolist() != [0, 30, 60] and (moved >= 0).all() and (moved <= 60).all()
    report = evaluate_probe(tiny, find_sounds("csv", sounds), Crops(2, 1.0), ["1", "3"], seeds=(0, 1))
    assert report["seeds"] == [0, 1] and report["spread"]["chance"] == 0
    assert len(report["truth"]) == len(report["predicted"]) == 2 * 2 * 4
    right = np.mean([a == b for a, b in zip(report["truth"], report["predicted"], strict=True)])
    assert right == pytest.approx(np.mean(list(report["accuracy"]["CMAC"].values())))
    report["spread"]["CMAC"] = 0.012
    assert " +- 1.2 |" in as_table(report)


def test_the_papers_row_is_marked_as_the_papers(tiny, sounds):
    report = evaluate_probe(tiny, find_sounds("csv", sounds), Crops(1, 1.0), ["1"], floors=False)
    assert set(report["accuracy"]) == {"CMAC", "chance"}
    lines = as_table({"set": "dcase2013", **report}).splitlines()
    assert lines[-1] == "| *the paper:* CMAC | - | 76.0 |" and len(lines) == 8


def test_a_probe_end_to_end(tiny, sounds):
    report = evaluate_probe(tiny, find_sounds("csv", sounds), Crops(2, 1.0))
    assert set(report["accuracy"]) == {"CMAC", "random weights", "log-mel statistics", "MFCC statistics", "chance"}
    assert list(report["accuracy"]["CMAC"]) == ["1", "2", "3"]
    assert report["accuracy"]["log-mel statistics"]["3"] == 1.0
    assert report["accuracy"]["chance"]["1"] == 0.5
    assert as_table(report).splitlines()[0] == "| features | fold 1 | fold 2 | fold 3 | mean |"
    assert len(checkpoint_hash(tiny)) == 12


class Loudness:
    """A teacher that hears half as many samples a second, and tells nothing but the level."""

    name, sample_rate, samples, size = "Loudness", 8000, 4000, 1

    def embed(self, waveforms_BN):
        assert waveforms_BN.shape[1] == self.samples
        return np.sqrt(np.mean(waveforms_BN**2, axis=1, keepdims=True))

    def about(self):
        return {}


def test_a_teacher_stands_beside_the_network(tiny, sounds):
    report = evaluate_probe(tiny, find_sounds("csv", sounds), Crops(2, 1.0), ["1"], floors=False, teacher=Loudness())
    assert list(report["accuracy"]) == ["CMAC", "the teacher, Loudness", "chance"]
    crops = torch.full((2, 16000), 0.25)
    found = teacher_features(Loudness(), 16000)(crops)
    assert found.shape == (2, 1) and found[0, 0].item() == pytest.approx(0.25, rel=0.02)


@pytest.mark.extras
def test_yamnet_hears_more_than_its_untrained_student(tiny, shared, sounds):
    teacher = YAMNet(shared / "teachers" / "yamnet.tflite")
    found = teacher_features(teacher, 16000)(torch.randn(3, 32000) / 10)
    assert found.shape == (3, teacher.size) and (found >= 0).all()
    report = evaluate_probe(tiny, find_sounds("csv", sounds), Crops(2, 1.0), ["1"], floors=False, teacher=teacher)
    assert report["accuracy"]["the teacher, YAMNet"]["1"] == 1.0


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["path", "label", "fold"], [], "has no column file; found path, label, fold"),
        (["file", "label", "fold"], [], "holds no recording"),
        (["file", "label", "fold"], [["gone.wav", "a", 1]], "1 of 1 recordings of csv are missing"),
    ],
)
def test_wrong_tables_are_one_line(tmp_path, header, rows, message, model_folder, capsys):
    table = write_csv(tmp_path / "sounds.csv", header, rows)
    assert main(["probe", "--model", str(model_folder), "--on", "csv", "--data", str(table)]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_wrong_folds_classes_and_features(tiny, sounds, tmp_path):
    found = find_sounds("csv", sounds)
    with pytest.raises(CMACError, match="there is no fold 9; found 1, 2, 3"):
        evaluate_probe(tiny, found, Crops(1, 1.0), ["9"])
    with pytest.raises(CMACError, match="at least two classes"):
        evaluate_probe(tiny, [one for one in found if one.label == "low"], Crops(1, 1.0))
    with pytest.raises(CMACError, match="there is no file"):
        find_sounds("esc50", tmp_path)
    with pytest.raises(CMACError, match="all recordings are of the fold train"):
        evaluate_probe(tiny, [dataclasses.replace(one, fold="train") for one in found], Crops(1, 1.0))
    with pytest.raises(CMACError, match="beside the fold 1 there are not two classes"):
        evaluate_probe(tiny, [dataclasses.replace(one, fold="1") for one in found], Crops(1, 1.0))
    two = [dataclasses.replace(one, fold="1" if one.label == "low" else "2") for one in found]
    with pytest.raises(CMACError, match="not two classes to learn from"):
        evaluate_probe(tiny, two, Crops(1, 1.0))


def test_an_inner_split_of_one_class_chooses_nothing():
    """Fold 3, which the regularization would be chosen with, has all that is left of one class."""
    features = np.random.default_rng(0).normal(size=(6, 1, 4))
    labels, folds = np.array(["a", "b", "a", "a", "b", "b"]), np.array(["1", "1", "2", "2", "3", "3"])
    assert set(classify(features, labels, folds, "1")) <= {"a", "b"}


def test_features_that_are_not_finite_are_named(tiny, sounds):
    import copy

    broken = copy.deepcopy(tiny)
    with torch.no_grad():
        next(broken.audio_encoder.parameters()).fill_(float("nan"))
    with pytest.raises(CMACError, match=r"the features \(CMAC\) of .* are not finite"):
        evaluate_probe(broken, find_sounds("csv", sounds), Crops(1, 1.0))
