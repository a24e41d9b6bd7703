"""A network over the windows of a recording: how it is cut for the network, and what is run at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cmac_hub import media
from cmac_hub.ahead import ahead
from cmac_hub.config import CMACConfig
from cmac_hub.encoders import FrameEncoder
from cmac_hub.errors import ArgumentError, MediaError
from cmac_hub.eval_mode import in_eval_mode
from cmac_hub.media import MediaInfo, Tee
from cmac_hub.network import Network
from cmac_hub.preprocessing import check_window, stack
from cmac_hub.windows import Window

BATCH = 16
"""Windows that pass through the network at once, unless a caller says otherwise."""

FRAMES_ON_CPU = 4
"""Frames that a `FrameEncoder` is given at once on a CPU: with 64, EfficientNet-Lite0 takes twice as long for each."""

SILENCE = 1e-3
"""RMS below which a window counts as silent: -60 dB of full scale."""


class Batch(NamedTuple):
    """Some windows, as the encoders describe them; tensors are on the network's device, without gradients."""

    windows: list[Window]
    visual_map: Tensor | None
    """(B, C, T', H', W'); None without a video stream."""
    spectrograms: Tensor | None
    """(B, 1, F, S); None without an audio stream."""
    audio_map: Tensor | None
    """(B, C, F', S'); None without an audio stream."""


class SharedFrames:
    """The maps of a recording's windows by a `FrameEncoder`, each frame encoded once however many windows show it.

    It remembers frames by their times, and of those only what later windows can still show: nothing older than the
    first frame of the last window. Windows come in order.

    Args:
        network: its visual encoder is a `FrameEncoder`.
    """

    def __init__(self, network: Network) -> None:
        encoder = network.encoder("visual")
        assert isinstance(encoder, FrameEncoder)
        self._network, self._encoder = network, encoder
        self._times = np.zeros(0)
        self._features: Tensor | None = None
        """(N, h, w, c), of the frames that came on screen at `_times`; so clips are channels last in memory."""

    def __len__(self) -> int:
        """Frames that are remembered."""
        return len(self._times)

    def maps(self, times_BT: np.ndarray, frames_BTHWC: Tensor) -> Tensor:
        """The next windows' maps (B, C, T', H', W').

        Args:
            times_BT: (B, T) float64: when each frame came on screen.
            frames_BTHWC: (B, T, H, W, 3) uint8.
        """
        asked = times_BT.ravel()
        times, firsts = np.unique(asked, return_index=True)
        new = ~np.isin(times, self._times)
        if new.any():
            features_NCHW = self._encode(frames_BTHWC.flatten(0, 1)[torch.from_numpy(firsts[new])])
            known = [] if self._features is None else [self._features]
            self._features = torch.cat([*known, features_NCHW.permute(0, 2, 3, 1)])
            self._times = np.concatenate([self._times, times[new]])
        assert self._features is not None
        features_BTHWC = self._features[self._places(asked)].unflatten(0, times_BT.shape)
        needed = self._times >= times_BT[-1].min()
        self._features, self._times = self._features[torch.from_numpy(needed)], self._times[needed]
        return self._encoder.join_frames(features_BTHWC.permute(0, 4, 1, 2, 3))

    def _encode(self, frames_NHWC: Tensor) -> Tensor:
        clips, _ = self._network.prepare(frames_NHWC[None], None)
        assert clips is not None
        frames_NCHW = clips[0].transpose(0, 1)
        at_once = FRAMES_ON_CPU if frames_NCHW.device.type == "cpu" else len(frames_NCHW)
        return torch.cat([self._encoder.encode_frames(some) for some in frames_NCHW.split(at_once)])

    def _places(self, times: np.ndarray) -> Tensor:
        """Where the frames of these times are among those remembered."""
        order = np.argsort(self._times)
        return torch.from_numpy(order[np.searchsorted(self._times, times, sorter=order)])


def windows_for(
    config: CMACConfig,
    source: str | Path | MediaInfo,
    *,
    window: float | None = None,
    hop: float | None = None,
    start: float | None = None,
    stop: float | None = None,
    audio_track: int | None = None,
    tee: Tee | None = None,
) -> Iterator[Window]:
    """A file's windows, of the streams that the network has encoders for.

    Args:
        config: of the network.
        source: a file, or what `cmac_hub.media.probe` said of it.
        window: seconds; the default is what the network was trained on.
        hop: seconds from one window's start to the next; the default is the window.
        start: see `cmac_hub.media.windows`.
        stop: see `cmac_hub.media.windows`.
        audio_track: see `cmac_hub.media.probe`.
        tee: decodes the frames, for drawing as well.

    Raises:
        MediaError: the file cannot be read, or has no stream that the network can use.
        ValueError: a window or hop that is not positive, or a window too short for a spectrogram.
    """
    window = config.window if window is None else window
    check_window(window, config)
    visual, audio = config.visual, config.audio
    info = media.as_info(source, audio_track)
    if not (info.has_video and visual is not None) and not (info.has_audio and audio is not None):
        has, needs = ("an audio stream", "a visual") if audio is None else ("a video stream", "an audio")
        raise MediaError(f"{info.path} has only {has}, and the network {config.name!r} only {needs} encoder")
    return media.windows(
        info,
        window=window,
        hop=window if hop is None else hop,
        frames=1 if visual is None else visual.frames,
        size=1 if visual is None else visual.size,
        multiple=1 if visual is None else visual.multiple,
        sample_rate=8000 if audio is None else audio.sample_rate,
        start=start,
        stop=stop,
        video=visual is not None,
        audio=audio is not None,
        decoded=None if tee is None else tee.decoded(),
    )


def check_batch_size(size: int | None, usual: int = BATCH) -> int:
    """The size, or the usual one for None. Raises ValueError for one that is no whole number from 1 on."""
    size = usual if size is None else size
    if not isinstance(size, int | np.integer) or size < 1:
        raise ArgumentError(f"batch_size is {size!r}; it must be a whole number from 1 on")
    return int(size)


def batches(network: Network, windows: Iterable[Window], size: int | None = None) -> Generator[Batch, None, None]:
    """Windows of one recording in order, encoded `size` at once in eval mode; the last batch is smaller.

    Args:
        network: whatever parts it has.
        windows: they are decoded one batch ahead, so as many again are in memory.
        size: a whole number from 1 on; the default is `BATCH`. Results do not depend on it but for rounding.

    Raises:
        ValueError: a size that is none; at once.
        MediaError: see `cmac_hub.media.windows`.
    """
    return _batches(network, windows, check_batch_size(size))


def _batches(network: Network, windows: Iterable[Window], size: int) -> Generator[Batch, None, None]:
    network = in_eval_mode(network)
    shared = SharedFrames(network) if isinstance(network.visual_encoder, FrameEncoder) else None
    # The next windows are decoded while these are encoded.
    with closing(ahead(iter(windows), size)) as remaining:
        while some := list(islice(remaining, size)):
            yield _encode(network, some, shared)


def _encode(network: Network, windows: list[Window], shared: SharedFrames | None) -> Batch:
    frames, waveforms = stack(windows)
    visual_map: Tensor | None
    with torch.no_grad():
        if shared is not None and frames is not None:
            times = np.stack([one.frame_times for one in windows if one.frame_times is not None])
            visual_map = shared.maps(times, frames)
        else:
            clips, _ = network.prepare(frames, None)
            visual_map = None if clips is None else network.encoder("visual")(clips)
        _, spectrograms = network.prepare(None, waveforms)
        audio_map = None if spectrograms is None else network.encoder("audio")(spectrograms)
    return Batch(windows, visual_map, spectrograms, audio_map)


def level(waveform: np.ndarray) -> float:
    """The RMS of a waveform (n,) in [-1, 1]."""
    return float(np.sqrt(np.mean(np.square(waveform))))
