import csv
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from cmac_hub.errors import OutputError
from cmac_hub.train import runlog
from cmac_hub.train.runlog import FIGURES, PACE, RunLog, environment


def test_without_git_the_revision_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert environment()["git_revision"] == "unknown"


def test_a_repository_that_does_not_track_the_package_is_not_its_revision(tmp_path, monkeypatch):
    """As a virtual environment in the folder of another project."""
    shutil.copy(runlog.__file__, tmp_path / "runlog.py")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(runlog, "__file__", str(tmp_path / "runlog.py"))
    assert environment()["git_revision"] == "unknown"
    for words in (["add", "runlog.py"], ["commit", "-q", "-m", "two"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert len(environment()["git_revision"]) == 40


def test_a_log_goes_on_after_its_last_saved_step(tmp_path):
    for step in (0, 1):
        with RunLog(tmp_path, step) as log:
            for number in (1, 2):
                log.add({}, 4, 0, 0.0)
                log.write(step + number, 0.1)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["step", *FIGURES, *PACE] and [row["step"] for row in rows] == ["1", "2", "3"]


def test_a_line_that_was_begun_goes_on(tmp_path):
    """The checkpoint lies between two lines: the mean is of all steps since the line before, not of the last ones."""
    values = [dict.fromkeys(FIGURES, torch.tensor(0.1 * number)) for number in range(6)]
    for run in ("whole", "parts"):
        (tmp_path / run).mkdir()
    with RunLog(tmp_path / "whole", 0) as log:
        for figures in values:
            log.add(figures, 4, 1, 0.0)
        log.write(6, 0.1)
    with RunLog(tmp_path / "parts", 0) as log:
        for figures in values[:4]:
            log.add(figures, 4, 1, 0.0)
        begun = log.begun()
        log.add(dict.fromkeys(FIGURES, torch.tensor(9.0)), 4, 1, 0.0)
    torch.save(begun, tmp_path / "begun.pt")
    begun = torch.load(tmp_path / "begun.pt", weights_only=True)
    with RunLog(tmp_path / "parts", 4, begun=begun) as log:
        for figures in values[4:]:
            log.add(figures, 4, 1, 0.0)
        log.write(6, 0.1)
    whole, parts = (list(csv.DictReader((tmp_path / run / "log.csv").open())) for run in ("whole", "parts"))
    assert len(whole) == len(parts) == 1
    assert all(whole[0][name] == parts[0][name] for name in ["step", *FIGURES, "replaced"])


def test_a_line_that_a_power_cut_cut_is_dropped(tmp_path):
    with RunLog(tmp_path, 0) as log:
        for number in (1, 2):
            log.add({}, 4, 0, 0.0)
            log.write(number, 0.1)
    path = tmp_path / "log.csv"
    path.write_text(path.read_text()[:-20])
    with RunLog(tmp_path, 2):
        pass
    assert [row["step"] for row in csv.DictReader(path.open())] == ["1"]


def test_a_log_on_a_full_disk_is_one_line_that_names_it(tmp_path):
    with (
        pytest.raises(OutputError, match=r"log\.csv could not be written: the disk is full"),
        RunLog(tmp_path, 0) as log,
    ):
        log._file.close()
        log._file = Path("/dev/full").open("w")  # noqa: SIM115
        log._csv = csv.DictWriter(log._file, log.columns)
        log.write(1, 0.1)
