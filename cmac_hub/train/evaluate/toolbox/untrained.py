"""The rival of every measure: the same architecture without training."""

from __future__ import annotations

import torch
from torch import Tensor

from cmac_hub.config import CMACConfig, without_weights
from cmac_hub.model import CMAC
from cmac_hub.preprocessing import log_mel


def random_weights(config: CMACConfig, seed: int = 0, device: torch.device | str = "cpu") -> CMAC:
    """An untrained network in eval mode whose batch norms have seen noise of the config's own sizes.

    Nothing that was measured on the config's own weights is in its config: its maps lie as they are (`CENTERED`).
    """
    config = without_weights(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CMAC(config).train().to(device)
        with torch.no_grad():
            for _ in range(20):
                clips, spectrograms = _noise(config, torch.device(device))
                if clips is not None and spectrograms is not None and config.attention is not None:
                    model(clips, spectrograms)
                    continue
                if clips is not None:
                    model.embed_visual(clips)
                if spectrograms is not None:
                    model.embed_audio(spectrograms)
    return model.eval()


def _noise(config: CMACConfig, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Eight clips and spectrograms, of the streams that the network has."""
    clips = spectrograms = None
    if (visual := config.visual) is not None:
        clips = torch.randn(8, 3, visual.frames, visual.size, visual.size).to(device)
    if (audio := config.audio) is not None:
        frames = log_mel(torch.zeros(1, round(config.window * audio.sample_rate)), audio).shape[-1]
        spectrograms = torch.randn(8, 1, audio.n_mels, frames).to(device)
    return clips, spectrograms
