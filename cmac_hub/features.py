"""Files or arrays -> features of both streams, one row a window, with flat memory however long the file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm import tqdm

from cmac_hub import preprocessing
from cmac_hub.config import CMACConfig
from cmac_hub.errors import MediaError
from cmac_hub.media import windows
from cmac_hub.model import CMAC, evaluating
from cmac_hub.outputs import Stream

BATCH = 16
"""Windows that pass through the network at once."""

SILENCE = 1e-3
"""RMS below which a window counts as silent: -60 dB of full scale."""

T = TypeVar("T")


@dataclass(frozen=True)
class Features:
    """One row a window; fp32 tensors on the CPU, without gradients. A missing stream's fields are None."""

    times: Tensor
    """(N,) fp64, seconds on the container's clock: the windows' centres."""
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

    padded: Tensor | None = None
    """(N,) bool: whether part of the window lay outside of the media; always there."""

    @property
    def silent(self) -> bool:
        """Whether there is a sound track and nothing to hear on it."""
        return self.sound_level is not None and bool((self.sound_level < SILENCE).all())

    def to_dict(self) -> dict[str, Tensor]:
        """What is there, by field name: the keys of the files that `cmac features` writes."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


def features_of_file(
    model: CMAC,
    path: str | os.PathLike[str],
    *,
    window: float | None = None,
    hop: float | None = None,
    progress: bool = False,
) -> Features:
    """Features of one file; arguments and errors are those of `CMAC.extract_features`."""
    window, hop = _span(model, window, hop)
    return _collect(model, _read(Path(path), model.config, window, hop, progress))


def features_of_files(
    model: CMAC,
    paths: Iterable[str | os.PathLike[str]],
    *,
    window: float | None = None,
    hop: float | None = None,
    progress: bool = False,
) -> list[Features | None]:
    """Features of each file, None (and a warning) for one that cannot be read; see `CMAC.extract_features`."""
    results: list[Features | None] = []
    for path in tqdm(list(paths), disable=not progress, unit="file"):
        try:
            results.append(features_of_file(model, path, window=window, hop=hop))
        except MediaError as error:
            warnings.warn(f"skipped: {error}", stacklevel=3)
            results.append(None)
    return results


def features_of_arrays(
    model: CMAC,
    frames: ArrayLike | None = None,
    frame_rate: float | None = None,
    waveform: ArrayLike | None = None,
    sample_rate: float | None = None,
    *,
    window: float | None = None,
    hop: float | None = None,
) -> Features:
    """Features of raw arrays; arguments and errors are those of `CMAC.extract_features`."""
    window, hop = _span(model, window, hop)
    times, cut, sounds, padded = preprocessing.cut_windows(
        frames, frame_rate, waveform, sample_rate, model.config, window, hop
    )
    rows = (
        (float(t), None if cut is None else cut[i], None if sounds is None else sounds[i], bool(padded[i]))
        for i, t in enumerate(times)
    )
    return _collect(model, rows)


def _span(model: CMAC, window: float | None, hop: float | None) -> tuple[float, float]:
    window = model.config.window if window is None else window
    preprocessing.check_window(window, model.config)
    return window, window if hop is None else hop


Row = tuple[float, Tensor | None, Tensor | None, bool]
"""Time, frames (T, H, W, 3) uint8, waveform (n,) fp32 of one window, and whether it is padded."""


def _read(path: Path, config: CMACConfig, window: float, hop: float, progress: bool) -> Iterator[Row]:
    cut = windows(
        path,
        window=window,
        hop=hop,
        frames=config.visual.frames,
        size=config.visual.size,
        multiple=config.visual.multiple,
        sample_rate=config.audio.sample_rate,
    )
    for one in tqdm(cut, disable=not progress, unit="window"):
        yield (
            one.time,
            None if one.frames is None else torch.from_numpy(one.frames),
            None if one.waveform is None else torch.from_numpy(one.waveform),
            one.padded,
        )


def _collect(model: CMAC, rows: Iterable[Row]) -> Features:
    times: list[float] = []
    padded: list[bool] = []
    levels: list[Tensor] = []
    visual: list[tuple[Tensor, Tensor]] = []
    audio: list[tuple[Tensor, Tensor]] = []
    for batch in batched(rows, BATCH):
        times += [row[0] for row in batch]
        frames = [row[1] for row in batch if row[1] is not None]
        sounds = [row[2] for row in batch if row[2] is not None]
        padded += [row[3] for row in batch]
        clips, spectrograms = model.prepare(
            torch.stack(frames) if frames else None, torch.stack(sounds) if sounds else None
        )
        with evaluating(model):
            if clips is not None:
                visual.append(_pooled(model.visual_stream(clips)))
            if spectrograms is not None:
                audio.append(_pooled(model.audio_stream(spectrograms)))
        if sounds:
            levels.append(torch.stack(sounds).square().mean(1).sqrt())
    return Features(
        times=torch.from_numpy(np.array(times, dtype=np.float64)),
        visual=torch.cat([features for features, _ in visual]) if visual else None,
        audio=torch.cat([features for features, _ in audio]) if audio else None,
        visual_embedding=torch.cat([embedding for _, embedding in visual]) if visual else None,
        audio_embedding=torch.cat([embedding for _, embedding in audio]) if audio else None,
        sound_level=torch.cat(levels) if levels else None,
        padded=torch.tensor(padded),
    )


def _pooled(stream: Stream) -> tuple[Tensor, Tensor]:
    return stream.features.float().cpu(), stream.embedding.float().cpu()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
