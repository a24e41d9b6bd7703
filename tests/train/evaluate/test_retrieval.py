import numpy as np
import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.evaluate.retrieval import (
    as_table,
    evaluate_actions,
    evaluate_scenes,
    evaluate_shots,
    recall_of_labels,
    recall_of_pairs,
    video_features,
)
from cmac_hub.train.evaluate.toolbox.actions import find_split
from cmac_hub.train.evaluate.toolbox.clips import read_clips


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
    assert video_features(tiny, frames).shape == (tiny.channels("visual"),)


def test_scenes_and_shots_are_those_of_the_split(tiny, own_folder, shots):
    test, validation = (evaluate_scenes(tiny, own_folder, split, count=20) for split in ("test", "validation"))
    assert test["known"]["recall"] != validation["known"]["recall"]
    assert evaluate_shots(tiny, shots, "test")["queries"] == 2
    with pytest.raises(CMACError, match="none of the 0 validation shots"):
        evaluate_shots(tiny, shots, "validation")
