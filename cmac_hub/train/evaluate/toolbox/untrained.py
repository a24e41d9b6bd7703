"""The rival of every measure: the same architecture without training."""

from __future__ import annotations

import torch

from cmac_hub.config import CMACConfig
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel


def random_weights(config: CMACConfig, seed: int = 0, device: torch.device | str = "cpu") -> CMAC:
    """An untrained network in eval mode whose batch norms have seen noise of the config's own sizes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CMAC(config).train().to(device)
        visual, audio = config.require_visual(), config.require_audio()
        samples = round(config.window * audio.sample_rate)
        spectrogram_frames = log_mel(torch.zeros(1, samples), audio).shape[-1]
        with torch.no_grad():
            for _ in range(20):
                clips = torch.randn(8, 3, visual.frames, visual.size, visual.size)
                spectrograms = torch.randn(8, 1, audio.n_mels, spectrogram_frames)
                model(clips.to(device), spectrograms.to(device))
    return model.eval()
