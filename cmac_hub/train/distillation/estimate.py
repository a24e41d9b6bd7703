"""What a run would be: how much there is to hear, how fast the teacher answers and the student learns here."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn

from cmac_hub.model import CMAC
from cmac_hub.train.distillation.distill import losses
from cmac_hub.train.distillation.recordings import recording_files, shot_files
from cmac_hub.train.distillation.settings import DistillSettings
from cmac_hub.train.distillation.teacher import Teacher

TEACHER_WINDOWS, STEPS = 50, 3
"""Of which the time is taken."""


def describe(settings: DistillSettings, data: Path, teacher: Teacher, device: torch.device) -> str:
    """A few lines of text. Raises CMACError where the folder has no known layout."""
    things, shots = recording_files(data), shot_files(data)
    model = CMAC(settings.config).to(device)
    head = nn.Linear(model.channels("audio"), teacher.size).to(device)
    noise_BN = torch.randn(max(settings.batch, TEACHER_WINDOWS), teacher.samples) / 10
    since = time.perf_counter()
    teacher.embed(noise_BN[:TEACHER_WINDOWS].numpy())
    asking = (time.perf_counter() - since) / TEACHER_WINDOWS
    learning = [_step(settings, model, head, noise_BN[: settings.batch].to(device)) for _ in range(STEPS)][-1]
    # Workers ask while the student learns.
    each = max(asking / settings.workers, learning) if settings.workers else asking + learning
    windows = settings.steps * settings.batch
    return "\n".join(
        [
            f"student: {settings.config.name}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters",
            f"teacher: {teacher.name}, sha256 {teacher.about()['sha256'][:16]}",
            f"heard: {sum(map(len, things.values()))} recordings of {len(things)} things, "
            f"{sum(map(len, shots.values()))} shots of {len(shots)} kinds",
            f"time: the teacher {1000 * asking:.2f} ms a window, the student {1000 * learning:.2f}; "
            f"{windows} windows take {windows * each / 60:.0f} minutes and more, mixing them left out",
        ]
    )


def _step(settings: DistillSettings, model: CMAC, head: nn.Linear, waveforms_BN: torch.Tensor) -> float:
    """Seconds a window."""
    since = time.perf_counter()
    targets_BE = torch.zeros(len(waveforms_BN), head.out_features, device=waveforms_BN.device)
    losses(model, head, waveforms_BN, targets_BE, settings, 0)["loss"].backward()
    if waveforms_BN.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - since) / len(waveforms_BN)
