"""What a student is given: windows with the teacher's word on each, and how that word becomes a target."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cmac_hub.train.distillation.mixtures import Mixtures
from cmac_hub.train.distillation.settings import DistillSettings
from cmac_hub.train.distillation.teacher import Teacher
from cmac_hub.train.stream import leave_group, start_method

LONGEST = 0.02
"""Share of the embeddings, the longest, that mean and deviation leave out."""
CLIP = 4.0
"""Deviations at which a target is cut off."""


class Lessons(Dataset[tuple[Tensor, Tensor]]):
    """A window (samples,) fp32, and what the teacher says of it, (E,) fp32."""

    def __init__(self, mixtures: Mixtures, teacher: Teacher) -> None:
        self.mixtures, self.teacher = mixtures, teacher

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        waveform = self.mixtures[index]
        return waveform, torch.from_numpy(self.teacher.embed(waveform.numpy()[None])[0])

    def batches(self, settings: DistillSettings, step: int) -> DataLoader[tuple[Tensor, Tensor]]:
        """Those of the steps from `step` on."""
        workers = settings.workers
        return DataLoader(
            self,
            settings.batch,
            sampler=range(step * settings.batch, settings.steps * settings.batch),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=leave_group,
            multiprocessing_context=start_method(workers),
        )


class Standard(NamedTuple):
    """Embeddings -> what the student aims at: their square roots, with a mean of 0 and a variance of 1, clipped.

    YAMNet's embedding of silence is ten times as long as any other. As it is, one window in a hundred has half of all
    variance, and squared errors teach silence before anything else.
    """

    mean: Tensor
    """(E,)"""
    std: Tensor
    """(E,)"""

    @classmethod
    def measure(cls, embeddings_NE: Tensor) -> Standard:
        """Of embeddings, the longest left out. A number that hardly ever moves counts as if it moved a little."""
        lengths = embeddings_NE.norm(dim=1)
        usual_NE = compress(embeddings_NE[lengths <= lengths.quantile(1 - LONGEST)])
        std = usual_NE.std(0)
        return cls(usual_NE.mean(0), std.clamp(min=float(std.mean()) / 5 + 1e-6))

    def __call__(self, embeddings_BE: Tensor) -> Tensor:
        return ((compress(embeddings_BE) - self.mean) / self.std).clamp(-CLIP, CLIP)


def compress(values: Tensor) -> Tensor:
    """Square roots, with the sign of the values."""
    return values.sign() * values.abs().sqrt()
