"""MoCo (He et al. 2020) for two modalities: momentum copies that make the keys, and a bank of the latest keys."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.model import CMAC
from cmac_hub.train.objective import Keys, Negatives

NO_VIDEO = -2
"""The number of a random key: no query is of that video, so the key is a negative of all."""


class MomentumNetwork(nn.Module):
    """A slowly following copy of the network, without its saliency heads; it makes keys, and no gradient reaches it.

    Args:
        model: the network that is trained.
        momentum: share of the old weights that stays at each update (0.999 in the paper).
    """

    def __init__(self, model: CMAC, momentum: float = 0.999) -> None:
        super().__init__()
        self.momentum = momentum
        self.network = copy.deepcopy(model)
        del self.network.visual_saliency, self.network.audio_saliency
        self.network.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: CMAC) -> None:
        """One step towards the trained network: copy = momentum * copy + (1 - momentum) * trained."""
        trained, own = dict(model.named_parameters()), dict(self.network.named_parameters())
        targets = [trained[name].to(parameter.dtype) for name, parameter in own.items()]
        torch._foreach_lerp_(list(own.values()), targets, 1 - self.momentum)

    @torch.no_grad()
    def forward(self, clips_BCTHW: Tensor, spectrograms_BCFS: Tensor) -> Keys:
        """Keys of a batch: (B, D) each, of unit length, fp32."""
        visual = self.network.embed_visual(clips_BCTHW).embedding
        audio = self.network.embed_audio(spectrograms_BCFS).embedding
        assert visual is not None and audio is not None, "only whole networks are trained"
        return Keys(visual, audio)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `nn.Module` does; reads the names of version 1, too."""
        shared = self.network.config.require_attention().shared_head
        return super().load_state_dict({_upgrade(k, shared): v for k, v in state_dict.items()}, *args, **kwargs)


def _upgrade(key: str, shared_head: bool) -> str:
    """`encoders.visual.stem.0.weight` of version 1 -> `network.visual_encoder.stem.0.weight`."""
    part, _, rest = key.partition(".")
    modality, _, name = rest.partition(".")
    if part in ("encoders", "transforms"):
        return f"network.{modality}_{part.removesuffix('s')}.{name}"
    if part == "heads":
        # A shared head was written twice, with the same numbers.
        return f"network.heads.{'shared' if shared_head else modality}.{name}"
    return key


class MemoryBank(nn.Module):
    """The latest K keys of both modalities, each with its video; a ring, so K need not be a multiple of a batch.

    It begins with random keys of unit length, as MoCo's does, so that the first steps have negatives, too. A bank of
    version 1 began empty; its empty places stay so until keys come.

    It is a module so that a checkpoint's `state_dict` holds and restores it.

    Args:
        size: K (15000 in the paper).
        dimensions: D.
        seed: of the random keys.
    """

    visual_KD: Tensor
    audio_KD: Tensor
    video_K: Tensor
    pointer: Tensor

    def __init__(self, size: int, dimensions: int, seed: int = 0) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"the bank's size is {size}; it must be at least 1")
        generator = torch.Generator().manual_seed(seed)
        for name in ("visual_KD", "audio_KD"):
            self.register_buffer(name, F.normalize(torch.randn(size, dimensions, generator=generator), dim=1))
        self.register_buffer("video_K", torch.full((size,), NO_VIDEO))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        """Keys of videos that are in the bank; random ones are not counted."""
        return int((self.video_K >= 0).sum())

    def negatives(self) -> Negatives:
        """All places as they are, not copied: they hold until the next `push`, which comes after the backward pass."""
        return Negatives(self.visual_KD, self.audio_KD, self.video_K)

    @torch.no_grad()
    def push(self, keys: Keys, video_N: Tensor) -> None:
        """Writes N keys over the oldest places; of more than K keys the last K stay.

        Args:
            keys: (N, D) each; of all ranks, in the order of ranks, so that every rank's bank is the same.
            video_N: (N,) int from 0 on.
        """
        size = len(self.video_K)
        places = (self.pointer + torch.arange(len(video_N), device=self.pointer.device)) % size
        last = slice(max(0, len(video_N) - size), None)
        self.visual_KD[places[last]] = keys.visual[last].to(self.visual_KD.dtype)
        self.audio_KD[places[last]] = keys.audio[last].to(self.audio_KD.dtype)
        self.video_K[places[last]] = video_N[last].to(self.video_K.dtype)
        self.pointer.copy_((self.pointer + len(video_N)) % size)
