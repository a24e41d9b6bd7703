"""What a recipe will cost: parameters, memory, time; measured on one clip and multiplied, without any data."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import torch

from cmac_hub.model import CMAC
from cmac_hub.train.modules import set_computing
from cmac_hub.train.objective import objective
from cmac_hub.train.optimization import set_training
from cmac_hub.train.precision import autocast
from cmac_hub.train.recipe import Recipe


@dataclass(frozen=True)
class Estimate:
    """Of one process that runs the whole batch."""

    parameters: int
    clip_bytes: int
    """Saved for the backward pass, a clip."""
    state_bytes: int
    """Weights, gradients, optimizer, momentum network and bank."""
    clip_seconds: float
    """Forward and backward of a clip, momentum network included."""
    clips: int
    """How many it was measured on at once."""
    device: str


def estimate(recipe: Recipe, device: torch.device | str = "cpu") -> Estimate:
    """Runs two clips through the network of a recipe, forward and back, then as many as fit in a gibibyte.

    On a GPU in a quarter of what is free: a few clips do not fill it.
    """
    torch.manual_seed(0)
    model = CMAC(recipe.config).to(device)
    set_training(model, recipe)
    # Not compiled: that takes longer than the measurement.
    set_computing(model, dataclasses.replace(recipe, compile=False))
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        seconds = _step(recipe, model, 2, device)
    weights_at = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    clip_bytes = sum(size for pointer, size in saved.items() if pointer not in weights_at) // 2
    free = torch.cuda.mem_get_info(device)[0] // 4 if torch.device(device).type == "cuda" else 2**30
    clips = max(2, min(recipe.batch // recipe.accumulate, free // clip_bytes))
    for _ in range(2):
        seconds = _step(recipe, model, clips, device)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    copies = 2 + (1 if recipe.optimizer == "sgd" else 2) + (1 if recipe.bank else 0)
    return Estimate(
        parameters=sum(p.numel() for p in model.parameters()),
        clip_bytes=clip_bytes,
        state_bytes=copies * weights + recipe.bank * recipe.config.require_attention().embedding * 2 * 4,
        clip_seconds=seconds / clips,
        clips=clips,
        device=str(device),
    )


def _step(recipe: Recipe, model: CMAC, clips: int, device: torch.device | str) -> float:
    """Seconds of a step without optimizer and data."""
    visual, audio = recipe.config.require_visual(), recipe.config.require_audio()
    frames = torch.zeros(clips, visual.frames, visual.size, visual.size, 3, dtype=torch.uint8)
    sounds = torch.zeros(clips, round(recipe.config.window * audio.sample_rate))
    since = time.perf_counter()
    inputs = model.prepare(frames, sounds)
    with autocast(recipe, device):
        output = model(*inputs)
        loss = objective(output, torch.arange(clips, device=device), recipe.objective).total
        if recipe.bank:
            with torch.no_grad():
                model(*inputs)
    loss.backward()
    loss.item()
    return time.perf_counter() - since


def describe(recipe: Recipe, found: Estimate, videos: int | None = None) -> str:
    """The estimate in lines for people, for so many videos or as many as the recipe names."""
    micro = recipe.batch // recipe.accumulate
    steps = recipe.total_steps(videos)
    hours = steps * recipe.batch * found.clip_seconds / 3600
    memory = (found.state_bytes + micro * found.clip_bytes) / 2**30
    epoch = f" ({recipe.epoch_steps(videos)} an epoch of {videos or recipe.epoch_clips} videos)"
    lines = {
        "steps": f"{steps}, of {recipe.batch} clips{'' if recipe.steps else epoch}",
        "parameters": f"{found.parameters / 1e6:.2f} M",
        "memory": f"about {memory:.1f} GiB: {found.state_bytes / 2**20:.0f} MiB of weights, optimizer and "
        f"bank, {micro} clips of {found.clip_bytes / 2**20:.0f} MiB; "
        "several processes, or --set accumulate=N, share the clips out",
        "time": f"about {hours:.1f} h for one process on this machine's {found.device}: "
        f"{1 / found.clip_seconds:.1f} clips/s measured on {found.clips} clips, data not counted",
    }
    return "\n".join(f"{name:<20} {value}" for name, value in lines.items())
