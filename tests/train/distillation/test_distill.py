import copy
import csv
import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel
from cmac_hub.train.__main__ import main
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.distillation import distill as module
from cmac_hub.train.distillation import estimate
from cmac_hub.train.distillation import recordings as recordings_module
from cmac_hub.train.distillation import teacher as teachers
from cmac_hub.train.distillation.distill import distill, losses
from cmac_hub.train.distillation.lessons import CLIP, Lessons, Standard
from cmac_hub.train.distillation.mixtures import Mixtures
from cmac_hub.train.distillation.recordings import recording_files
from cmac_hub.train.distillation.settings import DistillSettings
from cmac_hub.train.interrupts import StoppedError
from cmac_hub.train.networks import load_network


def teach(settings, recordings, teacher, run, **how):
    return distill(settings, recordings, teacher, run, progress=False, **how)


def log_of(run):
    with (run / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k in ("step", "loss", "cosine", "learning_rate")}
                for row in csv.DictReader(file)]  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_equals_an_unbroken_one(settings, recordings, teacher, tmp_path, monkeypatch, workers):
    whole = teach(settings, recordings, teacher, tmp_path / "whole")
    signals, done = [], []
    monkeypatch.setattr(module, "catching_signals", lambda: nullcontext(signals))
    add = module.RunLog.add

    def interrupting(*arguments):
        add(*arguments)
        done.append(1)
        if len(done) == 3:
            signals.append(15)

    monkeypatch.setattr(module.RunLog, "add", interrupting)
    parts = dataclasses.replace(settings, workers=workers)
    with pytest.raises(StoppedError, match="saved at step 3 of 6"):
        teach(parts, recordings, teacher, tmp_path / "parts")
    signals.clear()
    # Standardization is kept, not measured anew.
    monkeypatch.setattr(Standard, "measure", lambda *_: pytest.fail("measured again"))
    again = teach(parts, recordings, teacher, tmp_path / "parts", resume=True)
    for (name, one), two in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "parts") and len(log_of(tmp_path / "whole")) == 6


@pytest.mark.usefixtures("copying")
def test_the_teacher_is_not_copied(settings, recordings, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(type(teacher), "__reduce__", lambda self: pytest.fail("a worker wants a copy"))
    teach(dataclasses.replace(settings, workers=1), recordings, teacher, tmp_path / "run")


def test_it_learns_what_the_teacher_says(settings, recordings, teacher, tmp_path):
    settings = dataclasses.replace(settings, steps=60, batch=16, standard_windows=64, learning_rate=1e-2)
    teach(settings, recordings, teacher, tmp_path / "run")
    rows = log_of(tmp_path / "run")
    first, last = (np.mean([float(row["loss"]) for row in part]) for part in (rows[:5], rows[-5:]))
    assert last < first / 2 and float(rows[-1]["cosine"]) > 0.7


def test_the_teacher_hears_what_the_student_sees_masked(settings, recordings, teacher, tmp_path, monkeypatch):
    """Lessons are of the mixtures themselves; the encoder gets a masked spectrogram of the same ones."""
    lessons = Lessons(Mixtures(list(recordings.values()), teacher.samples), teacher)
    waveform, embedding = lessons[3]
    assert torch.equal(waveform, lessons.mixtures[3])
    assert embedding.numpy() == pytest.approx(teacher.embed(waveform.numpy()[None])[0])
    model, seen = CMAC(settings.config), []
    model.encoder("audio").register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    head = torch.nn.Linear(model.channels("audio"), teacher.size)
    settings = dataclasses.replace(settings, mask_share=0.5)
    for step in (0, 0, 1):
        losses(model, head, torch.stack([waveform] * 2), torch.zeros(2, teacher.size), settings, step)
    plain = log_mel(waveform[None], settings.config.audio)
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])
    for one in seen[0]:
        masked = one != plain[0]
        assert 0 < masked.float().mean() < 1 and (one[masked] == 0).all()


def test_the_loss_is_the_mean_square_of_what_is_missing(settings, teacher):
    settings = dataclasses.replace(settings, mask_share=0.0, bf16=False)
    model = CMAC(settings.config).eval()
    head = torch.nn.Linear(model.channels("audio"), teacher.size)
    waveforms, targets = torch.randn(3, 4000) / 10, torch.randn(3, teacher.size)
    found = losses(model, head, waveforms, targets, settings, 0)
    given = head(model.embed_audio(log_mel(waveforms, settings.config.audio)).features).detach()
    expected = sum(float(a - b) ** 2 for x, y in zip(given, targets, strict=True) for a, b in zip(x, y, strict=True))
    assert found["loss"].item() == pytest.approx(expected / targets.numel(), rel=1e-4)
    cosines = [float(a @ b / (a.norm() * b.norm())) for a, b in zip(given, targets, strict=True)]
    assert float(found["cosine"]) == pytest.approx(np.mean(cosines), rel=1e-4)


def test_targets_are_standard_and_silence_does_not_outweigh_them():
    embeddings = torch.rand(1000, 16, generator=torch.Generator().manual_seed(0)) ** 2
    embeddings[:, 15] = 0
    usual = Standard.measure(embeddings)
    targets = usual(embeddings)
    assert targets[:, :15].mean(0).abs().max() < 0.1 and (targets[:, :15].std(0) - 1).abs().max() < 0.1
    assert (targets[:, 15] == 0).all(), "what never moves is no target"
    loud = embeddings.clone()
    loud[::100] = 1e4
    found = Standard.measure(loud)
    assert torch.allclose(found.mean, usual.mean, atol=0.05) and found(loud).abs().max() == CLIP
    negative = -embeddings
    assert torch.allclose(Standard.measure(negative)(negative), -targets, atol=1e-5)


def test_a_run_tells_how_it_was_made_and_is_used_like_any_other(settings, recordings, teacher, tmp_path, audio_only):
    run, out = tmp_path / "run", tmp_path / "out"
    model = teach(settings, recordings, teacher, run)
    loaded = load_network(str(run))
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.get_parameter(name) if name in dict(loaded.named_parameters())
                           else loaded.get_buffer(name)), name  # fmt: skip
    training = loaded.config.training
    assert training["kind"] == "distill" and training["windows"] == 24 and training["recordings"] == 4
    assert training["teacher"] == teacher.about() and training["settings"]["steps"] == 6
    assert training["settings"]["batch"] == 4 and "workers" not in training["settings"]
    assert loaded.config.visual is None and loaded.config.attention is None
    release = ["release", str(run), "-o", str(out), "--device", "cpu"]
    assert main([*release, "--note", "a test", "--license", "cc-by-nc-4.0"]) == 0
    released = CMAC.from_pretrained(str(out))
    assert released.config.license == "cc-by-nc-4.0" and released.config.training == {"note": "a test", **training}
    assert released.extract_features(str(audio_only)).audio.shape == (2, model.channels("audio"))


def test_maps_of_a_network_without_any_are_not_measured(settings, recordings, teacher, tmp_path, own_folder, capsys):
    teach(settings, recordings, teacher, tmp_path / "run")
    command = ["release", str(tmp_path / "run"), "-o", str(tmp_path / "out"), "--data", str(own_folder)]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no visual encoder and no attention" in line and not (tmp_path / "out").exists()


def test_another_run_is_not_gone_on_with(settings, recordings, teacher, tmp_path):
    run = tmp_path / "run"
    teach(dataclasses.replace(settings, steps=2), recordings, teacher, run)
    with pytest.raises(CMACError, match="stands at step_00000002; add --resume"):
        teach(settings, recordings, teacher, run)

    def go_on(message, settings=settings, recordings=recordings, teacher=teacher):
        with pytest.raises(CMACError, match=message):
            teach(settings, recordings, teacher, run, resume=True)

    go_on("was trained with batch = 4, now it is 5; set it back", dataclasses.replace(settings, batch=5))
    go_on("began with other recordings", recordings={"tone": recordings["tone"]})
    other = copy.copy(teacher)
    other.about = lambda: {"name": "another"}
    go_on("began with another teacher", teacher=other)
    narrow = tmp_path / "narrow.json"
    config = settings.config
    dataclasses.replace(config, audio=dataclasses.replace(config.audio, width=2)).save(narrow)
    go_on("holds another network", dataclasses.replace(settings, architecture=str(narrow)))
    state = read_checkpoint(run)
    torch.save({**state, "kind": "other"}, run / "checkpoints" / "step_00000002.pt")
    go_on("is of another kind of run")


def test_a_student_of_another_rate_is_refused(settings, recordings, teacher, tmp_path):
    teacher.sample_rate = 24000
    with pytest.raises(CMACError, match="hears at 16000 Hz, the teacher Bands at 24000"):
        teach(settings, recordings, teacher, tmp_path / "run")


def test_a_loss_that_is_no_number_ends_the_run(settings, recordings, teacher, tmp_path):
    embed = teacher.embed
    teacher.embed = lambda waveforms: embed(waveforms) * (np.nan if teacher.asked > 12 else 1)
    with pytest.raises(CMACError, match="the loss is nan at step 1; try a lower learning_rate"):
        teach(settings, recordings, teacher, tmp_path / "run")


def test_the_command_teaches_goes_on_and_tells_what_it_would_do(
    own_folder, tiny_file, tmp_path, monkeypatch, capsys, teacher
):
    monkeypatch.setattr(teachers, "YAMNet", lambda path: teacher)
    command = ["distill", "--data", str(own_folder), "--teacher", "yamnet.tflite", "--device", "cpu"]
    changes = [f"architecture={tiny_file}", "batch=2", "standard_windows=4", "bf16=false"]
    assert main([*command, "--dry-run", "--set", *changes]) == 0
    text = capsys.readouterr().out
    assert "batch                2\n" in text and "recordings of 3 things, 0 shots" in text and "12000" in text
    assert main([*command, "--set", *changes, "steps=1"]) == 1
    assert "say -o runs/NAME" in capsys.readouterr().err
    run = str(tmp_path / "run")
    assert main([*command, "-o", run, "--set", *changes, "steps=1"]) == 0
    assert main([*command, "-o", run, "--set", *changes, "steps=2", "--resume"]) == 0
    assert read_checkpoint(tmp_path / "run")["step"] == 2
    monkeypatch.setattr(recordings_module, "load_recordings", lambda *_: pytest.fail("read for nothing"))
    assert main([*command, "-o", run, "--set", *changes]) == 1
    assert "stands at step_00000002; add --resume" in capsys.readouterr().err
    assert main([*command, "-o", run, "--set", "batsh=2"]) == 1
    assert "did you mean 'batch'" in capsys.readouterr().err


def test_settings_are_checked_at_once(tmp_path, tiny_config):
    with pytest.raises(CMACError, match="'batch' is 0; it must be at least 1"):
        DistillSettings(batch=0)
    dataclasses.replace(tiny_config, audio=None, attention=None).save(tmp_path / "deaf.json")
    with pytest.raises(CMACError, match="has no audio encoder"):
        DistillSettings(architecture=str(tmp_path / "deaf.json"))


def test_a_released_config_gives_its_architecture_alone(tmp_path, tiny_config):
    dataclasses.replace(tiny_config, license="cc-by-nc-4.0", training={"steps": 7}).save(tmp_path / "config.json")
    config = DistillSettings(architecture=str(tmp_path / "config.json")).config
    assert (config.license, config.training, config.audio) == ("apache-2.0", {}, tiny_config.audio)


def test_the_rate_rises_and_falls():
    settings = DistillSettings(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)]) and rates[55] == pytest.approx(0.5)
    assert rates[9:] == sorted(rates[9:], reverse=True) and rates[-1] < 1e-3


def test_estimate_and_recordings_agree_on_what_is_heard(own_folder, settings, teacher):
    found = recording_files(own_folder)
    text = estimate.describe(settings, own_folder, teacher, torch.device("cpu"))
    assert f"heard: {sum(map(len, found.values()))} recordings of {len(found)} things" in text
