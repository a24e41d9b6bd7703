"""The official lists of action videos, on a generated set."""

import pytest

from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.toolbox.actions import find_split


def test_official_lists(ucf, tmp_path):
    split = find_split("ucf101", ucf / "UCF-101", ucf / "lists")
    assert len(split.train) == 6 and len(split.test) == 2
    assert {one.label for one in split.test} == {"Rise", "Fall"}
    (tmp_path / "brush_hair_test_split1.txt").write_text("v_Rise_g01_c01.avi 2\nv_Rise_g02_c01.avi 1\nother.avi 0\n")
    hmdb = find_split("hmdb51", ucf / "UCF-101", tmp_path)
    assert [one.label for one in hmdb.train + hmdb.test] == ["brush_hair"] * 2


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
