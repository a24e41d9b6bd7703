"""Clips of action videos, decoded by worker processes beside the network: the videos are many, and decoding is slow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.media import probe, windows
from cmac_hub.registry import VisualConfig
from cmac_hub.train.augmentation import ZOOM, ClipAugmentation
from cmac_hub.train.interrupts import is_killed_worker
from cmac_hub.train.stream import start_method


def read_clips(path: Path, config: VisualConfig, window: float, moments: np.ndarray, size: int | None = None) -> Tensor:
    """Clips of one video: (N, T, H, W, 3) uint8.

    Args:
        path: the video.
        config: frames and sizes of a clip.
        window: seconds of a clip.
        moments: (N,) in [0, 1]: where a clip begins, from the first to the last possible second.
        size: short side in pixels; None takes the config's.

    Raises:
        MediaError: the file cannot be read.
    """
    info = probe(path)
    slack = max(0.0, (info.duration or window) - window)
    clips = []
    for moment in moments:
        begin = info.start + float(moment) * slack
        cut = windows(
            path,
            window=window,
            hop=window,
            frames=config.frames,
            size=size or config.size,
            multiple=1 if size else config.multiple,
            sample_rate=8000,
            start=begin,
            stop=begin + window,
            audio=False,
        )
        clips.append(torch.from_numpy(next(cut).frames))
    return torch.stack(clips)


class UniformClips(Dataset[Tensor | None]):
    """Item i is `count` clips of video i, evenly spread: (count, T, H, W, 3) uint8, or None where it is broken."""

    def __init__(self, paths: Sequence[Path], config: VisualConfig, window: float, count: int) -> None:
        self.paths, self.config, self.window, self.count = paths, config, window, count

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> Tensor | None:
        try:
            return read_clips(self.paths[item], self.config, self.window, np.linspace(0, 1, self.count))
        except MediaError:
            return None


class RandomClips(Dataset[Tensor | None]):
    """Item i is one augmented clip of video `turns[i]`: (T, size, size, 3) uint8, or None where it is broken.

    What is drawn depends on `seed` and i alone, not on which process reads it.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        turns: np.ndarray,
        config: VisualConfig,
        window: float,
        *,
        color_jitter: bool,
        seed: tuple[int, ...],
    ) -> None:
        self.paths, self.turns, self.config, self.window, self.seed = paths, turns, config, window, seed
        self.change = ClipAugmentation(config.size, color_jitter)

    def __len__(self) -> int:
        return len(self.turns)

    def __getitem__(self, item: int) -> Tensor | None:
        rng = np.random.default_rng([*self.seed, item])
        path, size = self.paths[int(self.turns[item])], round(self.config.size * ZOOM)
        try:
            clip = read_clips(path, self.config, self.window, rng.random(1), size)[0]
        except MediaError:
            return None
        return self.change(clip.numpy(), rng)


def read_ahead(clips: UniformClips | RandomClips, description: str, workers: int = 0) -> Iterator[Tensor | None]:
    """All items in order, under a progress bar.

    Args:
        clips: what to read.
        description: of the bar.
        workers: processes that decode; 0: one a core.

    Raises:
        CMACError: the system killed one of them.
    """
    workers = min(workers or os.cpu_count() or 1, len(clips))
    loader = DataLoader(
        clips,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_one_thread,
        multiprocessing_context=start_method(workers),
    )
    try:
        yield from tqdm(loader, desc=description, disable=None)
    except RuntimeError as error:
        if not is_killed_worker(error):
            raise
        raise CMACError(
            "a process that decodes videos was killed, perhaps because the memory was full; use fewer, --workers 1"
        ) from error


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
