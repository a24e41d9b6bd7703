"""The endless stream of training pairs, shared out over processes, micro-batches and workers without a repeat."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cmac_hub.errors import CMACError
from cmac_hub.train.recipe import Recipe, RecipeError


class Pair(NamedTuple):
    """One second of synchronous video and audio; a `DataLoader` makes a `Pair` of batches of them."""

    frames: Tensor
    """(T, H, W, 3) uint8 RGB."""
    waveform: Tensor
    """(n,) fp32 in [-1, 1]."""
    video: int | Tensor
    """Which video it is from."""
    replaced: int | Tensor = 0
    """How many broken videos were passed over before this one."""


class PairSource(Protocol):
    """Where pairs come from."""

    videos: int | None
    """How many there are in an epoch; None where each comes once."""

    def hash(self) -> str:
        """Tells what the pairs are made of from anything else."""
        ...

    def name(self, video: int) -> str:
        """How people call the video of a pair: its path, where it is a file."""
        ...

    def pair(self, index: int, view: int = 0) -> Pair:
        """Pair number `index` of the run, the same at every call; `view` counts the clips of one video."""
        ...


def start_method(workers: int) -> str | None:
    """How a `DataLoader` of so many workers starts them: those that are forked share the source's memory. From Python
    3.14 on each would hold a copy of it, unless one asks for this; None is the system's own way."""
    return "fork" if workers and sys.platform == "linux" else None


def leave_group(worker: int) -> None:
    """Ctrl-C and SIGTERM to a run's process group are answered by the process that saves the checkpoint, not by its
    workers; that process can still end them."""
    os.setpgrp()


class PairStream(IterableDataset[Pair]):
    """The rows of one process, micro-batch after micro-batch, from any step on.

    Row r of step b, counted over all processes, is view r % c of pair (b B + r) // c, c clips a video. So a run is the
    same whatever the number of workers, and goes on exactly where it stood.

    Args:
        source: of the pairs.
        recipe: batch, accumulation, clips a video.
        step: from which to begin.
        rank: of this process.
        processes: how many there are.

    Raises:
        RecipeError: the batch cannot be shared out evenly.
    """

    def __init__(self, source: PairSource, recipe: Recipe, step: int = 0, rank: int = 0, processes: int = 1) -> None:
        parts = processes * recipe.accumulate * recipe.clips_per_video
        if recipe.batch % parts:
            raise RecipeError(
                f"a batch of {recipe.batch} cannot be shared by {processes} processes, {recipe.accumulate} "
                f"micro-batches and {recipe.clips_per_video} clips a video; make it a multiple of {parts}"
            )
        self.source, self.recipe, self.step = source, recipe, step
        self.rank, self.share = rank, recipe.batch // processes
        self.micro = self.share // recipe.accumulate

    def __iter__(self) -> Iterator[Pair]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        if worker:
            torch.set_num_threads(1)
        views = self.recipe.clips_per_video
        # Micro-batches go round the workers in turn, as the loader takes them.
        for micro in count(self.step * self.recipe.accumulate + number, workers):
            step, part = divmod(micro, self.recipe.accumulate)
            first = step * self.recipe.batch + self.rank * self.share + part * self.micro
            for row in range(first, first + self.micro):
                yield self.source.pair(row // views, row % views)

    def loader(self, *, pin: bool = False) -> DataLoader[Pair]:
        """Batches of one micro-batch each; `pin` lays them where a GPU fetches them faster."""
        workers = self.recipe.workers
        return DataLoader(
            self,
            self.micro,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
            worker_init_fn=leave_group,
            multiprocessing_context=start_method(workers),
            pin_memory=pin,
        )


def next_batch(batches: Iterator[Pair]) -> Pair:
    """The next batch. A worker's error of ours comes without the traceback that the loader wraps around it."""
    try:
        return next(batches)
    except CMACError as error:
        kind = type(error)
        line = str(error).strip().splitlines()[-1]
        raise kind(line.removeprefix(f"{kind.__module__}.{kind.__qualname__}: ")) from None
