"""Which time-frequency cells of a composed scene its source dominates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmac_hub.preprocessing import log_mel
from cmac_hub.registry import AudioConfig
from cmac_hub.train.scenes.compose import Scene
from cmac_hub.train.scenes.library import at_rate


def mel_power(waveform: np.ndarray, config: AudioConfig) -> np.ndarray:
    """(F, S): the mel power of a scene's waveform (n,), without the logarithm and its floor."""
    normalized = log_mel(at_rate(waveform, config)[None].float(), replace(config, mean=0.0, std=1.0))[0, 0]
    return np.maximum(normalized.exp().numpy() - config.log_floor, 0)


def dominance(scene: Scene, config: AudioConfig) -> np.ndarray:
    """(F, S) bool: where the sources' power exceeds that of everything else, and is above the floor."""
    source = mel_power(scene.source_waveform, config)
    rest = mel_power(scene.waveform - scene.source_waveform, config)
    return (source > rest) & (source > config.log_floor)
