"""A teacher without a network, and a few recordings."""

from __future__ import annotations

import numpy as np
import pytest

from cmac_hub.train.distillation.settings import DistillSettings


class Bands:
    """Tells how loud each of eight bands is."""

    name, sample_rate, samples, size = "Bands", 16000, 4000, 8

    def __init__(self) -> None:
        self.asked = 0

    def embed(self, waveforms_BN: np.ndarray) -> np.ndarray:
        assert waveforms_BN.dtype == np.float32 and waveforms_BN.shape[1] == self.samples
        self.asked += len(waveforms_BN)
        spectrum = np.abs(np.fft.rfft(waveforms_BN))[:, :2000]
        return spectrum.reshape(len(waveforms_BN), self.size, -1).mean(2).astype(np.float32)

    def about(self) -> dict[str, str]:
        return {"name": self.name, "file": "bands.tflite", "sha256": "abc", "license": "apache-2.0"}


@pytest.fixture
def teacher():
    return Bands()


@pytest.fixture(scope="session")
def recordings() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return {
        "noise": [(3000 * rng.standard_normal(n)).astype(np.int16) for n in (2000, 9000, 20000)],
        "tone": [(9000 * np.sin(np.arange(12000) / 9)).astype(np.int16)],
    }


@pytest.fixture
def settings(tiny_file) -> DistillSettings:
    """Of a run of seconds."""
    return DistillSettings(
        architecture=tiny_file, batch=4, steps=6, warmup_steps=2, standard_windows=8, log_every=1, checkpoint_every=2
    )
