"""One training step: micro-batches through the networks to their losses, the update, what is put down of it.

A GPU gets all of a step before the host looks at a number of it: the losses, which are asked for when the backward pass
is under way and before the weights change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cmac_hub.outputs import Output
from cmac_hub.train.augmentation import augment_spectrograms, mix_sounds
from cmac_hub.train.distributed import World
from cmac_hub.train.later import Later, send
from cmac_hub.train.modules import Modules
from cmac_hub.train.objective import Keys, Losses, Negatives, objective
from cmac_hub.train.precision import autocast
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.runlog import FIGURES
from cmac_hub.train.stream import Pair, next_batch


class MicroBatch(NamedTuple):
    """What became of a micro-batch."""

    output: Output
    losses: Losses
    keys: Keys | None
    """Of the momentum network, if there is one."""
    video_B: Tensor


def micro_batch(
    recipe: Recipe,
    modules: Modules,
    trained: nn.Module,
    batch: Pair,
    negatives: Negatives | None,
    world: World,
    draw: int,
) -> MicroBatch:
    """Forward to the loss.

    Args:
        recipe: of the run.
        modules: of the run.
        trained: the model, or what wraps it for several processes.
        batch: of the data.
        negatives: of the bank; None takes the batches of all processes.
        world: of this process.
        draw: seed of the augmentation.
    """
    video_B, frames = (send(torch.as_tensor(one), world.device) for one in (batch.video, batch.frames))
    encoded = recipe.cached_pairs > 0
    waveforms = send(mix_sounds(batch.waveform, seed=draw, share=recipe.mix_share), world.device)
    clips, spectrograms = modules.model.prepare(None if encoded else frames, waveforms)
    clips = frames.to(torch.float32) if encoded else clips
    assert clips is not None and spectrograms is not None
    spectrograms = augment_spectrograms(
        spectrograms, seed=draw, time_warp=recipe.time_warp, mask_share=recipe.mask_share
    )
    keys = None
    with autocast(recipe, world.device):
        output = trained(clips, spectrograms, encoded, recipe.tiles)
        if modules.momentum is not None:
            keys = modules.momentum(clips, spectrograms)
    if negatives is None:
        negatives = Negatives(
            world.gather_with_gradient(output.visual.embedding),
            world.gather_with_gradient(output.audio.embedding),
            world.gather(video_B),
        )
    how = recipe.config.require_attention().normalization
    losses = objective(output, video_B, recipe.objective, keys=keys, negatives=negatives, normalization=how)
    return MicroBatch(output, losses, keys, video_B)


def figures_of(part: MicroBatch) -> dict[str, Tensor]:
    """The scalars of `FIGURES`, without gradient."""
    guidance = part.output.attention.visual_guidance
    assert guidance is not None
    guidance = guidance.detach().float()
    # 1 when the embeddings point everywhere, near 0 when they crowd in a cone: the first plateau.
    spread = 1 - part.output.visual.embedding.detach().mean(0).square().sum()
    values = (
        *(value.detach() for value in part.losses),
        spread,
        guidance.mean(),
        guidance.flatten(1).std(1, correction=0).mean(),
    )
    return dict(zip(FIGURES, values, strict=True))


class Done(NamedTuple):
    """What one process made of a step."""

    figures: dict[str, Tensor]
    """The scalars of `FIGURES`, means over its micro-batches."""
    replaced: int
    """Broken videos."""
    waited: float
    """Seconds, for data."""


def take_step(
    recipe: Recipe,
    modules: Modules,
    trained: nn.Module,
    batches: Iterator[Pair],
    world: World,
    step: int,
    rate: float,
    check: Callable[[Tensor, Pair, int], None],
) -> Done:
    """Changes weights, momentum network and bank once.

    Args:
        recipe: of the run.
        modules: of the run.
        trained: the model, or what wraps it for several processes.
        batches: micro-batches.
        world: of this process.
        step: steps done before.
        rate: learning rate.
        check: is given loss, inputs and number of every micro-batch before the weights change, and may raise.
    """
    for group in modules.optimizer.param_groups:
        group["lr"] = rate * group["rate"]
    modules.optimizer.zero_grad(set_to_none=True)
    if modules.momentum is not None:
        modules.momentum.update(modules.model)
    negatives = None if modules.bank is None else modules.bank.negatives()
    keys: list[tuple[Keys, Tensor]] = []
    losses: list[tuple[Later, Pair]] = []
    figures: dict[str, Tensor] = {}
    waited, replaced = 0.0, 0
    for number in range(recipe.accumulate):
        since = time.perf_counter()
        batch = next_batch(batches)
        waited += time.perf_counter() - since
        replaced += int(torch.as_tensor(batch.replaced).numpy().sum())
        draw = (recipe.seed * 1_000_003 + step) * 4096 + world.rank * recipe.accumulate + number
        last = number == recipe.accumulate - 1
        with trained.no_sync() if world.size > 1 and not last else nullcontext():  # type: ignore[operator]
            part = micro_batch(recipe, modules, trained, batch, negatives, world, draw)
            losses.append((Later(part.losses.total), batch))
            (part.losses.total / recipe.accumulate).backward()
        if part.keys is not None:
            keys.append((part.keys, part.video_B))
        for name, value in figures_of(part).items():
            figures[name] = figures.get(name, torch.zeros((), device=world.device)) + value / recipe.accumulate
    for number, (loss, batch) in enumerate(losses):
        check(loss.read(), batch, number)
    modules.optimizer.step()
    push_keys(modules, keys, world)
    return Done(figures, replaced, waited)


class Shared(NamedTuple):
    """What all processes know of a step, so that they give up and stop at the same one."""

    figures: dict[str, Tensor]
    """Means over the processes."""
    replaced: int | Tensor
    """Their broken videos together."""
    told: Later
    """(broken videos, how many processes are asked to stop)."""


def share(done: Done, stop: bool, world: World) -> Shared:
    """Means and sums over the processes.

    The next checkpoint waits for them: a process whose loss was no number never comes here, so no process saves what
    came of it.
    """
    if world.size == 1:
        return Shared(done.figures, done.replaced, Later(torch.tensor([float(done.replaced), float(stop)])))
    own = [done.figures[name].float() for name in FIGURES]
    own += [torch.full((), float(count), device=world.device) for count in (done.replaced, stop)]
    means = world.mean(torch.stack(own))
    counts = (means[-2:] * world.size).round()
    return Shared(dict(zip(FIGURES, means[:-2], strict=True)), counts[0], Later(counts))


def push_keys(modules: Modules, parts: list[tuple[Keys, Tensor]], world: World) -> None:
    """All keys of a step at once into the bank: every micro-batch and every process met the same bank."""
    if modules.bank is None:
        return
    visual, audio = (torch.cat([getattr(keys, name) for keys, _ in parts]) for name in Keys._fields)
    video = torch.cat([video_B for _, video_B in parts])
    modules.bank.push(Keys(world.gather(visual), world.gather(audio)), world.gather(video))
