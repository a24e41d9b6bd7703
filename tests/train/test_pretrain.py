import copy
import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch

from cmac_hub.errors import CMACError, OutputError
from cmac_hub.model import CMAC
from cmac_hub.train import loss_check, modules
from cmac_hub.train import pretrain as module
from cmac_hub.train import step as steps
from cmac_hub.train.__main__ import main
from cmac_hub.train.augmentation import augment_spectrograms
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.momentum import MemoryBank
from cmac_hub.train.objective import Keys, Negatives, objective
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import load_recipe


def train(recipe, run, **how):
    return pretrain(recipe, None, run, progress=False, **how)


@pytest.mark.parametrize("changes", [{}, {"bank": 0}, {"accumulate": 2}, {"within_positives": True, "log_every": 3}])
def test_a_resumed_run_equals_an_unbroken_one(recipe, tmp_path, changes, monkeypatch):
    recipe = recipe.replace(**changes)
    whole = train(recipe, tmp_path / "whole")
    signals = []
    monkeypatch.setattr(module, "catching_signals", lambda: nullcontext(signals))
    original = modules.make_optimizer

    def interrupting(*arguments):
        optimizer = original(*arguments)
        optimizer.register_step_post_hook(lambda *_: signals.append(15) if interrupting.left.pop() == 0 else None)
        return optimizer

    interrupting.left = [9, 9, 9, 9, 0, 9, 9, 9]
    monkeypatch.setattr(modules, "make_optimizer", interrupting)
    with pytest.raises(module.StoppedError, match="saved at step 4 of 6"):
        train(recipe, tmp_path / "parts")
    assert sorted(p.name for p in (tmp_path / "parts" / "checkpoints").glob("step*"))[-1] == "step_00000004.pt"
    monkeypatch.setattr(modules, "make_optimizer", original)
    signals.clear()
    parts = train(recipe, tmp_path / "parts", resume=True)
    for (name, one), two in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    logs = [[{k: v for k, v in row.items() if "per_second" not in k and "waiting" not in k}
             for row in csv.DictReader((tmp_path / run / "log.csv").open())] for run in ("whole", "parts")]  # fmt: skip
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"consistency_weight": 0.0},
        {"contrastive_weight": 0.0},
        {"cross_modal": False, "consistency_weight": 0.0},
        {"within_negatives": False},
        {"within_positives": True, "within_negatives": False},
        {"normalization": "none", "scales": 1},
        {"normalization": "softmax", "scales": 3},
        {"shared_head": False, "optimizer": "sgd", "bank": 0},
        {"detach_target": False, "reduction": "sum", "frozen_batch_norm": True},
    ],
)
def test_every_option_trains(recipe, tmp_path, changes):
    before = recipe.replace(steps=2, log_every=1, **changes)
    model = train(before, tmp_path)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert float(rows[-1]["clips_per_second"]) > 0


def test_micro_batches_with_a_bank_give_the_gradient_of_the_whole(recipe, tmp_path):
    """With frozen batch norms, a step in two parts is the same step."""
    recipe = recipe.replace(frozen_batch_norm=True, bf16=False, time_warp=0, mask_share=0.0, optimizer="sgd")
    whole = train(recipe, tmp_path / "whole")
    parts = train(recipe.replace(accumulate=2), tmp_path / "parts")
    for (name, one), two in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4, msg=name)


def test_the_settings_of_the_objective_reach_it(recipe, tmp_path, monkeypatch):
    given = []

    def spy(output, video_B, settings, **how):
        given.append(settings)
        return objective(output, video_B, settings, **how)

    monkeypatch.setattr(steps, "objective", spy)
    recipe = recipe.replace(steps=1, temperature=0.2, mil_weight=0.3)
    train(recipe, tmp_path)
    assert given == [recipe.objective]


def test_a_run_is_the_loop_written_by_hand(recipe, tmp_path, monkeypatch):
    """SGD with momentum, the rate of each step, keys of a copy that follows slowly, a list of the latest 20 keys."""
    # Large steps, so that three of them show every term in the weights.
    recipe = recipe.replace(
        steps=3, log_every=1, optimizer="sgd", learning_rate=0.02, weight_decay=0.1, ema_momentum=0.5,
        frozen_batch_norm=True, bf16=False,
    )  # fmt: skip
    given = []

    def spy(spectrograms, **how):
        given.append(how)
        return augment_spectrograms(spectrograms, **how)

    monkeypatch.setattr(steps, "augment_spectrograms", spy)
    trained = train(recipe, tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert len({how["seed"] for how in given}) == len(rows) == 3
    assert all((how["time_warp"], how["mask_share"]) == (recipe.time_warp, recipe.mask_share) for how in given)

    torch.manual_seed(recipe.seed)
    model = CMAC(recipe.config).eval()
    follower = copy.deepcopy(model)
    speeds = [torch.zeros_like(p) for p in model.parameters()]
    start = MemoryBank(20, 8, recipe.seed).negatives()
    bank = list(zip(*start, strict=True))
    source = module.open_source(recipe, None)
    # Two steps of warm-up, then half a cosine over the last two.
    for step, rate in enumerate([0.01, 0.02, 0.01]):
        pairs = [source.pair(8 * step + row) for row in range(8)]
        videos = torch.tensor([pair.video for pair in pairs])
        clips, spectrograms = model.prepare(*(torch.stack([pair[i] for pair in pairs]) for i in range(2)))
        spectrograms = augment_spectrograms(spectrograms, **given[step])
        with torch.no_grad():
            for slow, fast in zip(follower.parameters(), model.parameters(), strict=True):
                slow.copy_(0.5 * slow + 0.5 * fast)
            keys = Keys(follower.visual_stream(clips).embedding, follower.audio_stream(spectrograms).embedding)
        negatives = Negatives(*(torch.stack(column) for column in zip(*bank, strict=True)))
        losses = objective(model(clips, spectrograms), videos, recipe.objective, keys=keys, negatives=negatives)
        model.zero_grad()
        losses.total.backward()
        with torch.no_grad():
            for p, speed in zip(model.parameters(), speeds, strict=True):
                speed.copy_(0.9 * speed + p.grad + (0.1 * p if p.ndim > 1 else 0))
                p -= rate * speed
        bank = [*bank, *zip(*keys, videos, strict=True)][-20:]
        for name, value in zip(("loss", "contrastive", "consistency", "accuracy"), losses, strict=True):
            assert float(rows[step][name]) == pytest.approx(value.item(), abs=1e-4), (step, name)

    torch.testing.assert_close(trained.state_dict(), model.state_dict(), atol=1e-5, rtol=1e-4)
    kept = read_checkpoint(tmp_path)["bank"]
    order = kept["video_K"].argsort()
    for name, column in zip(("visual_KD", "audio_KD", "video_K"), zip(*bank, strict=True), strict=True):
        torch.testing.assert_close(kept[name][order], torch.stack(column), atol=1e-5, rtol=1e-4, msg=name)


def test_a_run_folder_tells_how_it_was_made(recipe, tmp_path):
    train(recipe, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"recipe.json", "environment.json", "log.csv", "checkpoints"} <= names
    assert load_recipe(str(tmp_path / "recipe.json")).steps == 6
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"step_00000003.pt", "step_00000006.pt"}


def test_a_folder_with_a_run_is_not_overwritten(recipe, tmp_path):
    train(recipe.replace(steps=1), tmp_path)
    with pytest.raises(CMACError, match="stands at step_00000001; add --resume"):
        train(recipe, tmp_path)
    for changes, message in (
        ({"learning_rate": 5.0}, "was trained with learning_rate = 0.001, now it is 5.0"),
        ({"architecture": "cmac-nano"}, "choose another output folder"),
    ):
        with pytest.raises(CMACError, match=message):
            train(recipe.replace(**changes), tmp_path, resume=True)


def test_a_loss_that_is_no_number_keeps_its_inputs(recipe, tmp_path):
    with pytest.raises(CMACError, match=r"the loss is (nan|inf) at step 0; .*its inputs are in"):
        train(recipe.replace(temperature=1e-40), tmp_path)
    kept = torch.load(next(tmp_path.glob("nan_step_*.pt")), weights_only=True)
    assert kept["frames"].shape[0] == 8 and (kept["step"], kept["rank"], kept["part"]) == (0, 0, 0)
    assert not (tmp_path / "checkpoints").exists()


def test_a_loss_that_is_no_number_is_named_on_a_full_disk_too(recipe, tmp_path, monkeypatch):
    def full(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr(loss_check, "save_tensors", full)
    with pytest.raises(CMACError, match=r"the loss is (nan|inf) at step 0; .*its inputs are lost \(the disk is full\)"):
        train(recipe.replace(temperature=1e-40), tmp_path)


def test_a_folder_with_an_architecture_of_ones_own_can_be_moved(recipe, tmp_path):
    recipe.config.save(tmp_path / "mine.json")
    given = recipe.replace(architecture=str(tmp_path / "mine.json"), steps=1, size=48)
    train(given, tmp_path / "run")
    (tmp_path / "mine.json").unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    kept = load_recipe(str(tmp_path / "moved" / "recipe.json"))
    assert kept.config == given.config
    train(kept.replace(steps=2), tmp_path / "moved", resume=True)


def test_a_killed_run_goes_on(tmp_path):
    """SIGKILL in the middle of a run, then --resume; SIGTERM saves and ends with exit code 0."""
    command = [sys.executable, "-m", "cmac_hub.train", "pretrain", "--recipe", "nano", "--threads", "1"]
    command += ["--set", "batch=4", "steps=400", "checkpoint_every=2", "drawn_clips=100000", "workers=1", "log_every=1"]
    command += ["-o", str(tmp_path / "run"), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def until_checkpoint(process, after):
        for _ in range(3000):
            found = sorted((tmp_path / "run" / "checkpoints").glob("step_*.pt"))
            if found and int(found[-1].stem[5:]) > after:
                return int(found[-1].stem[5:])
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        raise AssertionError("no checkpoint came")

    reached = 0
    for extra, kind in (([], signal.SIGKILL), (["--resume"], signal.SIGTERM)):
        process = subprocess.Popen(
            command + extra, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        reached = until_checkpoint(process, reached)
        # As a terminal and a cluster do: to the worker that makes the data as well.
        os.killpg(process.pid, kind)
        process.communicate(timeout=60)
        assert process.returncode == (-9 if kind == signal.SIGKILL else 0)
    rows = [int(row["step"]) for row in csv.DictReader((tmp_path / "run" / "log.csv").open())]
    assert rows == list(range(1, len(rows) + 1)), "no step is missing or twice in the log"


def test_dry_run_prints_settings_and_costs_without_data(capsys):
    assert main(["pretrain", "--set", "steps=15000", "batch=2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "steps                15000" in out and "parameters           1.34 M" in out
    assert "memory               about" in out and "clips/s measured" in out


def test_dry_run_counts_the_videos_of_a_manifest(tmp_path, capsys):
    """Settings may be given in several --set."""
    (tmp_path / "m.csv").write_text("path,start,end\n" + "a.mp4,0,3\n" * 40)
    changes = ["--set", "architecture=cmac-nano", "--set", "batch=4", "epochs=3", "--set", "size=32"]
    command = ["pretrain", "--recipe", "kinetics400", "--data", str(tmp_path / "m.csv"), *changes]
    assert main([*command, "--dry-run"]) == 0
    assert "30, of 4 clips (10 an epoch of 40 videos)" in capsys.readouterr().out
    assert main([*command, "--dry-run", "--device", "nowhere"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_multiple_instance_loss_and_another_size_train(recipe, tmp_path):
    model = train(recipe.replace(mil_weight=1.0, size=48, bank=0, steps=2), tmp_path / "run")
    assert model.config.visual.size == 48
