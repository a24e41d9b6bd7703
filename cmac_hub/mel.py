"""The mel scale: triangular bands, evenly spread over pitch as it is heard."""

from __future__ import annotations

import numpy as np


def mel_filters(n_freqs: int, f_min: float, f_max: float, n_mels: int, sample_rate: int) -> np.ndarray:
    """The HTK mel filter bank: mel = 2595 log10(1 + f / 700), triangles of height 1, as torchaudio's.

    Args:
        n_freqs: frequencies of a spectrum, evenly from 0 to half the sample rate.
        f_min: hertz, where the first band begins.
        f_max: hertz, where the last band ends.
        n_mels: bands.
        sample_rate: hertz.

    Returns:
        (n_freqs, n_mels) fp32: what each frequency gives to each band.
    """
    low, high = (2595 * np.log10(1 + np.array([f_min, f_max], np.float64) / 700)).tolist()
    corners = 700 * (10 ** (np.linspace(low, high, n_mels + 2) / 2595) - 1)
    frequencies = np.linspace(0, sample_rate // 2, n_freqs)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (frequencies - left) / (middle - left), (right - frequencies) / (right - middle)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
