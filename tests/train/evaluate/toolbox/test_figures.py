import numpy as np
from PIL import Image

from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.toolbox.figures import draw_confusion, draw_precision_recall


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
