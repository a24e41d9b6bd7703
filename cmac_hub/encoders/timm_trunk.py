"""Any backbone of timm (https://github.com/huggingface/pytorch-image-models): a frame -> feature maps.

Two kinds are taken, at any size of the frames: vision transformers, whose tokens lie on a grid, and networks that give
maps of several resolutions (timm's `features_only`). Weights are random; `load_timm` fetches the published ones.
"""

from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from cmac_hub.errors import ArgumentError, CheckpointError, CMACError, one_line


class TimmTrunk(nn.Module):
    """A timm backbone without its classifier.

    Args:
        name: timm's, such as "resnet18" or "vit_small_patch14_dinov2.lvd142m".
        joined: give the last two maps rather than the last one.
        multiple: both sides of all frames are a multiple of this many pixels.

    Raises:
        CMACError: timm is missing.
        ArgumentError: timm has no such backbone; or it gives no such maps of such frames.
    """

    network: Any
    """timm's own module; its attributes differ from network to network."""

    def __init__(self, name: str, joined: bool, multiple: int) -> None:
        super().__init__()
        self.name, self.joined = name, joined
        timm = _timm()
        if not timm.is_model(name):
            raise ArgumentError(f"timm {timm.__version__} has no backbone {name!r}; timm.list_models() names them")
        # A checkpoint's network is made without numbers, which it then reads; timm's has some that no checkpoint holds.
        meta = torch.get_default_device().type == "meta"
        with torch.device("cpu") if meta else nullcontext():
            self.network = _make(timm, name, joined, pretrained=False)
        self.channels = self._probe(multiple)
        """Of each map that `forward` gives."""

    def forward(self, frames_NCHW: Tensor) -> list[Tensor]:
        """Frames -> feature maps, the finest first.

        Args:
            frames_NCHW: (N, 3, H, W) float, RGB normalized as the backbone was taught.

        Returns:
            float maps (N, C, H', W'): two of them, the first of twice the resolution, when joined, else one.
        """
        if not _has_tokens(self.network):
            maps: list[Tensor] = self.network(frames_NCHW.contiguous(memory_format=torch.channels_last))
            return maps
        tokens_NPC = self.network.forward_features(frames_NCHW)[:, self.network.num_prefix_tokens :]
        rows = frames_NCHW.shape[2] // self.network.patch_embed.patch_size[0]
        return [tokens_NPC.transpose(1, 2).unflatten(2, (rows, -1))]

    @torch.no_grad()
    def _probe(self, multiple: int) -> tuple[int, ...]:
        """The maps' channels, seen on the smallest frame that is not square."""
        rows, columns = 2 * multiple, 3 * multiple
        refusal = f"the backbone timm/{self.name} gives no {'two maps to join' if self.joined else 'map'}"
        self.eval()
        try:
            maps = self(torch.zeros(1, 3, rows, columns, device=next(self.parameters()).device))
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            raise ArgumentError(f"{refusal} of frames of {columns} x {rows} pixels ({one_line(error)})") from error
        self.train()
        channels = [self.network.num_features] if _has_tokens(self.network) else self.network.feature_info.channels()
        if [one.shape[1] for one in maps] != channels or maps[-1].shape[2] * columns != maps[-1].shape[3] * rows:
            raise ArgumentError(f"{refusal} with the channels first; take another")
        if self.joined and (len(maps) != 2 or maps[0].shape[2] != 2 * maps[1].shape[2]):
            raise ArgumentError(f"{refusal}; set level to 'last'")
        return tuple(channels)


def load_timm(trunk: TimmTrunk) -> None:
    """Gives a trunk the weights that timm publishes for its name: from the Hub's cache, else by download.

    Raises:
        CheckpointError: there are none, or they cannot be fetched.
    """
    try:
        published = _make(_timm(), trunk.name, trunk.joined, pretrained=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise CheckpointError(f"no weights of timm/{trunk.name} could be had ({one_line(error)})") from error
    trunk.network.load_state_dict(published.state_dict())


def _timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise CMACError("a timm backbone needs timm: pip install 'cmac-hub[backbones]'") from error
    return timm


def _make(timm: ModuleType, name: str, joined: bool, pretrained: bool) -> Any:
    """A transformer of tokens for frames of any size where timm has one of this name, else what gives maps."""
    try:
        network = timm.create_model(name, pretrained=pretrained, num_classes=0, dynamic_img_size=True)
        if _has_tokens(network):
            return network
    except TypeError:
        pass  # It knows no such option, so it is no transformer of any size.
    wanted = (-2, -1) if joined else (-1,)
    return timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=wanted)


def _has_tokens(network: nn.Module) -> bool:
    return hasattr(network, "num_prefix_tokens")
