"""Raw media -> the tensors the encoders take: uint8 frames -> a normalised clip, a waveform -> a normalised log-mel."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import ArrayLike
from torch import Tensor
from torchvision.transforms.v2 import functional as vision

from cmac_hub.config import AudioConfig, CMACConfig, VisualConfig
from cmac_hub.media import fit_size


def normalize_clips(frames_BTHWC: Tensor, config: VisualConfig) -> Tensor:
    """Frames -> clips: (B, T, H, W, 3) uint8 -> (B, 3, T, H, W) fp32, channels last in memory.

    A decoded frame already has its channels last, so the permutation costs nothing and convolutions like the result.
    """
    clips_BTHWC = frames_BTHWC.to(torch.float32)
    mean = torch.tensor(config.mean, device=clips_BTHWC.device) * 255
    std = torch.tensor(config.std, device=clips_BTHWC.device) * 255
    return ((clips_BTHWC - mean) / std).permute(0, 4, 1, 2, 3)


@lru_cache(maxsize=8)
def _mel_filters(config: AudioConfig, device: torch.device) -> Tensor:
    """(fft_size / 2 + 1, F): the HTK mel filter bank. Kept for later calls, so never an inference tensor."""
    with torch.inference_mode(False):
        return torchaudio.functional.melscale_fbanks(
            config.fft_size // 2 + 1, config.mel_min_hz, config.mel_max_hz, config.mel_bands, config.sample_rate
        ).to(device)


def log_mel(waveforms_BN: Tensor, config: AudioConfig) -> Tensor:
    """Waveforms -> spectrograms: (B, n) float in [-1, 1] at `config.sample_rate` -> (B, 1, F, S) fp32.

    Windows of `window_seconds` every `hop_seconds`, zero-padded to `fft_size`; the mel power's natural logarithm above
    a floor; normalised by the config's mean and standard deviation. S is n / (hop in samples), rounded down: the extra
    frame that centring gives is dropped.
    """
    rate = config.sample_rate
    hop, length = round(config.hop_seconds * rate), round(config.window_seconds * rate)
    waveforms_BN = waveforms_BN.to(torch.float32)
    window = torch.hann_window(length, device=waveforms_BN.device)
    spectrum = torch.stft(
        waveforms_BN, config.fft_size, hop, length, window, center=True, pad_mode="constant", return_complex=True
    )
    power_BFS = torch.view_as_real(spectrum).square().sum(-1)[..., : waveforms_BN.shape[-1] // hop]
    mel_BFS = torch.matmul(_mel_filters(config, power_BFS.device).T, power_BFS)
    return ((torch.log(mel_BFS + config.log_floor) - config.mean) / config.std)[:, None]


def resample(waveform: ArrayLike, sample_rate: float, config: AudioConfig) -> Tensor:
    """(channels, n) or (n,) float in [-1, 1] at `sample_rate` hertz -> (n',) mono fp32 at the config's rate.

    What is louder than full scale is clipped, as in a file.

    Raises:
        ValueError: integers, a shape that is neither, a value that is not finite, or a rate that is not positive.
    """
    samples = _on_cpu(waveform)
    shape = tuple(samples.shape)
    if not samples.is_floating_point():
        raise ValueError(f"the waveform is {samples.dtype}; give float in [-1, 1], such as int16 divided by 32768")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not shape[0]):
        raise ValueError(f"the waveform has shape {shape}; expected (channels, n) or (n,)")
    if samples.ndim == 2 and shape[0] > shape[1] > 0:
        raise ValueError(f"the waveform has shape {shape}; expected (channels, n): transpose it")
    if not samples.isfinite().all():
        raise ValueError("the waveform holds values that are not finite; give float in [-1, 1]")
    samples = samples.to(torch.float32).clamp(-1, 1)
    if not sample_rate > 0:
        raise ValueError(f"the sample rate is {sample_rate}; it must be positive")
    if samples.ndim == 2:
        samples = samples.mean(0)
    if round(sample_rate) == config.sample_rate:
        return samples
    return torchaudio.functional.resample(samples, round(sample_rate), config.sample_rate)


def _on_cpu(values: ArrayLike | Tensor) -> Tensor:
    """Arrays and lists as NumPy reads them, turned ones too; tensors from any device, with or without a gradient."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = np.asarray(values)
    return torch.as_tensor(array.copy() if any(stride < 0 for stride in array.strides) else array)


def check_window(window: float, config: CMACConfig) -> None:
    """Raises ValueError when a window of so many seconds has no spectrogram."""
    if not window >= config.audio.hop_seconds:
        raise ValueError(
            f"window is {window} s; it must be at least {config.audio.hop_seconds:g} s, one spectrogram hop"
        )


def resize_frames(frames: ArrayLike, config: VisualConfig) -> Tensor:
    """(T, H, W, 3) uint8 RGB -> (T, H', W', 3) uint8, the short side at the config's size, aspect kept.

    Raises:
        ValueError: another shape or dtype.
    """
    array = _on_cpu(frames)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != torch.uint8:
        raise ValueError(f"frames are {array.dtype} {tuple(array.shape)}; expected uint8 (T, H, W, 3)")
    width, height = fit_size(array.shape[2], array.shape[1], config.size, config.multiple)
    if (height, width) == tuple(array.shape[1:3]):
        return array
    resized = vision.resize(array.permute(0, 3, 1, 2), [height, width], antialias=True)
    return resized.permute(0, 2, 3, 1)


def cut_windows(
    frames: ArrayLike | None,
    frame_rate: float | None,
    waveform: ArrayLike | None,
    sample_rate: float | None,
    config: CMACConfig,
    window: float,
    hop: float,
) -> tuple[np.ndarray, Tensor | None, Tensor | None, np.ndarray]:
    """Arrays -> the windows a file of the same content would give, see `cmac_hub.media.windows`.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or None.
        frame_rate: hertz.
        waveform: (channels, n) or (n,) float in [-1, 1], or None.
        sample_rate: hertz.
        config: sizes and rates to cut to.
        window: seconds.
        hop: seconds between the starts of two windows.

    Returns:
        times (N,) of the centres in seconds, frames (N, T, H', W', 3) uint8 or None, waveforms (N, n') fp32 or None,
        padded (N,) bool.

    Raises:
        ValueError: neither stream given, a stream without its rate, or a stream that is empty.
    """
    if frames is None and waveform is None:
        raise ValueError("neither frames nor a waveform was given; give at least one of them")
    check_window(window, config)
    if not hop > 0:
        raise ValueError(f"hop is {hop} s; it must be positive")
    duration = 0.0
    if frames is not None:
        if not frame_rate or frame_rate <= 0:
            raise ValueError(f"frame_rate is {frame_rate}; give the frames' rate in hertz")
        frames = resize_frames(frames, config.visual)
        if not len(frames):
            raise ValueError("there are no frames; give at least one")
        duration = len(frames) / frame_rate
    if waveform is not None:
        if not sample_rate:
            raise ValueError("sample_rate is missing; give the waveform's rate in hertz")
        waveform = resample(waveform, sample_rate, config.audio)
        if not waveform.numel():
            raise ValueError("the waveform is empty; give at least one sample")
        duration = max(duration, len(waveform) / config.audio.sample_rate)
    count = max(1, math.ceil((duration - window / 2) / hop - 1e-6))
    starts = np.arange(count) * hop
    clips: Any = None
    sounds: Any = None
    if frames is not None and frame_rate:
        instants = starts[:, None] + (np.arange(config.visual.frames) + 0.5) / config.visual.frames * window
        nearest = np.clip(np.rint(instants * frame_rate - 1e-9), 0, len(frames) - 1).astype(np.int64)
        clips = frames[torch.from_numpy(nearest)]
    if waveform is not None:
        length = round(window * config.audio.sample_rate)
        first = np.rint(starts * config.audio.sample_rate).astype(np.int64)
        padded = torch.nn.functional.pad(waveform, (0, max(0, int(first[-1]) + length - len(waveform))))
        sounds = torch.stack([padded[i : i + length] for i in first])
    return starts + window / 2, clips, sounds, starts + window > duration + 1e-3
