"""What both command lines share: encoders of one's own, one-line errors and warnings, tracebacks on demand."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import pytest
import torch

from cmac_hub import CMAC
from cmac_hub.cli import main as cmac_main
from cmac_hub.command_line import run
from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import main as train_main

ENCODER = """
from dataclasses import dataclass
from torch import nn
from cmac_hub import VisualConfig, register_encoder

@dataclass(frozen=True)
class {name}Config(VisualConfig):
    kind: str = "{name}"
    width: int = 4

class {name}(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.channels = config.width
        self.conv = nn.Conv3d(3, config.width, (2, 8, 8), (2, 8, 8))

    def forward(self, clips):
        return self.conv(clips).relu()

register_encoder("{name}", {name}Config, {name})
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A working folder with modules of somebody's encoders, which nothing has imported yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ("", str(tmp_path))])

    def write(name: str, text: str = "") -> str:
        (tmp_path / f"{name}.py").write_text(text or ENCODER.format(name=name))
        return name

    return write


def test_an_encoder_of_ones_own_is_trained_and_used_from_the_command_lines(own_module, tiny_config, clip, capsys):
    name, other = own_module("mine"), own_module("another")
    values = tiny_config.to_dict()
    values["visual"] = {k: v for k, v in values["visual"].items() if k in ("frames", "size", "multiple", "mean", "std")}
    values["visual"] |= {"map_shift": [0.0, 0.0], "kind": name, "width": 4}
    Path("mine.json").write_text(json.dumps(values))
    settings = ["architecture=mine.json", "batch=4", "steps=1", "workers=0", "drawn_clips=100"]
    command = ["pretrain", "--recipe", "nano_drawn", "-o", "run", "--device", "cpu", "--set", *settings]
    assert train_main(command) == 1 and "no such encoder as 'mine'" in capsys.readouterr().err
    assert train_main([*command, "--import", name, "--import", other]) == 0
    assert train_main(["release", "run", "-o", "out", "--import", name]) == 0
    capsys.readouterr()
    assert cmac_main(["figure", str(clip), "--time", "1", "-o", "a.png", "--model", "out", "--import", name]) == 0
    assert not capsys.readouterr().err
    assert CMAC.from_pretrained("out").config.visual.kind == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ModuleNotFoundError: No module named 'broken'"),
        ("def x(:", "SyntaxError"),
        ("raise KeyError('a')", "KeyError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(own_module, text, reason, capsys):
    if text:
        own_module("broken", text)
    for command in (["info"], ["-", "localize", "--data", "x"]):
        main, arguments = (train_main, command[1:]) if command[0] == "-" else (cmac_main, command)
        assert main([*arguments, "--import", "broken"]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "the module 'broken' could not be imported" in err and reason in err


def test_training_warns_in_one_line_and_shows_tracebacks_on_demand(monkeypatch, capsys):
    def warning(options):
        warnings.warn("one\nand two", stacklevel=1)

    monkeypatch.setattr("cmac_hub.train.commands.pretrain", warning)
    assert train_main(["pretrain"]) == 0
    assert capsys.readouterr().err == "cmac_hub.train: one and two\n"
    with pytest.raises(CMACError, match="is no result"):
        train_main(["report", "/nowhere.json", "-o", "x.md", "--debug"])
    assert train_main(["report", "/nowhere.json", "-o", "x.md"]) == 1


def test_a_full_gpu_is_one_line_with_the_way_out(capsys):
    def full(options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nIncluding ...")

    options = argparse.Namespace(debug=False)
    assert run("cmac", full, options) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "memory is full" in err and "--device cpu" in err
    options.debug = True
    with pytest.raises(torch.OutOfMemoryError):
        run("cmac", full, options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["figure", "x.mp4", "--time", "nan", "-o", "x.png"],
        ["figure", "x.mp4", "--time", "inf", "-o", "x.png"],
        ["localize", "x.mp4", "--device", "meta"],
        ["localize", "x.mp4", "--window", "nan"],
    ],
)
def test_what_means_nothing_is_a_wrong_call(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cmac_main(arguments)
    assert caught.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_training_refuses_a_device_that_computes_nothing(capsys):
    assert train_main(["localize", "--data", "x", "--device", "meta"]) == 1
    assert "the device 'meta' cannot be used (it computes nothing)" in capsys.readouterr().err
