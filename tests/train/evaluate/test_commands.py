"""Each evaluation from its command to its result: tests of the path, not of a number."""

import functools
import json

import numpy as np
import pytest
from PIL import Image

from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate import retrieval
from cmac_hub.train.scenes.library import Library


@pytest.mark.parametrize(
    ("measure", "on", "data", "more", "picture"),
    [
        ("localize", "scenes", "own_folder", ["--scenes", "4"], "--sheet"),
        ("localize", "grounding", "own_folder", ["--scenes", "4"], "--figure"),
        ("localize", "movement", "own_folder", ["--scenes", "4"], None),
        ("localize", "clips", "shots", [], None),
        ("localize", "csv", "clip", [], None),
        ("probe", "csv", "sounds", ["--folds", "1"], "--figure"),
        ("retrieve", "scenes", "own_folder", [], None),
        ("retrieve", "scenes", "own_folder", ["--split", "validation"], None),
        ("retrieve", "clips", "shots", ["--split", "test"], None),
        ("retrieve", "ucf101", "ucf", ["--workers", "1"], None),
    ],
)
def test_a_measure_ends_well_and_writes_its_result(
    measure, on, data, more, picture, model_folder, tmp_path, request, capsys, monkeypatch
):
    monkeypatch.setattr(Library, "of_drawings", functools.partial(Library.of_drawings, count=2))
    monkeypatch.setattr(retrieval, "evaluate_scenes", functools.partial(retrieval.evaluate_scenes, count=4))
    folder = request.getfixturevalue(data)
    if on == "ucf101":
        folder, more = folder / "UCF-101", [*more, "--lists", str(folder / "lists")]
    if data == "clip":
        table = tmp_path / "boxes.csv"
        table.write_text(f"file,x0,y0,x1,y1\n{folder.name},0,0,0.5,1\n")
        folder, more = table, ["--videos", str(folder.parent)]
    command = [measure, "--on", on, "--data", str(folder), "--model", str(model_folder), *more]
    if picture:
        command += [picture, str(tmp_path / "picture.png")]
    assert main([*command, "-o", str(tmp_path / "result.json")]) == 0
    found = json.loads((tmp_path / "result.json").read_text())
    assert (found["measure"], found["on"]) == (measure, on) and found["result"]
    assert found["table"] in capsys.readouterr().out
    if picture:
        assert np.ptp(np.asarray(Image.open(tmp_path / "picture.png").convert("L"))) > 100


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        (["retrieve", "--on", "clips", "--split", "2"], "the splits test, validation"),
        (["retrieve", "--on", "ucf101", "--split", "test", "--lists", "x"], "the splits 1, 2, 3"),
        (["localize", "--on", "csv", "--split", "validation", "--videos", "x"], "no splits"),
    ],
)
def test_a_split_that_a_set_does_not_have_is_refused(arguments, accepted, capsys):
    assert main([*arguments, "--data", "x"]) == 1
    assert f"has {accepted}; it cannot take --split {arguments[4]}" in capsys.readouterr().err
