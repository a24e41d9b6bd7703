"""Augmentation of whole batches. What changes a picture belongs to composing or cutting it (`scenes.py`, `data.py`)."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_spectrograms(spectrograms_BCFS: Tensor, generator: torch.Generator, share: float = 0.2) -> Tensor:
    """SpecAugment's frequency and time masks (Park et al. 2019): one of each a spectrogram, filled with its mean.

    Args:
        spectrograms_BCFS: (B, 1, F, S).
        generator: source of the masks' places.
        share: widest mask as a share of F, and of S.

    Returns:
        a new (B, 1, F, S).
    """
    b, _, f, s = spectrograms_BCFS.shape
    fill_B111 = spectrograms_BCFS.mean((1, 2, 3), keepdim=True)
    covered_BFS = torch.zeros(b, f, s, dtype=torch.bool)
    for size, axis in ((f, 1), (s, 2)):
        width_B1 = torch.rand(b, 1, generator=generator) * share * size
        start_B1 = torch.rand(b, 1, generator=generator) * (size - width_B1)
        place_1N = torch.arange(size)[None]
        masked_BN = (place_1N >= start_B1) & (place_1N < start_B1 + width_B1)
        covered_BFS |= masked_BN.unsqueeze(3 - axis)
    return torch.where(covered_BFS[:, None].to(spectrograms_BCFS.device), fill_B111, spectrograms_BCFS)
