import csv
import shutil
import subprocess

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
