"""The parts of one training step: a micro-batch through the networks to its loss, and what is put down of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cmac_hub.errors import CMACError, OutputError
from cmac_hub.files import make_folder
from cmac_hub.model import CMAC
from cmac_hub.outputs import Output
from cmac_hub.train.augmentation import augment_spectrograms, mix_sounds
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.distributed import World
from cmac_hub.train.modules import Modules
from cmac_hub.train.objective import Keys, Losses, Negatives, objective
from cmac_hub.train.precision import autocast
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.runlog import FIGURES
from cmac_hub.train.skipped import Skipped, find_broken, write_skipped
from cmac_hub.train.stream import Pair, PairSource
from cmac_hub.train.writing import save_tensors


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
    video_B = torch.as_tensor(batch.video).to(world.device)
    encoded = recipe.cached_pairs > 0
    waveforms = mix_sounds(batch.waveform, seed=draw, share=recipe.mix_share)
    clips, spectrograms = modules.model.prepare(None if encoded else batch.frames, waveforms)
    clips = batch.frames.to(world.device, torch.float32) if encoded else clips
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


def mean_over_processes(figures: dict[str, Tensor], replaced: int, world: World) -> tuple[dict[str, Tensor], int]:
    """(means of the figures, sum of the broken videos), the same for all processes: they give up at the same step."""
    if world.size == 1:
        return figures, replaced
    values = [*(figures[name].float() for name in FIGURES), torch.tensor(float(replaced))]
    *means, mean_replaced = world.mean(torch.stack([value.to(world.device) for value in values]))
    return dict(zip(FIGURES, means, strict=True)), round(float(mean_replaced) * world.size)


def push_keys(modules: Modules, parts: list[tuple[Keys, Tensor]], world: World) -> None:
    """All keys of a step at once into the bank: every micro-batch and every process met the same bank."""
    if modules.bank is None:
        return
    visual, audio = (torch.cat([getattr(keys, name) for keys, _ in parts]) for name in Keys._fields)
    video = torch.cat([video_B for _, video_B in parts])
    modules.bank.push(Keys(world.gather(visual), world.gather(audio)), world.gather(video))


def check_loss(
    loss: Tensor,
    batch: Pair,
    run: Path,
    checkpoints: Checkpoints,
    recipe: Recipe,
    model: CMAC,
    source: PairSource,
    *,
    step: int,
    rank: int,
    part: int,
) -> None:
    """Raises CMACError for a loss that is no number, after the inputs were saved in the run folder, and the videos that
    made it so were named in its skipped.csv.

    Args:
        loss: a scalar.
        batch: the inputs, as the data gave them.
        run: folder.
        checkpoints: of the run; the message names the last good one.
        recipe: of the run.
        model: of the run.
        source: of the pairs: it knows what videos are called.
        step: together with `rank` and `part` it tells how the inputs were augmented.
        rank: of this process.
        part: number of the micro-batch.
    """
    if torch.isfinite(loss):
        return
    path = run / f"nan_step_{step:08d}_rank_{rank}.pt"
    try:
        make_folder(run)
        save_tensors(path, {"step": step, "rank": rank, "part": part, **batch._asdict()})
        inputs = f"its inputs are in {path}"
    except OutputError as error:
        inputs = f"its inputs are lost ({error})"
    last_good = checkpoints.latest() or "none"
    raise CMACError(
        f"the loss is {loss.item()} at step {step}; {_blame(run, recipe, model, source, batch, step)}; {inputs}, the "
        f"last good checkpoint is {last_good}"
    )


def _blame(run: Path, recipe: Recipe, model: CMAC, source: PairSource, batch: Pair, step: int) -> str:
    """Notes the videos that made a loss no number; says which, and what to do."""
    first = step * recipe.batch // recipe.clips_per_video
    broken = [Skipped(video, source.name(video), step, first, why) for video, why in find_broken(recipe, model, batch)]
    if not broken:
        return "no single video of the batch makes it so; try a lower learning_rate"
    told = ", ".join(f"{one.name}: {one.reason}" for one in broken)
    try:
        write_skipped(run, broken)
    except OutputError as error:
        return f"{told} ({error})"
    return f"{told}; --resume passes over what stands in {run / 'skipped.csv'}"
