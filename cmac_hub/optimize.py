"""A copy of a network for inference: batch norms folded, weights packed, in the type that the processor is fast in."""

from __future__ import annotations

import copy
import warnings
from typing import TypeVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized

from cmac_hub.checks import check_choice
from cmac_hub.config import DType
from cmac_hub.encoders.packing import pack
from cmac_hub.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound=Network)

FEWEST_COSINE = {torch.float32: 0.9999, torch.bfloat16: 0.98}
"""Of the maps of noise before and after packing: less means that an encoder of one's own cannot be packed."""


def choose_dtype(dtype: DType | torch.dtype, device: torch.device) -> torch.dtype:
    """The type that is meant: "auto" is bfloat16 where the device multiplies in it, float32 elsewhere.

    Raises:
        ValueError: another name or type.
    """
    if isinstance(dtype, torch.dtype) and dtype in FEWEST_COSINE:
        return dtype
    check_choice("dtype", dtype, get_args(DType))
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    found = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return torch.bfloat16 if found.get("avx512_bf16") or found.get("amx_bf16") else torch.float32


def optimize_for_inference(network: AnyNetwork, dtype: DType | torch.dtype = "auto") -> AnyNetwork:
    """See `CMAC.optimize_for_inference`."""
    chosen = choose_dtype(dtype, network.device)
    fast = _plain(copy.deepcopy(network).eval().requires_grad_(False))
    with torch.no_grad():
        for modality, example in _examples(fast).items():
            encoder = copy.deepcopy(fast.encoder(modality))
            before = fast.encoder(modality)(example)
            pack(encoder, example, chosen)
            after = encoder(example).to(before.dtype)
            if F.cosine_similarity(before.flatten(), after.flatten(), dim=0) < FEWEST_COSINE[chosen]:
                warnings.warn(
                    f"the {modality} encoder is of a kind that cannot be packed; it stays as it is", stacklevel=3
                )
                continue
            setattr(fast, f"{modality}_encoder", encoder)
            if fast.config.attention is not None:
                pack(getattr(fast, f"{modality}_transform"), before, chosen)
    return fast


def _plain(network: AnyNetwork) -> AnyNetwork:
    """The network with weights in the place of what computes them, such as `weight_norm` or adapters."""
    for module in network.modules():
        if is_parametrized(module):
            # PyTorch's `remove_parametrizations` would change the class, which the network this is a copy of shares.
            weights = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
            del module.parametrizations
            module.__class__ = type(module).__mro__[1]
            for name, weight in weights.items():
                module.register_parameter(name, torch.nn.Parameter(weight, requires_grad=False))
    return network


def _examples(network: Network) -> dict[str, Tensor]:
    """A small input of noise for each encoder."""
    noise = torch.Generator().manual_seed(0)
    visual, audio = network.config.visual, network.config.audio
    examples = {}
    if visual is not None:
        examples["visual"] = torch.rand(
            1, 3, min(4, visual.frames), visual.size, visual.size, dtype=torch.float32, generator=noise
        )
    if audio is not None:
        columns = round(network.config.window / audio.hop_seconds)
        examples["audio"] = torch.rand(1, 1, audio.n_mels, columns, generator=noise)
    weight = next(network.parameters())
    return {modality: 2 * example.to(weight) - 1 for modality, example in examples.items()}
