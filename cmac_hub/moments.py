"""What the network makes of each window of a video: the layer between files and drawing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmac_hub import geometry
from cmac_hub.config import HEARING, Map
from cmac_hub.errors import MediaError
from cmac_hub.inference import SILENCE, Batch, batches, level, windows_for
from cmac_hub.media import MediaInfo
from cmac_hub.network import Network
from cmac_hub.outputs import Attention


@dataclass(frozen=True)
class Peak:
    """Where one window's map is highest, for `cmac localize --json`."""

    time: float
    """Seconds on the container's clock: the window's center."""
    x: float
    y: float
    """Pixels of the displayed frame, from its upper left corner."""
    score: float
    """The raw map value there, in [0, 1] with the normalizations "cosine" and "bounded"."""
    audible: bool
    """Whether there is anything to hear in the window."""
    padded: bool
    """Whether part of the window lay outside of the file."""


@dataclass(frozen=True)
class Moment:
    """One window, as the network describes it."""

    time: float
    """Seconds on the container's clock: the window's center."""
    visual_map_HW: np.ndarray
    """fp32 at map resolution, averaged over its frames."""
    audio_map_FS: np.ndarray | None
    """fp32 at map resolution, low frequencies first; None without an audio stream."""
    log_mel_FS: np.ndarray | None
    """fp32 normalized log-mel, low frequencies first; None without an audio stream."""
    level: float | None
    """RMS of the sound; None without an audio stream."""
    padded: bool
    """Whether part of the window lay outside of the file."""
    attention: Attention
    """The maps of the window, without the batch dimension: all, or at least the one that was asked for."""
    shift: geometry.Shift = geometry.CENTERED
    """By how much the visual map lies off, see `cmac_hub.geometry`."""

    @property
    def audible(self) -> bool:
        """Whether there is anything to hear."""
        return self.level is not None and self.level >= SILENCE

    def peak(self, info: MediaInfo) -> Peak:
        """The highest place of the visual map, in pixels of the displayed frame."""
        x, y = geometry.peak(self.visual_map_HW, self.shift)
        return Peak(
            time=self.time,
            x=x * info.width,
            y=y * info.height,
            score=float(self.visual_map_HW.max()),
            audible=self.audible,
            padded=self.padded,
        )


def observe(
    network: Network,
    info: MediaInfo,
    which: Map,
    *,
    window: float | None = None,
    hop: float | None = None,
    start: float | None = None,
    stop: float | None = None,
    all_maps: bool = False,
) -> Iterator[Moment]:
    """The moments of a file that has a video stream, in order, with flat memory.

    Args:
        network: a trained one.
        info: what `cmac_hub.media.probe` says of the file.
        which: the map that `visual_map_HW` and `audio_map_FS` hold.
        window: see `cmac_hub.inference.windows_for`.
        hop: see `cmac_hub.inference.windows_for`.
        start: see `cmac_hub.media.windows`.
        stop: see `cmac_hub.media.windows`.
        all_maps: compute every map of `attention`.

    Raises:
        MediaError: the file cannot be read, or no frame of it can be decoded.
        MissingPartError: the network lacks an encoder or the attention.
        ValueError: a window or hop that is not positive, or a window too short for a spectrogram.
    """
    network.require_attention("localize")
    cut = windows_for(network.config, info, window=window, hop=hop, start=start, stop=stop)
    return (moment for batch in batches(network, cut) for moment in _observe(network, info, batch, which, all_maps))


def _observe(network: Network, info: MediaInfo, batch: Batch, which: Map, all_maps: bool) -> list[Moment]:
    if batch.visual_map is None or len(batch.visual_map) < len(batch.windows):
        raise MediaError(f"no frame of {info.path} can be decoded; its video stream may be broken")
    if which in HEARING and batch.audio_map is None:
        raise MediaError(
            f'there is no sound of {info.path} to guide the attention; use map="prediction" (--map prediction)'
        )
    raw = network.attend_maps(batch.visual_map, batch.audio_map, only=None if all_maps else which)
    maps = Attention(*(None if one is None else one.float().cpu() for one in raw))
    visual, audio = getattr(maps, f"visual_{which}"), getattr(maps, f"audio_{which}")
    mels = None if batch.spectrograms is None else batch.spectrograms.float().cpu()
    return [
        Moment(
            time=one.time,
            visual_map_HW=visual[i].mean(0).numpy(),
            audio_map_FS=None if audio is None else audio[i].numpy(),
            log_mel_FS=None if mels is None else mels[i, 0].numpy(),
            level=None if one.waveform is None else level(one.waveform),
            padded=one.padded,
            attention=Attention(*(None if m is None else m[i] for m in maps)),
            shift=network.config.require_visual().map_shift,
        )
        for i, one in enumerate(batch.windows)
    ]
