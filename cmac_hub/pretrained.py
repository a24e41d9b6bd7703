"""Trained networks by name: the whole one, or its three parts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from cmac_hub.config import DEFAULT_NETWORK
from cmac_hub.model import CMAC
from cmac_hub.visualizer import Visualizer


class Pretrained(NamedTuple):
    """What `load_cmac` returns: three parts of one network."""

    visual_encoder: nn.Module
    """Clips (B, 3, T, H, W) -> the unpooled feature map (B, C, T', H', W')."""
    audio_encoder: nn.Module
    """Spectrograms (B, 1, F, S) -> the unpooled feature map (B, C, F', S')."""
    visualizer: Visualizer

    @property
    def model(self) -> CMAC:
        """The whole network."""
        model = self.visualizer.model
        assert isinstance(model, CMAC)
        return model


def load_cmac(
    name: str | os.PathLike[str] = DEFAULT_NETWORK,
    *,
    revision: str | None = None,
    device: Any = None,
    dtype: torch.dtype | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Pretrained:
    """The visual encoder, the audio encoder and the sound-source visualizer of a trained network, in eval mode.

    Arguments and errors are those of `cmac_hub.hub.load`; the whole network is the result's `.model`.

    Raises:
        CheckpointError: there is no such network, or it cannot be loaded.
        MissingPartError: it lacks an encoder or the attention; `CMAC.from_pretrained` loads it.
    """
    model = CMAC.from_pretrained(
        name,
        revision=revision,
        device=device,
        dtype=dtype,
        cache_dir=cache_dir,
        token=token,
        local_files_only=local_files_only,
    )
    model.require_attention("load_cmac")
    return Pretrained(model.encoder("visual"), model.encoder("audio"), Visualizer(model))
