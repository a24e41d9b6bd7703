"""Raw media -> the tensors the encoders take: uint8 frames -> a normalized clip, a waveform -> a normalized log-mel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from cmac_hub.checks import check_most, check_positive
from cmac_hub.config import CMACConfig
from cmac_hub.errors import ArgumentError
from cmac_hub.mel import mel_filters
from cmac_hub.registry import AudioConfig, VisualConfig
from cmac_hub.sides import mono
from cmac_hub.windows import Window, WindowGrid, fit_size, on_screen

MOST_SECONDS = 600.0
"""The longest window: of ten minutes an audio encoder's maps take some hundred megabytes, of an hour some gigabytes."""

LOUDEST = 32.0
"""Of full scale: what is louder was never divided by it."""

FASTEST = 10_000_000
"""Hertz: as of files, see `cmac_hub.media.heard`."""

LARGEST_FILTER = 2**24
"""About so many numbers torchaudio's filter may have: 44100 to 16000 hertz, or 441 to 160, takes 441 * 160. Rates of no
common factor are resampled by FFmpeg, as those of files are: 22049 hertz would take gigabytes."""


@lru_cache(maxsize=8)
def _pixel_statistics(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """(3,) each, of pixels from 0 to 255. Kept for later calls: bringing them to a GPU would make the host wait."""
    with torch.inference_mode(False):
        return tuple(torch.tensor(one, dtype=torch.float32, device=device) * 255 for one in (mean, std))  # type: ignore[return-value]


def normalize_clips(frames_BTHWC: Tensor, config: VisualConfig) -> Tensor:
    """Frames -> clips: (B, T, H, W, 3) uint8 -> (B, 3, T, H, W) fp32, channels last in memory.

    A decoded frame already has its channels last, so the permutation costs nothing and convolutions like the result.
    """
    clips_BTHWC = frames_BTHWC.to(torch.float32)
    mean, std = _pixel_statistics(config.mean, config.std, clips_BTHWC.device)
    return ((clips_BTHWC - mean) / std).permute(0, 4, 1, 2, 3)


@lru_cache(maxsize=8)
def _mel_filters(config: AudioConfig, device: torch.device) -> Tensor:
    """(F, n_fft / 2 + 1): the HTK mel filter bank. Kept for later calls, so never an inference tensor."""
    bank = mel_filters(config.n_fft // 2 + 1, config.f_min, config.f_max, config.n_mels, config.sample_rate)
    with torch.inference_mode(False):
        return torch.from_numpy(bank.T.copy()).to(device)


def log_mel(waveforms_BN: Tensor, config: AudioConfig) -> Tensor:
    """Waveforms -> spectrograms: (B, n) float in [-1, 1] at `config.sample_rate` -> (B, 1, F, S) fp32.

    Windows of `win_length` samples every `hop_length`, zero-padded to `n_fft`; their power, or another power of their
    magnitude, in mel bands; its natural logarithm above a floor; normalized by the config's mean and standard
    deviation. S is n / hop_length, rounded down: the extra frame that centering gives is dropped.
    """
    waveforms_BN = waveforms_BN.to(torch.float32)
    window = torch.hann_window(config.win_length, dtype=torch.float32, device=waveforms_BN.device)
    spectrum = torch.stft(
        waveforms_BN,
        config.n_fft,
        config.hop_length,
        config.win_length,
        window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    power_BFS = torch.view_as_real(spectrum).square().sum(-1)[..., : waveforms_BN.shape[-1] // config.hop_length]
    if config.power != 2:
        power_BFS = power_BFS ** (config.power / 2)
    mel_BFS = torch.matmul(_mel_filters(config, power_BFS.device), power_BFS)
    return ((torch.log(mel_BFS + config.log_floor) - config.mean) / config.std)[:, None]


def resample(waveform: ArrayLike, sample_rate: float, config: AudioConfig) -> Tensor:
    """(channels, n) or (n,) float in [-1, 1] at `sample_rate` hertz -> (n',) mono fp32 at the config's rate.

    What is louder than full scale is clipped, as in a file. Channels become their mean; of two that cancel each other
    the louder one is heard, and a warning says so.

    Raises:
        ValueError: integers, also as floats (above `LOUDEST`), a shape that is neither, no samples, a value that is not
            finite, or a rate below 1 or above `FASTEST`.
    """
    samples = _on_cpu(waveform)
    shape = tuple(samples.shape)
    if not samples.is_floating_point():
        raise ArgumentError(f"the waveform is {samples.dtype}; give float in [-1, 1], such as int16 divided by 32768")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not shape[0]):
        raise ArgumentError(f"the waveform has shape {shape}; expected (channels, n) or (n,)")
    if samples.ndim == 2 and shape[0] > shape[1] > 0:
        raise ArgumentError(f"the waveform has shape {shape}; expected (channels, n): transpose it")
    if not samples.isfinite().all():
        raise ArgumentError("the waveform holds values that are not finite; give float in [-1, 1]")
    if not shape[-1]:
        raise ArgumentError("the waveform is empty; give at least one sample")
    if (peak := samples.abs().max()) > LOUDEST:
        raise ArgumentError(f"the waveform reaches {peak:.0f}; give float in [-1, 1], such as int16 divided by 32768")
    samples = samples.to(torch.float32).clamp(-1, 1)
    if isinstance(sample_rate, str) or not 1 <= sample_rate < float("inf"):
        raise ArgumentError(f"the sample rate is {sample_rate!r}; it must be at least 1 hertz")
    check_most(sample_rate=(sample_rate, FASTEST))
    if samples.ndim == 2:
        samples = _mixed_down(samples)
    if round(sample_rate) == config.sample_rate:
        return samples
    given = round(sample_rate)
    if given * config.sample_rate // math.gcd(given, config.sample_rate) ** 2 > LARGEST_FILTER:
        return _resampled_by_ffmpeg(samples, given, config.sample_rate)
    from torchaudio.functional import resample as resample_by_sinc

    return resample_by_sinc(samples, given, config.sample_rate)


def _resampled_by_ffmpeg(samples: Tensor, given: int, wanted: int) -> Tensor:
    import av

    frame = av.AudioFrame.from_ndarray(samples.numpy()[None], format="fltp", layout="mono")
    frame.sample_rate = given
    resampler = av.AudioResampler("fltp", "mono", wanted)
    pieces = [one.to_ndarray()[0] for part in (frame, None) for one in resampler.resample(part)]
    return torch.from_numpy(np.concatenate(pieces)) if pieces else samples[:1]


def _mixed_down(samples_CN: Tensor) -> Tensor:
    if len(samples_CN) != 2:
        return samples_CN.mean(0)
    heard, cancel = mono(samples_CN.numpy())
    if cancel:
        warnings.warn("both sides of the waveform cancel, one is inverted: the louder is heard", stacklevel=3)
    return torch.from_numpy(heard)


def _on_cpu(values: ArrayLike | Tensor) -> Tensor:
    """Arrays and lists as NumPy reads them, turned ones too; tensors from any device, with or without a gradient."""
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = np.asarray(values)
    return torch.as_tensor(array.copy() if any(stride < 0 for stride in array.strides) else array)


def check_window(window: float, config: CMACConfig) -> None:
    """Raises ValueError when a window of so many seconds is none, has no spectrogram, or is longer than any memory
    should be asked for."""
    check_positive(window=window)
    if window > MOST_SECONDS:
        raise ArgumentError(
            f"window is {window:g} s; it must be at most {MOST_SECONDS:g} s: cut longer media into several windows"
        )
    if config.audio is not None and window < config.audio.hop_seconds:
        raise ArgumentError(
            f"window is {window} s; it must be at least {config.audio.hop_seconds:g} s, one spectrogram hop"
        )


def resize_frames(frames: ArrayLike, config: VisualConfig) -> Tensor:
    """(T, H, W, 3) uint8 RGB -> (T, H', W', 3) uint8, the short side at the config's size, aspect kept.

    Raises:
        ValueError: another shape or dtype.
    """
    array = _on_cpu(frames)
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != torch.uint8:
        raise ArgumentError(f"frames are {array.dtype} {tuple(array.shape)}; expected uint8 (T, H, W, 3)")
    width, height = fit_size(array.shape[2], array.shape[1], config.size, config.multiple)
    if (height, width) == tuple(array.shape[1:3]):
        return array
    resized = F.interpolate(array.permute(0, 3, 1, 2), (height, width), mode="bilinear", antialias=True)
    return resized.permute(0, 2, 3, 1)


def cut_windows(
    frames: ArrayLike | None,
    frame_rate: float | None,
    waveform: ArrayLike | None,
    sample_rate: float | None,
    config: CMACConfig,
    window: float,
    hop: float,
) -> Iterator[Window]:
    """Arrays -> the windows that a file of the same content would give, see `cmac_hub.media.windows`.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or None.
        frame_rate: hertz.
        waveform: (channels, n) or (n,) float in [-1, 1], or None.
        sample_rate: hertz.
        config: sizes and rates to cut to. A stream that the network has no encoder for is left out.
        window: seconds.
        hop: seconds between the starts of two windows.

    Raises:
        ValueError: no stream that the network can use, a stream without its rate, or a stream that is empty.
    """
    check_window(window, config)
    frames = frames if config.visual is not None else None
    waveform = waveform if config.audio is not None else None
    if frames is None and waveform is None:
        raise ArgumentError("neither frames nor a waveform was given; give at least one of them")
    grid = WindowGrid(0.0, window, hop, config.visual.frames if config.visual is not None else 1)
    duration = 0.0
    resized = samples = times = None
    if frames is not None and config.visual is not None:
        if frame_rate is None:
            raise ArgumentError("frame_rate is missing; give the frames' rate in hertz")
        check_positive(frame_rate=frame_rate)
        resized = resize_frames(frames, config.visual).numpy()
        if not len(resized):
            raise ArgumentError("there are no frames; give at least one")
        times, duration = np.arange(len(resized)) / frame_rate, len(resized) / frame_rate
    if waveform is not None and config.audio is not None:
        if sample_rate is None:
            raise ArgumentError("sample_rate is missing; give the waveform's rate in hertz")
        samples = resample(waveform, sample_rate, config.audio).numpy()
        duration = max(duration, len(samples) / config.audio.sample_rate)
    rate = 0 if config.audio is None else config.audio.sample_rate
    return _cut(grid, duration, resized, times, samples, rate)


def _cut(
    grid: WindowGrid,
    duration: float,
    frames_THWC: np.ndarray | None,
    times_T: np.ndarray | None,
    samples_N: np.ndarray | None,
    sample_rate: int,
) -> Iterator[Window]:
    for k in count():
        if not grid.includes(k, duration):
            return
        begin = grid.begin(k)
        frames = frame_times = waveform = None
        if frames_THWC is not None and times_T is not None:
            shown = on_screen(times_T, grid.instants(k))
            frames, frame_times = frames_THWC[shown], times_T[shown]
        if samples_N is not None:
            first, length = round(begin * sample_rate), round(grid.window * sample_rate)
            waveform = np.zeros(length, np.float32)
            part = samples_N[first : first + length]
            waveform[: len(part)] = part
        yield Window(begin + grid.window / 2, frames, frame_times, waveform, begin + grid.window > duration + 1e-3)


def stack(windows: Sequence[Window]) -> tuple[Tensor | None, Tensor | None]:
    """Windows of one recording -> (B, T, H, W, 3) uint8 and (B, n) fp32; None for a stream that they lack."""
    frames = [torch.from_numpy(one.frames) for one in windows if one.frames is not None]
    waveforms = [torch.from_numpy(one.waveform) for one in windows if one.waveform is not None]
    return torch.stack(frames) if frames else None, torch.stack(waveforms) if waveforms else None
