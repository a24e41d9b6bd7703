"""What the network makes of each window of a video: the layer between files and drawing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from cmac_hub import drawing, geometry
from cmac_hub.config import HEARING, Map, Scale
from cmac_hub.errors import MediaError
from cmac_hub.inference import SILENCE, Batch, batches, level, windows_for
from cmac_hub.lit import Box, lit_box
from cmac_hub.media import MediaInfo, Tee
from cmac_hub.network import Network
from cmac_hub.outputs import Attention


@dataclass(frozen=True)
class Peak:
    """Where one window's map is highest, and how sure that is: what `cmac localize --json` and `--csv` tell."""

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
    lit: bool
    """Whether the map exceeds the network's own limits (`config.display`), on whatever scale it is drawn, and
    for a map that hears only where there is anything to hear."""
    box: Box | None
    """Left, top, right, bottom in pixels of the displayed frame, right and bottom excluded: the region around the peak
    that is seen to be lit (a quarter of full strength) on the scale that is drawn; None where nothing is."""
    sound_level: float | None
    """RMS of the window's sound in [0, 1]; None without an audio stream."""
    agreement: float | None
    """In [-1, 1]: the cosine of the embeddings of picture and sound, as wholes; None without an audio stream."""


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
    which: Map = "joint"
    """The map that `visual_map_HW` and `audio_map_FS` hold."""
    limits: tuple[float, float] = drawing.NO_LIMITS
    """The checkpoint's, of `visual_map_HW`: where it begins to be lit and where fully, see `DisplayConfig`."""
    agreement: float | None = None
    """In [-1, 1]: the cosine of the embeddings of picture and sound; None without an audio stream."""

    @property
    def audible(self) -> bool:
        """Whether there is anything to hear."""
        return self.level is not None and self.level >= SILENCE

    def strength(self, scale: Scale = "absolute") -> np.ndarray:
        """(h, w) uint8 at map resolution: how brightly the moment is drawn, see `cmac_hub.drawing`."""
        fade = float(self.audible or self.which not in HEARING)
        return drawing.strength(self.visual_map_HW, drawing.NO_LIMITS if scale == "relative" else self.limits, fade)

    def peak(self, info: MediaInfo, scale: Scale = "absolute") -> Peak:
        """The highest place of the visual map, in pixels of the displayed frame; `scale` is that of the drawing."""
        x, y = geometry.peak(self.visual_map_HW, self.shift)
        row, column = np.unravel_index(int(self.visual_map_HW.argmax()), self.visual_map_HW.shape)
        drawn, highest = self.strength(scale), (int(row), int(column))
        return Peak(
            time=self.time,
            x=x * info.width,
            y=y * info.height,
            score=float(self.visual_map_HW.max()),
            audible=self.audible,
            padded=self.padded,
            lit=bool(self.strength()[highest] >= drawing.VISIBLE),
            box=lit_box(drawn, highest, info.width, info.height, self.shift),
            sound_level=self.level,
            agreement=self.agreement,
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
    batch_size: int | None = None,
    tee: Tee | None = None,
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
        batch_size: see `cmac_hub.inference.batches`.
        tee: see `cmac_hub.inference.windows_for`.

    Raises:
        MediaError: the file cannot be read, or no frame of it can be decoded.
        MissingPartError: the network lacks an encoder or the attention.
        ValueError: a window or hop that is not positive, a window too short for a spectrogram, or a bad batch size.
    """
    network.require_attention("localize")
    cut = windows_for(network.config, info, window=window, hop=hop, start=start, stop=stop, tee=tee)
    return _moments(network, info, batches(network, cut, batch_size), which, all_maps)


def _moments(
    network: Network, info: MediaInfo, encoded: Generator[Batch, None, None], which: Map, all_maps: bool
) -> Iterator[Moment]:
    # Closed at once also after an error: frames may wait behind it.
    with closing(encoded):
        for batch in encoded:
            yield from _observe(network, info, batch, which, all_maps)


def _observe(network: Network, info: MediaInfo, batch: Batch, which: Map, all_maps: bool) -> list[Moment]:
    if batch.visual_map is None or len(batch.visual_map) < len(batch.windows):
        raise MediaError(f"no frame of {info.path} can be decoded; its video stream may be broken")
    if which in HEARING and batch.audio_map is None:
        raise MediaError(
            f'there is no sound of {info.path} to guide the attention; use map="prediction" (--map prediction)'
        )
    raw, agreement = network.compare_maps(batch.visual_map, batch.audio_map, only=None if all_maps else which)
    agreements = None if agreement is None else agreement.tolist()
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
            which=which,
            limits=network.config.display.limits("visual", which),
            agreement=None if agreements is None else agreements[i],
        )
        for i, one in enumerate(batch.windows)
    ]
