"""What `cmac localize` tells besides drawing: the table, the maps, the page; whatever becomes of some videos."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lines import one_error

from cmac_hub.cli.told import COLUMNS
from cmac_hub.visualizer import Visualizer


@pytest.fixture
def folder(clip, tmp_path):
    """Two videos and a broken one; what is told goes elsewhere."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    shutil.copy(clip, tmp_path / "in" / "a <b>.mp4")
    (tmp_path / "in" / "broken.mp4").write_text("no video")
    shutil.copy(clip, tmp_path / "in" / "sub" / "c.mp4")
    return tmp_path / "in"


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_told_of_as_a_whole(cmac, folder, tmp_path):
    out = tmp_path / "out"
    told = "--report", out / "report.html", "--csv", out / "peaks.csv", "--maps", out / "maps", "--json", "--hop", 1
    code, stdout, err = cmac("localize", folder, "-o", out, *told)
    assert code == 1 and "1 of 3 files failed" in err
    names = {str(one.relative_to(out)) for one in out.rglob("*") if one.is_file()}
    assert names == {
        "a <b>_attention.mp4", "sub/c_attention.mp4", "maps/a <b>_attention.npz", "maps/sub/c_attention.npz",
        "peaks.csv", "report.html",
    }  # fmt: skip
    lines, rows = [json.loads(line) for line in stdout.splitlines()], rows_of(out / "peaks.csv")
    assert list(rows[0]) == COLUMNS and len(rows) == len(lines) == 6
    for line, row in zip(lines, rows, strict=True):
        box = line.pop("box")
        assert [row.pop(name) for name in ("left", "top", "right", "bottom")] == (
            list(map(str, box)) if box else [""] * 4
        )
        assert row["file"] == line["file"] and {row[name] for name in ("audible", "lit", "padded")} <= {"True", "False"}
        for name in ("time", "x", "y", "score", "sound_level", "agreement"):
            assert float(row[name]) == pytest.approx(line[name], abs=0.06)
    with np.load(out / "maps" / "sub" / "c_attention.npz") as maps:
        assert len(maps["times"]) == 3 and "visual_prediction" in maps and "audio_joint" in maps
    page = (out / "report.html").read_text()
    assert 'href="sub/c_attention.mp4"' in page and 'href="a%20%3Cb%3E_attention.mp4#t=' in page
    assert page.count("<article") == 2 and "1 failed" in page and "broken.mp4 is no media file" in page


def test_what_is_there_is_kept_and_told_of_all_the_same(cmac, folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    (folder / "broken.mp4").unlink()
    assert cmac("localize", folder, "-o", out, "--maps", tmp_path / "maps", "--csv", tmp_path / "1.csv")[0] == 0
    (tmp_path / "maps" / "sub" / "c_attention.npz").unlink()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*_attention.*")}
    code, stdout, err = cmac(
        "localize", folder, "-o", out, "--maps", tmp_path / "maps", "--csv", tmp_path / "2.csv",
        "--report", tmp_path / "report.html",
    )  # fmt: skip
    assert (code, stdout, err.count("is kept")) == (0, "", 2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept and len(kept) == 3
    assert (tmp_path / "maps" / "sub" / "c_attention.npz").exists()
    assert rows_of(tmp_path / "1.csv") == rows_of(tmp_path / "2.csv")
    assert (tmp_path / "report.html").read_text().count("<article") == 2
    monkeypatch.setattr(Visualizer, "locate", None)
    assert cmac("localize", folder, "-o", out, "--maps", tmp_path / "maps")[0] == 0, "nothing is looked at in vain"


def test_of_one_video_maps_are_a_file(cmac, clip, tmp_path):
    out = tmp_path / "out.mp4"
    told = "--maps", tmp_path / "maps.npz", "--csv", tmp_path / "peaks.csv", "--report", tmp_path / "r.html"
    assert cmac("localize", clip, "-o", out, *told)[::2] == (0, "")
    with np.load(tmp_path / "maps.npz") as maps:
        assert len(maps["times"]) == len(rows_of(tmp_path / "peaks.csv"))
    assert 'href="out.mp4"' in (tmp_path / "r.html").read_text()


def test_what_may_not_be_is_refused_before_anything_is_done(cmac, clip, folder, tmp_path):
    out = "-o", tmp_path / "out.mp4"
    for option, name in (("--csv", "peaks.csv"), ("--report", "r.html"), ("--maps", "m.npz")):
        path = tmp_path / name
        assert "there is no folder" in one_error(cmac("localize", clip, *out, option, tmp_path / "no" / name)[2])
        assert f"its name must end in {path.suffix}" in one_error(cmac("localize", clip, *out, option, clip)[2])
        path.write_text("precious")
        code, _, err = cmac("localize", clip, *out, option, path)
        assert code == 1 and "--overwrite" in one_error(err) and path.read_text() == "precious"
    code, _, err = cmac("localize", folder, "-o", tmp_path / "out", "--maps", tmp_path / "all.npz")
    assert code == 1 and "give a folder for those of several" in one_error(err)
    assert not (tmp_path / "out.mp4").exists() and not list((tmp_path / "out").iterdir())


def test_an_interrupt_keeps_the_page_and_the_table(cmac, folder, tmp_path, monkeypatch):
    render = Visualizer.render

    def interrupted(self, info, *rest, **how):
        if info.path.name == "c.mp4":
            raise KeyboardInterrupt
        return render(self, info, *rest, **how)

    monkeypatch.setattr(Visualizer, "render", interrupted)
    told = "--report", tmp_path / "r.html", "--csv", tmp_path / "p.csv", "--maps", tmp_path / "maps"
    code, _, err = cmac("localize", folder, "-o", tmp_path / "out", *told, "--hop", 1)
    assert code == 130 and "interrupted; what was finished is kept" in err
    assert len(rows_of(tmp_path / "p.csv")) == 3
    page = (tmp_path / "r.html").read_text()
    assert page.count("<article") == 1 and "1 failed" in page and "interrupted" in page
    assert [one.name for one in (tmp_path / "maps").rglob("*") if one.is_file()] == ["a <b>_attention.npz"]


def test_a_name_that_is_no_text_is_told_of(model_folder, clip, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(clip, tmp_path / "in" / "caf\udce9.mp4")
    call = "localize", "in", "-o", "out", "--hop", "1", "--report", "r.html", "--csv", "p.csv", "--model", model_folder
    # In a process of its own: what is printed is no text either.
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", "cmac_hub", *map(str, call)]
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert b"caf\xe9.mp4,0.5" in (tmp_path / "p.csv").read_bytes()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "caf%E9_attention.mp4" in page and "<bdi>café.mp4</bdi>" in page
