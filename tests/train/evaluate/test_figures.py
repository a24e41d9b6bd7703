import numpy as np
from PIL import Image
from sklearn import metrics

from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.figures import confusion_matrix, draw_confusion, draw_precision_recall, precision_recall


def test_confusion_equals_scikit_learns():
    rng = np.random.default_rng(0)
    truth, said = (rng.choice(["cat", "dog", "owl"], 50).tolist() for _ in range(2))
    classes, counts = confusion_matrix(truth, said)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(truth, said, labels=classes))


def test_precision_and_recall_equal_scikit_learns_ties_included():
    rng = np.random.default_rng(0)
    there, absent = rng.integers(3, 12, 40) / 10, rng.integers(0, 9, 60) / 10
    precision, recall = precision_recall(there, absent)
    truth, scores = np.r_[np.ones(40), np.zeros(60)], np.r_[there, absent]
    theirs, theirs_recall, _ = metrics.precision_recall_curve(truth, scores)
    np.testing.assert_allclose(precision, theirs[:-1][::-1])
    np.testing.assert_allclose(recall, theirs_recall[:-1][::-1])


def test_pictures_are_written(tmp_path):
    draw_confusion(["a", "b", "b"], ["a", "a", "b"], tmp_path / "confusion.png")
    draw_precision_recall({"known": {"there": [0.9, 0.5], "absent": [0.2]}}, tmp_path / "curve.png")
    for name in ("confusion.png", "curve.png"):
        assert np.ptp(np.asarray(Image.open(tmp_path / name).convert("L"))) > 100


def test_a_picture_that_could_not_be_written_is_said_before_the_work(tmp_path, capsys):
    for path in ("curve.txt", "gone/curve.png"):
        command = ["localize", "--on", "grounding", "--data", str(tmp_path), "--figure", str(tmp_path / path)]
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "cannot be drawn; give a .png or .jpg" in error and error.count("\n") == 1
