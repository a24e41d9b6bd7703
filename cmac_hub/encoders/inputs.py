"""What an encoder takes, the same for every network of a modality."""

from __future__ import annotations

from torch import Tensor

from cmac_hub.errors import ArgumentError


def check_clips(clips_BCTHW: Tensor) -> None:
    """Raises ArgumentError for clips that have not five dimensions or not three channels."""
    if clips_BCTHW.ndim != 5 or clips_BCTHW.shape[1] != 3:
        raise ArgumentError(f"clips have shape {tuple(clips_BCTHW.shape)}; expected (B, 3, T, H, W)")


def check_spectrograms(spectrograms_BCFS: Tensor) -> None:
    """Raises ArgumentError for spectrograms that have not four dimensions or not one channel."""
    if spectrograms_BCFS.ndim != 4 or spectrograms_BCFS.shape[1] != 1:
        raise ArgumentError(f"spectrograms have shape {tuple(spectrograms_BCFS.shape)}; expected (B, 1, F, S)")
