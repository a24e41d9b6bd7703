"""Teaching an audio encoder, top to bottom: windows -> the teacher's embeddings -> network -> log -> checkpoint.

    python -m cmac_hub.train distill --data DATA --teacher yamnet.tflite -o runs/audio
    python -m cmac_hub.train distill --data DATA --teacher yamnet.tflite -o runs/audio --resume

Every window is new (`mixtures.py`). One linear layer from the encoder's pooled features aims at the standardized
embedding; users never get it. What comes out is a network that hears and does not see: `probe --model runs/audio`,
`release runs/audio -o FOLDER`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from cmac_hub.config import CMACConfig, without_weights
from cmac_hub.errors import CMACError
from cmac_hub.files import make_folder
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel
from cmac_hub.train.augmentation import augment_spectrograms
from cmac_hub.train.checkpoint import Checkpoints, read_checkpoint
from cmac_hub.train.distillation.lessons import Lessons, Standard
from cmac_hub.train.distillation.mixtures import Mixtures
from cmac_hub.train.distillation.settings import DistillSettings
from cmac_hub.train.distillation.teacher import Teacher
from cmac_hub.train.fields import flat_fields, flatten
from cmac_hub.train.interrupts import StoppedError, catching_signals, out_of_memory_hint
from cmac_hub.train.optimization import decayed
from cmac_hub.train.precision import autocast
from cmac_hub.train.runlog import RunLog, environment
from cmac_hub.train.writing import write_json

FIGURES = ["loss", "cosine"]

BESIDES = ("architecture", "workers", "log_every", "checkpoint_every")
"""Settings that a summary leaves out: the config is the architecture, the others leave no trace in the weights."""


def losses(
    model: CMAC, head: nn.Linear, waveforms_BN: Tensor, targets_BE: Tensor, settings: DistillSettings, step: int
) -> dict[str, Tensor]:
    """Scalars of one batch: "loss", the mean squared error, and "cosine" of what was given and what was aimed at."""
    spectrograms = log_mel(waveforms_BN, model.config.require_audio())
    draw = settings.seed * 1_000_003 + step
    spectrograms = augment_spectrograms(spectrograms, seed=draw, time_warp=0, mask_share=settings.mask_share)
    with autocast(settings, waveforms_BN.device):
        map_BCFS = model.encoder("audio")(spectrograms)
    given_BE = head(map_BCFS.float().flatten(2).mean(2))
    cosine_B = F.cosine_similarity(given_BE.detach(), targets_BE)
    return {"loss": F.mse_loss(given_BE, targets_BE), "cosine": cosine_B.mean()}


def distill(
    settings: DistillSettings,
    recordings: Mapping[str, Sequence[np.ndarray]],
    teacher: Teacher,
    run: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    device: torch.device | str = "cpu",
) -> CMAC:
    """Teaches the audio half of an architecture, or goes on exactly where the run's latest checkpoint stands.

    Args:
        settings: every number.
        recordings: group -> recordings, (n,) int16 each at the teacher's sample rate, see `load_recordings`.
        teacher: whose embeddings are learned.
        run: folder of this run; made when missing. It holds `settings.json`, `environment.json`, `log.csv`,
            `checkpoints/`, and `tensorboard/` where that is installed.
        resume: go on with the run in that folder.
        progress: show a progress bar on stderr.
        device: of the student.

    Returns:
        a network that has the audio encoder alone, in eval mode.

    Raises:
        CMACError: the student hears at another rate than the teacher; the folder holds a run and `resume` is False, or
            one of other settings, recordings or another teacher; the loss is no number; the disk is full.
        StoppedError: SIGTERM or Ctrl-C came; a checkpoint of the last step is there.
    """
    config = settings.config
    if config.require_audio().sample_rate != teacher.sample_rate:
        raise CMACError(
            f"{config.name!r} hears at {config.require_audio().sample_rate} Hz, the teacher {teacher.name} at "
            f"{teacher.sample_rate}; choose another architecture"
        )
    lessons = Lessons(Mixtures(list(recordings.values()), teacher.samples, settings.seed), teacher)
    about = {"teacher": teacher.about(), "recordings": lessons.mixtures.hash()}
    checkpoints, step, state, begun = Checkpoints(run), 0, None, None
    if (latest := find_latest(run, resume)) is not None:
        state = read_checkpoint(latest)
        check_same_run(latest, state, settings, about)

    torch.manual_seed(settings.seed)
    model = CMAC(config).train().to(device)
    head = nn.Linear(model.channels("audio"), teacher.size).to(device)
    optimizer = torch.optim.AdamW(
        decayed(nn.ModuleList([model, head]).parameters(), settings.weight_decay), settings.learning_rate
    )
    parts: dict[str, Any] = {"model": model, "head": head, "optimizer": optimizer}
    if state is None:
        # Windows of another seed, so that the run's own are all new.
        others = Lessons(Mixtures(lessons.mixtures.groups, teacher.samples, settings.seed + 1), teacher)
        standard = Standard.measure(torch.stack([others[i][1] for i in range(settings.standard_windows)]))
    else:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        step, standard, begun = int(state["step"]), Standard(*state["standard"]), state.get("log")

    def save() -> None:
        values = {"kind": "distill", "format_version": 2, "recipe": flatten(settings), "config": config.to_dict()}
        values |= {"step": step, "standard": tuple(standard), "about": about}
        values |= {"summary": summary(settings, recordings, about, step)}
        values |= {"log": log.begun()}
        checkpoints.save(values | {name: part.state_dict() for name, part in parts.items()}, step)

    make_folder(run)
    write_json(run / "settings.json", flatten(settings))
    write_json(run / "environment.json", environment())
    bar = tqdm(total=settings.steps, initial=step, disable=not progress, unit="step", smoothing=0.05)
    batches = iter(lessons.batches(settings, step))
    with bar, RunLog(run, step, FIGURES, begun) as log, out_of_memory_hint(), catching_signals() as stop:
        while step < settings.steps and not stop:
            for group in optimizer.param_groups:
                group["lr"] = settings.rate(step)
            since = time.perf_counter()
            waveforms_BN, embeddings_BE = next(batches)
            waited = time.perf_counter() - since
            targets_BE = standard(embeddings_BE).to(device)
            figures = losses(model, head, waveforms_BN.to(device), targets_BE, settings, step)
            if not torch.isfinite(figures["loss"]):
                raise CMACError(f"the loss is {figures['loss'].item()} at step {step}; try a lower learning_rate")
            optimizer.zero_grad(set_to_none=True)
            figures["loss"].backward()
            optimizer.step()
            step += 1
            bar.update()
            log.add(figures, settings.batch, 0, waited)
            if step % settings.log_every == 0 or step == settings.steps:
                row = log.write(step, settings.rate(step - 1))
                bar.set_postfix({key: row[key] for key in (*FIGURES, "clips_per_second", "waiting_share")})
            if step % settings.checkpoint_every == 0 or step == settings.steps:
                save()
        if step < settings.steps:
            save()
            raise StoppedError(f"stopped and saved at step {step} of {settings.steps} in {run}")
    return model.eval()


def find_latest(run: Path, resume: bool) -> Path | None:
    """The checkpoint to go on from, if any. Raises CMACError where there is one and nobody wants to go on."""
    latest = Checkpoints(run).latest()
    if latest is not None and not resume:
        raise CMACError(f"{run} holds a run that stands at {latest.stem}; add --resume, or choose another folder")
    return latest


def check_same_run(path: Path, state: dict[str, Any], settings: DistillSettings, about: dict[str, Any]) -> None:
    """Raises CMACError for a checkpoint that other settings, recordings or another teacher made."""
    if state.get("kind") != "distill":
        raise CMACError(f"{path} is of another kind of run; choose another output folder")
    if without_weights(CMACConfig.from_dict(state["config"])) != settings.config:
        raise CMACError(f"{path} holds another network than {settings.config.name!r}; choose another output folder")
    may_change = {key for key, field in flat_fields(DistillSettings).items() if field.metadata["may_change"]}
    for key, value in flatten(settings).items():
        if key not in may_change and state["recipe"].get(key) != value:
            raise CMACError(
                f"{path} was trained with {key} = {state['recipe'].get(key)!r}, now it is {value!r}; set it back, or "
                "choose another output folder"
            )
    for name, what in (("teacher", "another teacher"), ("recordings", "other recordings")):
        if state["about"][name] != about[name]:
            raise CMACError(f"{path} began with {what}; give the same again, or choose another output folder")


def summary(
    settings: DistillSettings, recordings: Mapping[str, Sequence[np.ndarray]], about: dict[str, Any], step: int
) -> dict[str, Any]:
    """How the weights were made, for the config."""
    distinct = len({id(sound) for group in recordings.values() for sound in group})
    counts = {"groups": len(recordings), "recordings": distinct, "windows": step * settings.batch}
    how = {key: value for key, value in flatten(settings).items() if key not in BESIDES}
    return {"kind": "distill", "teacher": about["teacher"], **counts, "settings": {**how, "steps": step}}
