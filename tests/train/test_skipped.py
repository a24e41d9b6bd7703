"""A video that makes the loss no number is named, noted, and passed over from there on; what came before stays."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from cmac_hub.errors import CMACError, OutputError
from cmac_hub.train import loss_check
from cmac_hub.train import pretrain as module
from cmac_hub.train.__main__ import main
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.skipped import PassingOver, Skipped, find_broken, read_skipped, write_skipped
from cmac_hub.train.stream import Pair

BAD = 3


class Doubles:
    """Seven videos that come again and again; from some pair on one of them has a sample that is no number."""

    videos = 7

    def __init__(self, recipe, since, value=float("nan")):
        self.config, self.since, self.value = recipe.config, since, value

    def hash(self):
        return "seven"

    def name(self, video):
        return f"videos/{video}.mp4"

    def pair(self, index, view=0):
        rng, visual, audio = np.random.default_rng(index % 7), self.config.visual, self.config.audio
        frames = rng.integers(0, 256, (visual.frames, visual.size, visual.size, 3), np.uint8)
        sound = rng.uniform(-0.5, 0.5, round(self.config.window * audio.sample_rate)).astype(np.float32)
        found = Pair(torch.from_numpy(frames), torch.from_numpy(sound), index % 7)
        if index % 7 == BAD and index >= self.since:
            found.waveform[5] = self.value
        return found


def rows_of(run):
    with (run / "log.csv").open() as file:
        return [
            {k: v for k, v in row.items() if "second" not in k and "waiting" not in k} for row in csv.DictReader(file)
        ]


@pytest.fixture
def doubles(recipe, monkeypatch):
    """A recipe of 10 steps; the loss of step 5 (pairs 40 to 47) is no number."""
    recipe = recipe.replace(steps=10, log_every=1, mix_share=0.5, broken_share=1.0)
    monkeypatch.setattr(module, "open_source", lambda *_, **__: Doubles(recipe, 40))
    return recipe


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"bank": 0, "frozen_batch_norm": True}])
def test_the_video_is_named_and_passed_over_and_the_curve_before_it_stays(doubles, tmp_path, monkeypatch, changes):
    recipe, run = doubles.replace(**changes), tmp_path / "run"
    with pytest.raises(CMACError, match=r"nan at step 5; videos/3\.mp4: its sound is no number .*--resume passes over"):
        pretrain(recipe, None, run, progress=False)
    before = rows_of(run)
    assert [row["step"] for row in before] == ["1", "2", "3", "4", "5"]
    assert read_skipped(run) == [Skipped(BAD, "videos/3.mp4", 5, 40, "")]
    pretrain(recipe, None, run, progress=False, resume=True)
    after = rows_of(run)
    assert after[:5] == before and len(after) == 10
    assert all((int(row["replaced"]) > 0) == (step >= 5) for step, row in enumerate(after))

    # As a run that never met it in those pairs.
    monkeypatch.setattr(module, "open_source", lambda *_, **__: PassingOver(
        Doubles(recipe, 10**9), recipe.seed, [Skipped(BAD, "", 5, 40, "")]))  # fmt: skip
    pretrain(recipe, None, tmp_path / "whole", progress=False)
    assert rows_of(tmp_path / "whole") == after


def test_a_new_run_forgets_what_another_one_noted(recipe, tmp_path):
    write_skipped(tmp_path, [Skipped(0, "a", 0, 0, "x")])
    pretrain(recipe.replace(steps=1), None, tmp_path, progress=False)
    assert not (tmp_path / "skipped.csv").exists()


def test_it_is_named_on_a_full_disk_too(doubles, tmp_path, monkeypatch):
    def full(*_):
        raise OutputError("the disk is full")

    monkeypatch.setattr(loss_check, "write_skipped", full)
    with pytest.raises(CMACError, match=r"videos/3\.mp4: .* \(the disk is full\)"):
        pretrain(doubles, None, tmp_path, progress=False)


def test_a_loss_that_no_video_made(recipe, tmp_path):
    with pytest.raises(CMACError, match="no single video of the batch makes it so; try a lower learning_rate"):
        pretrain(recipe.replace(temperature=1e-40), None, tmp_path, progress=False)
    assert not (tmp_path / "skipped.csv").exists()


@pytest.fixture
def batch(recipe):
    source = Doubles(recipe, 10**9)
    pairs = [source.pair(i) for i in range(4)]
    return type(pairs[0])(*(torch.stack([torch.as_tensor(pair[i]) for pair in pairs]) for i in range(4)))


def test_features_of_its_own_tell_a_video(recipe, tiny, batch, monkeypatch):
    """Its inputs are numbers; the network makes none of them, and batch norms would carry that to all."""
    forward = tiny.audio_encoder.forward
    loud = batch.waveform.abs().amax(1).argmax()

    def fail(spectrograms):
        features = forward(spectrograms)
        found = [torch.equal(one, loudest) for one in spectrograms]
        return (
            features
            + torch.tensor(found)
            .float()
            .mul(float("inf"))
            .nan_to_num(nan=0.0, posinf=float("inf"))[:, None, None, None]
        )

    _, spectrograms = tiny.prepare(None, batch.waveform)
    loudest = spectrograms[loud]
    model = type(tiny)(tiny.config).train()
    model.load_state_dict(tiny.state_dict())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    monkeypatch.setattr(type(tiny.audio_encoder), "forward", lambda self, spectrograms: fail(spectrograms))
    found = find_broken(recipe.replace(bf16=False), model, batch)
    assert found == [(int(batch.video[loud]), "the network's features of it are no numbers")]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items()) and model.training


def test_weights_that_are_no_numbers_are_no_videos_fault(recipe, tiny, batch):
    model = type(tiny)(tiny.config).train()
    torch.nn.init.constant_(model.heads["shared"].bias, float("nan"))
    assert find_broken(recipe, model, batch) == []
    batch.waveform[2, 0] = float("inf")
    assert [video for video, _ in find_broken(recipe, model, batch)] == [int(batch.video[2])], (
        "its sound tells it still"
    )


def test_statistics_that_are_no_numbers_hide_nothing(recipe, tiny, batch):
    """The step that failed has written them into every batch norm."""
    model = type(tiny)(tiny.config).train()
    for name, value in model.named_buffers():
        if "running" in name:
            value.fill_(float("nan"))
    assert find_broken(recipe, model, batch) == []


def test_passing_over_is_the_same_at_every_call_and_for_both_views(recipe):
    source = Doubles(recipe, 10**9)
    passing = PassingOver(
        source, 0, [Skipped(BAD, "", 5, 40, ""), Skipped(2, "", 9, 70, ""), Skipped(2, "", 8, 60, "")]
    )
    videos = [int(passing.pair(i).video) for i in range(100)]
    assert videos == [int(passing.pair(i, 1).video) for i in range(100)]
    assert all(video == i % 7 for i, video in enumerate(videos[:40]))
    assert BAD not in videos[40:] and 2 not in videos[60:] and 2 in videos[40:60]
    replaced = [int(passing.pair(i).replaced) for i in range(100)]
    assert all((count > 0) == (videos[i] != i % 7) for i, count in enumerate(replaced))
    assert {i % 7 for i, count in enumerate(replaced) if count} == {2, BAD}
    assert (passing.hash(), passing.name(1), passing.videos) == ("seven", "videos/1.mp4", 7)
    none = PassingOver(source, 0, [Skipped(video, "", 0, 0, "") for video in range(7)])
    with pytest.raises(CMACError, match="hardly another one is left"):
        none.pair(0)


def test_lines_are_added_and_names_of_any_bytes_kept(tmp_path):
    first, second = Skipped(1, 'caf\udce9, "x".mp4', 2, 16, "why"), Skipped(4, "b.mp4", 9, 72, "so")
    write_skipped(tmp_path, [first])
    write_skipped(tmp_path, [second])
    assert read_skipped(tmp_path) == [first._replace(reason=""), second._replace(reason="")]
    assert read_skipped(tmp_path / "none") == []
    (tmp_path / "skipped.csv").write_text("video,name\n1,a\n")
    with pytest.raises(CMACError, match=r"skipped\.csv cannot be understood; expected the columns video, name, step"):
        read_skipped(tmp_path)


def test_on_the_command_line_it_is_one_line(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "open_source", lambda recipe, *_, **__: Doubles(recipe, 4))
    how = ["batch=4", "steps=4", "bank=0", "workers=0", "log_every=1", "broken_share=1", f"architecture={tiny_file}"]
    command = ["pretrain", "--recipe", "nano_drawn", "-o", str(tmp_path), "--device", "cpu", "--set", *how]
    assert main(command) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cmac_hub.train:")]
    assert len(lines) == 1 and "videos/3.mp4" in lines[0] and "the last good checkpoint is none" in lines[0]
    assert main([*command, "--resume"]) == 0


def test_processes_that_note_at_once_lose_no_line(tmp_path):
    """As ranks do whose losses are no numbers at the same step; threads have locks of their own, too."""
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_skipped, tmp_path, [Skipped(n, str(n), 0, 0, "x")]) for n in range(40)]:
            done.result()
    assert sorted(one.video for one in read_skipped(tmp_path)) == list(range(40))
