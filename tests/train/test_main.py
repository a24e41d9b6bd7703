from importlib.util import find_spec

import pytest

from cmac_hub.train import commands
from cmac_hub.train.__main__ import main


def test_an_interrupt_is_one_line_and_exit_code_130(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "pretrain", interrupted)
    assert main(["pretrain"]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert "interrupted" in line


NO_TEACHER = "teacher /nowhere/yamnet.tflite" if find_spec("ai_edge_litert") else "cmac-hub[teachers]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain"], "say -o runs/NAME"),
        (["pretrain", "--set", "steps", "-o", "x"], "expected KEY=VALUE"),
        (["pretrain", "--set", "scenes=hardest", "-o", "/nowhere/run"], "accepted are easy, mixed"),
        (["pretrain", "--recipe", "nanno", "--dry-run"], "did you mean 'nano'"),
        (["pretrain", "--data", "/nowhere/manifest.csv", "-o", "/nowhere/run"], "there is no manifest"),
        (["distill", "--data", "/nowhere", "--teacher", "/nowhere/yamnet.tflite", "-o", "x"], NO_TEACHER),
        (["probe", "--data", "/nowhere", "--teacher", "/nowhere/yamnet.tflite"], NO_TEACHER),
        (["localize", "--data", "/nowhere"], "has no folder 'scenes' or 'things'"),
        (["release", "/nowhere/checkpoint.pt", "-o", "x"], "there is no checkpoint"),
        (["ablate", "table9", "-o", "/nowhere/x"], "accepted are table1"),
        (["index", "/nowhere", "-o", "x.csv"], "there is no folder or file"),
    ],
)
def test_a_wrong_call_is_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
