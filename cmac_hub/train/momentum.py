"""MoCo (He et al. 2020) for two modalities: momentum copies that make the keys, and a bank of the latest keys."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmac_hub.attention import make_filter
from cmac_hub.model import CMAC
from cmac_hub.train.objective import Keys, Negatives


class MomentumNetwork(nn.Module):
    """Slowly following copies of encoder, g and head of both modalities; they make keys, and no gradient reaches them.

    Args:
        model: the network that is trained.
        momentum: share of the old weights that stays at each update (0.999 in the paper).
    """

    def __init__(self, model: CMAC, momentum: float = 0.999) -> None:
        super().__init__()
        self.momentum = momentum
        self.encoders = nn.ModuleDict({"visual": model.visual_encoder, "audio": model.audio_encoder})
        self.transforms = nn.ModuleDict({"visual": model.visual_transform, "audio": model.audio_transform})
        shared = model.config.attention.shared_head
        self.heads = nn.ModuleDict({m: model.heads["shared" if shared else m] for m in ("visual", "audio")})
        # One deep copy of all, so that a shared head stays shared.
        for name, child in copy.deepcopy(dict(self.named_children())).items():
            setattr(self, name, child)
        self.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: CMAC) -> None:
        """One step towards the trained network: copy = momentum * copy + (1 - momentum) * trained."""
        shared = model.config.attention.shared_head
        for modality in ("visual", "audio"):
            pairs = (
                (self.encoders[modality], getattr(model, f"{modality}_encoder")),
                (self.transforms[modality], getattr(model, f"{modality}_transform")),
                (self.heads[modality], model.heads["shared" if shared else modality]),
            )
            # A shared head is met twice and must move once.
            for ours, theirs in pairs[:2] if shared and modality == "audio" else pairs:
                for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                    one.lerp_(other.to(one.dtype), 1 - self.momentum)

    @torch.no_grad()
    def forward(self, clips_BCTHW: Tensor, spectrograms_BCFS: Tensor) -> Keys:
        """Keys of a batch: (B, D) each, of unit length, fp32."""
        return Keys(self._embed("visual", clips_BCTHW), self._embed("audio", spectrograms_BCFS))

    def _embed(self, modality: str, inputs: Tensor) -> Tensor:
        filter_BC = make_filter(self.transforms[modality](self.encoders[modality](inputs)))
        return F.normalize(self.heads[modality](filter_BC).float(), dim=1)


class MemoryBank(nn.Module):
    """The latest K keys of both modalities, each with its video; a ring, so K need not be a multiple of a batch.

    It is a module so that a checkpoint's `state_dict` holds and restores it.

    Args:
        size: K (15000 in the paper).
        dimensions: D.
    """

    visual_KD: Tensor
    audio_KD: Tensor
    video_K: Tensor
    pointer: Tensor

    def __init__(self, size: int, dimensions: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"the bank's size is {size}; it must be at least 1")
        self.register_buffer("visual_KD", torch.zeros(size, dimensions))
        self.register_buffer("audio_KD", torch.zeros(size, dimensions))
        self.register_buffer("video_K", torch.full((size,), -1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        """Keys that are in the bank."""
        return int((self.video_K >= 0).sum())

    def negatives(self) -> Negatives:
        """All places, the empty ones marked by video -1. A copy: a later `push` changes nothing in it."""
        return Negatives(self.visual_KD.clone(), self.audio_KD.clone(), self.video_K.clone())

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
