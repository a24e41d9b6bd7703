"""Two processes (gloo) against one: the same run, since every row, key and gradient is shared out or gathered.

PyTorch's synchronised batch norm refuses CPU tensors, so batch norms are frozen here.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.train import distributed
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.distributed import World, pick_device

SETTINGS = ["batch=8", "steps=6", "log_every=1", "drawn_clips=1000", "workers=0", "bf16=false", "optimizer=sgd"]
SETTINGS += ["learning_rate=0.1", "warmup_steps=1", "decay_steps=1", "frozen_batch_norm=true"]


COMMAND = """
import os
from contextlib import nullcontext

from cmac_hub.train import __main__, modules, pretrain

modules.BACKEND = "eager"
open_source = pretrain.open_source


class Asked:
    # The second process alone is asked to stop, in its third step.
    steps = 0

    def __bool__(self):
        self.steps += 1
        return os.environ["RANK"] == "1" and self.steps >= 3


class Broken:
    # A row of the second process in the fourth step.
    def __init__(self, source):
        self.videos, self.hash, self.name, self._pair = source.videos, source.hash, source.name, source.pair

    def pair(self, index, view=0):
        found = self._pair(index, view)
        if index == 8 * 3 + 5:
            found.waveform[7] = float("nan")
        return found


if EVENT == "asked":
    pretrain.catching_signals = lambda: nullcontext(Asked())
if EVENT == "broken":
    pretrain.open_source = lambda *given, **how: Broken(open_source(*given, **how))
raise SystemExit(__main__.main())
"""


def start(folder, processes, extra, *options, event=None):
    script = folder.parent / "train.py"
    script.write_text(COMMAND.replace("EVENT", repr(event)))
    command = [str(script), "pretrain", "--device", "cpu", "--threads", "1"]
    command += ["--set", *SETTINGS, *extra, "-o", str(folder), *options]
    if processes > 1:
        command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300)


def rows_of(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def run(folder, processes, extra, *options):
    done = start(folder, processes, extra, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    return rows_of(folder), read_checkpoint(folder)


@pytest.mark.parametrize("extra", [["bank=0"], ["bank=15", "ema_momentum=0.9", "accumulate=2"]], ids=["batch", "bank"])
def test_two_processes_train_as_one(tmp_path, extra):
    one, first = run(tmp_path / "one", 1, extra)
    # In another way of computing the same.
    lean = ["padded_planes=64", "checkpointing=true", *(["compile=true"] if "bank=0" in extra else [])]
    two, second = run(tmp_path / "two", 2, extra + lean)
    # Without a bank, a micro-batch would be another set of negatives; with one it is not.
    for name in ("loss", "contrastive", "consistency", "accuracy"):
        for a, b in zip(one, two, strict=True):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=2e-3, abs=2e-4), (name, a["step"])
    assert len({row["loss"] for row in one}) == 6, "it learns: no two losses are alike"
    for name, tensor in first["model"].items():
        torch.testing.assert_close(second["model"][name], tensor, rtol=2e-3, atol=2e-4, msg=name)
    if first["bank"] is not None:
        assert torch.equal(first["bank"]["video_K"], second["bank"]["video_K"])
        torch.testing.assert_close(first["bank"]["visual_KD"], second["bank"]["visual_KD"], rtol=2e-3, atol=2e-3)


def test_broken_videos_of_all_processes_are_counted(clip, tmp_path):
    (tmp_path / "some.csv").write_text("\n".join(["path,start,end", *[f"{clip},0,3"] * 3, "gone.mp4,0,3"]))
    how = (["steps=3", "broken_share=1", "bank=0"], "--data", str(tmp_path / "some.csv"))
    one, _ = run(tmp_path / "one", 1, *how)
    two, _ = run(tmp_path / "two", 2, *how)
    counts = [int(row["replaced"]) for row in one]
    assert sum(counts) >= 6, "a quarter of 24 videos is missing"
    assert [int(row["replaced"]) for row in two] == counts


def test_all_processes_stop_at_the_same_step_though_one_alone_is_asked(tmp_path):
    """They read what the others said a step ago, so that none waits for this step's end."""
    done = start(tmp_path / "run", 2, ["bank=0"], event="asked")
    assert done.returncode == 0 and "stopped and saved at step 4 of 6" in done.stderr, done.stderr[-2000:]
    assert [row["step"] for row in rows_of(tmp_path / "run")] == ["1", "2", "3", "4"]
    assert read_checkpoint(tmp_path / "run")["step"] == 4


def test_no_process_saves_a_step_in_which_anothers_loss_was_no_number(tmp_path):
    done = start(tmp_path / "run", 2, ["bank=15", "checkpoint_every=1"], event="broken")
    assert done.returncode != 0
    assert "the loss is nan at step 3; " in done.stderr and "its sound is no number somewhere" in done.stderr
    kept = read_checkpoint(tmp_path / "run")
    assert kept["step"] == 3 and all(torch.isfinite(value).all() for value in kept["model"].values())
    assert len(list((tmp_path / "run").glob("nan_step_00000003_rank_1.pt"))) == 1


def test_a_device_that_is_not_there_is_one_line():
    for name in ("nowhere", "xpu"):
        with pytest.raises(CMACError, match=f"the device '{name}' cannot be used"):
            pick_device(name)
    assert pick_device("cpu").type == "cpu"


class Exited(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("error", [CMACError("the disk is full"), ZeroDivisionError("division by zero")])
def test_a_process_that_fails_among_gpus_says_why_and_does_not_wait_for_the_others(error, monkeypatch, capsys):
    """Leaving NCCL's group would wait for processes that wait for this one."""

    events = []

    def exit_at_once(code):
        events.append("exited")
        raise Exited(code)

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "pick_device", lambda _: torch.device("cuda", 1))
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: events.append("left"))
    monkeypatch.setattr(distributed.os, "_exit", exit_at_once)
    with distributed.join_world() as world:
        assert (world.rank, world.size) == (1, 2)
    assert events == ["left"]
    with pytest.raises(Exited, match="1"), distributed.join_world():
        raise error
    assert events[1] == "exited"
    said = capsys.readouterr().err
    if isinstance(error, CMACError):
        assert said == "cmac_hub.train: process 1: the disk is full\n"
    else:
        assert "Traceback" in said and "division by zero" in said


def test_a_world_of_one_needs_no_network():
    world, rows = World(), torch.arange(3.0)
    assert world.gather(rows) is rows and world.gather_with_gradient(rows) is rows and world.mean(rows) is rows
    assert world.first and world.any(True) and not world.any(False)
