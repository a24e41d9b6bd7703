"""Files or arrays -> features of both streams, one row a window, with flat memory however long the file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from cmac_hub.errors import MediaError
from cmac_hub.eval_mode import evaluating
from cmac_hub.inference import SILENCE, batches, level, windows_for
from cmac_hub.media import MediaInfo
from cmac_hub.network import Network
from cmac_hub.preprocessing import cut_windows
from cmac_hub.windows import Window

UNREADABLE = (OSError, SafetensorError, RuntimeError)
"""What reading a safetensors file raises; PyTorch, which opens it once more, has errors of its own."""


@dataclass(frozen=True)
class Features:
    """One row a window; fp32 tensors on the CPU, without gradients. A missing stream's fields are None."""

    times: Tensor
    """(N,) fp64, seconds on the container's clock: the windows' centers."""
    padded: Tensor
    """(N,) bool: whether part of the window lay outside of the media."""
    visual: Tensor | None = None
    """(N, C): the visual encoder's map, averaged over its positions."""
    audio: Tensor | None = None
    """(N, C): the audio encoder's map, averaged over its positions."""
    visual_embedding: Tensor | None = None
    """(N, D) of unit length, comparable with `audio_embedding` by the dot product."""
    audio_embedding: Tensor | None = None
    """(N, D) of unit length."""
    sound_level: Tensor | None = None
    """(N,) RMS of each window's waveform in [0, 1]; below `SILENCE` the audio features describe silence."""

    @property
    def silent(self) -> bool:
        """Whether there is an audio stream and nothing to hear on it."""
        return self.sound_level is not None and bool((self.sound_level < SILENCE).all())

    def to_dict(self) -> dict[str, Tensor]:
        """What is there, by field name: the keys of the files that `cmac features` writes."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file that `cmac features` wrote.

        Raises:
            MediaError: the file is missing or broken, or holds other tensors.
        """
        try:
            with safe_open(path, "pt") as file:
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except UNREADABLE as error:
            reason = str(error).splitlines()[0]
            raise MediaError(f"{path} is no features file of cmac features ({reason})") from error
        known = [f.name for f in fields(cls)]
        if not {"times", "padded"} <= found.keys() <= set(known):
            held = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")
            raise MediaError(
                f"{path} is no features file of cmac features: it holds the tensors {held or '-'}; expected are times, "
                f"padded, and some of {', '.join(known[2:])}"
            )
        return cls(**found)


def features_of_file(
    network: Network,
    path: str | os.PathLike[str] | MediaInfo,
    *,
    window: float | None = None,
    hop: float | None = None,
    audio_track: int | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> Features:
    """Features of one file (or of what `probe` said of it); see `CMAC.extract_features` for arguments and errors."""
    source = path if isinstance(path, MediaInfo) else Path(path)
    cut = windows_for(network.config, source, window=window, hop=hop, audio_track=audio_track)
    return _collect(network, tqdm(cut, disable=not progress, unit="window"), batch_size)


def features_of_files(
    network: Network,
    paths: Iterable[str | os.PathLike[str]],
    *,
    window: float | None = None,
    hop: float | None = None,
    audio_track: int | None = None,
    batch_size: int | None = None,
    progress: bool = False,
) -> list[Features | None]:
    """Features of each file, None (and a warning) for one that cannot be read; see `CMAC.extract_features`."""
    how: dict[str, Any] = {"window": window, "hop": hop, "audio_track": audio_track, "batch_size": batch_size}
    results: list[Features | None] = []
    for path in tqdm(list(paths), disable=not progress, unit="file"):
        try:
            results.append(features_of_file(network, path, **how))
        except MediaError as error:
            warnings.warn(f"skipped: {error}", stacklevel=3)
            results.append(None)
    return results


def features_of_arrays(
    network: Network,
    frames: ArrayLike | None = None,
    frame_rate: float | None = None,
    waveform: ArrayLike | None = None,
    sample_rate: float | None = None,
    *,
    window: float | None = None,
    hop: float | None = None,
    batch_size: int | None = None,
) -> Features:
    """Features of raw arrays; arguments and errors are those of `CMAC.extract_features`."""
    window = network.config.window if window is None else window
    hop = window if hop is None else hop
    cut = cut_windows(frames, frame_rate, waveform, sample_rate, network.config, window, hop)
    return _collect(network, cut, batch_size)


def _collect(network: Network, windows: Iterable[Window], batch_size: int | None) -> Features:
    times: list[float] = []
    padded: list[bool] = []
    visual, audio, visual_embedding, audio_embedding = (_Rows() for _ in range(4))
    levels: list[float] = []
    for batch in batches(network, windows, batch_size):
        with evaluating(network) as trained:
            if batch.visual_map is not None:
                found = trained.embed("visual", batch.visual_map)
                visual.add(found.features)
                visual_embedding.add(found.embedding)
            if batch.audio_map is not None:
                found = trained.embed("audio", batch.audio_map)
                audio.add(found.features)
                audio_embedding.add(found.embedding)
        levels += [level(one.waveform) for one in batch.windows if one.waveform is not None]
        times += [one.time for one in batch.windows]
        padded += [one.padded for one in batch.windows]
    return Features(
        times=torch.from_numpy(np.array(times, np.float64)),
        padded=torch.tensor(padded),
        visual=visual.all(),
        audio=audio.all(),
        visual_embedding=visual_embedding.all(),
        audio_embedding=audio_embedding.all(),
        sound_level=torch.tensor(levels, dtype=torch.float32) if levels else None,
    )


class _Rows:
    """Rows that come some at a time, fp32 on the CPU, in one block that doubles: thousands of small tensors among the
    network's large ones would keep the heap from being used again, and an hour would take a quarter more memory."""

    def __init__(self) -> None:
        self._block: Tensor | None = None
        self._count = 0

    def add(self, rows_NC: Tensor | None) -> None:
        """The next rows; nothing for None."""
        if rows_NC is None:
            return
        block, count = self._block, self._count + len(rows_NC)
        if block is None or count > len(block):
            self._block = torch.empty(max(count, 2 * self._count), *rows_NC.shape[1:], dtype=torch.float32)
            if block is not None:
                self._block[: self._count] = block[: self._count]
        assert self._block is not None
        self._block[self._count : count] = rows_NC
        self._count = count

    def all(self) -> Tensor | None:
        """(N, C), or None where no rows came."""
        return None if self._block is None else self._block[: self._count].clone()
