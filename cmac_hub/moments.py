"""What the network makes of each window of a video: the layer between files and drawing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cmac_hub.errors import MediaError
from cmac_hub.features import BATCH, SILENCE, batched
from cmac_hub.media import MediaInfo, Window, windows
from cmac_hub.model import CMAC
from cmac_hub.outputs import Attention
from cmac_hub.preprocessing import check_window

Map = Literal["guidance", "prediction"]
"""Where the picture answers to the sound (Eq. 4), or what the visual encoder attends to by itself (Eq. 5)."""


@dataclass(frozen=True)
class Peak:
    """Where one window's map is highest, for `cmac localize --json`."""

    time: float
    """Seconds on the container's clock: the window's centre."""
    x: float
    y: float
    """Pixels of the displayed frame, from its upper left corner."""
    score: float
    """The raw map value there, in [0, 1] with the normalization "cosine"."""
    sound: bool
    """Whether there is anything to hear in the window."""
    padded: bool
    """Whether part of the window lay outside of the file."""


@dataclass(frozen=True)
class Moment:
    """One window, seen and heard by the network."""

    time: float
    """Seconds on the container's clock: the window's centre."""
    heat_HW: np.ndarray
    """fp32 visual map at map resolution, averaged over its frames."""
    sound_heat_FS: np.ndarray | None
    """fp32 audio map at map resolution, low frequencies first; None without a sound track."""
    log_mel_FS: np.ndarray | None
    """fp32 normalised log-mel, low frequencies first; None without a sound track."""
    level: float | None
    """RMS of the sound; None without a sound track."""
    padded: bool
    """Whether part of the window lay outside of the file."""
    attention: Attention
    """All maps of the window, without the batch dimension."""

    @property
    def sound(self) -> bool:
        """Whether there is anything to hear."""
        return self.level is not None and self.level >= SILENCE

    def peak(self, info: MediaInfo) -> Peak:
        """The centre of the highest cell, in pixels of the displayed frame."""
        rows, columns = self.heat_HW.shape
        row, column = np.unravel_index(int(self.heat_HW.argmax()), (rows, columns))
        return Peak(
            time=self.time,
            x=(float(column) + 0.5) / columns * info.width,
            y=(float(row) + 0.5) / rows * info.height,
            score=float(self.heat_HW.max()),
            sound=self.sound,
            padded=self.padded,
        )


def observe(
    model: CMAC,
    info: MediaInfo,
    which: Map,
    *,
    window: float,
    hop: float,
    start: float | None = None,
    stop: float | None = None,
) -> Iterator[Moment]:
    """The moments of a file that has a picture, in order, with flat memory.

    Args:
        model: a trained network.
        info: what `cmac_hub.media.probe` says of the file.
        which: the map that `heat_HW` and `sound_heat_FS` hold.
        window: seconds that the network sees and hears at once.
        hop: seconds from one window's start to the next.
        start: see `cmac_hub.media.windows`.
        stop: see `cmac_hub.media.windows`.

    Raises:
        MediaError: the file cannot be read, or no frame of it can be decoded.
        ValueError: a window or hop that is not positive, or a window too short for a spectrogram.
    """
    config = model.config
    check_window(window, config)
    cut = windows(
        info.path,
        window=window,
        hop=hop,
        frames=config.visual.frames,
        size=config.visual.size,
        multiple=config.visual.multiple,
        sample_rate=config.audio.sample_rate,
        start=start,
        stop=stop,
    )
    return _observe(model, info, cut, which)


def _observe(model: CMAC, info: MediaInfo, cut: Iterator[Window], which: Map) -> Iterator[Moment]:
    for batch in batched(cut, BATCH):
        if any(one.frames is None for one in batch):
            raise MediaError(f"no frame of {info.path} can be decoded; its picture may be broken")
        yield from _observe_batch(model, batch, which)


def _observe_batch(model: CMAC, batch: list[Window], which: Map) -> list[Moment]:
    frames = torch.stack([torch.from_numpy(w.frames) for w in batch if w.frames is not None])
    sounds = [torch.from_numpy(w.waveform) for w in batch if w.waveform is not None]
    clips, spectrograms = model.prepare(frames, torch.stack(sounds) if sounds else None)
    maps = model.attend(clips, spectrograms)
    visual = maps.visual_guidance if which == "guidance" else maps.visual_prediction
    audio = maps.audio_guidance if which == "guidance" else maps.audio_prediction
    assert visual is not None
    moments = []
    for i, one in enumerate(batch):
        moments.append(
            Moment(
                time=one.time,
                heat_HW=visual[i].mean(0).float().cpu().numpy(),
                sound_heat_FS=None if audio is None else audio[i].float().cpu().numpy(),
                log_mel_FS=None if spectrograms is None else spectrograms[i, 0].float().cpu().numpy(),
                level=None if one.waveform is None else float(np.sqrt(np.mean(np.square(one.waveform)))),
                padded=one.padded,
                attention=Attention(*(None if m is None else m[i].float().cpu() for m in maps)),
            )
        )
    return moments
