"""Pretraining, top to bottom: recipe -> data -> network -> step -> log -> checkpoint.

    python -m cmac_hub.train pretrain --recipe nano --data DATA -o runs/nano
    python -m cmac_hub.train pretrain --recipe nano --data DATA -o runs/nano --resume
    torchrun --nproc-per-node 8 -m cmac_hub.train pretrain --recipe kinetics400 --data manifest.csv -o runs/k400

A run folder holds `recipe.json`, `start.json`, `environment.json`, `log.csv`, `checkpoints/`, and `tensorboard/` where
that is installed.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train.augmentation import augment_spectrograms
from cmac_hub.train.checkpoint import Checkpoints, check_same_run, read_checkpoint
from cmac_hub.train.distributed import World
from cmac_hub.train.interrupts import catching_signals, naming_want_of_memory
from cmac_hub.train.manifest import Manifest
from cmac_hub.train.momentum import MemoryBank, MomentumNetwork
from cmac_hub.train.objective import Keys, Negatives, objective
from cmac_hub.train.optimization import learning_rate, make_optimizer, set_training
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.runlog import FIGURES, RunLog, environment, write_json
from cmac_hub.train.scene_pairs import ScenePairs
from cmac_hub.train.start import check_start, start_from
from cmac_hub.train.stream import PairSource, PairStream, take
from cmac_hub.train.video_pairs import VideoPairs


class Stopped(CMACError):
    """A run that SIGTERM or Ctrl-C ended early, after it saved a checkpoint."""


def open_source(recipe: Recipe, data: Path | None, *, progress: bool = True) -> PairSource:
    """A manifest.csv -> its videos; a folder -> scenes composed from it; None -> scenes that the package draws."""
    if data is not None and data.suffix == ".csv":
        return VideoPairs(recipe, Manifest.load(data))
    return ScenePairs(recipe, data, progress=progress)


def pretrain(
    recipe: Recipe,
    data: Path | None,
    run: Path,
    *,
    resume: bool = False,
    initial: CMAC | None = None,
    progress: bool = True,
    world: World = World(),  # noqa: B008
) -> CMAC:
    """Trains one network, or goes on training it exactly where the run's latest checkpoint stands.

    Args:
        recipe: every setting.
        data: see `open_source`.
        run: folder of this run; made when missing.
        resume: go on with the run in that folder.
        initial: a trained network whose weights a new run begins with; None draws them from the recipe's seed.
        progress: show progress bars on stderr.
        world: of `join_world`, when several processes train.

    Returns:
        the trained network, in eval mode.

    Raises:
        CMACError: the folder holds a run and `resume` is False, or a run that differs in its recipe, its data or the
            weights it began with; the loss is no number (the step's inputs are saved in the run folder); too many
            videos are broken; a data worker was killed; the disk is full.
        Stopped: SIGTERM or Ctrl-C came; a checkpoint of the last step is there.
    """
    # Recipe and start are checked against the folder before anything slow begins.
    start = check_start(run, initial, resume)
    checkpoints = Checkpoints(run, recipe.keep)
    state = None
    if (latest := checkpoints.latest()) is not None:
        if not resume:
            raise CMACError(f"{run} holds a run that stands at {latest.stem}; add --resume, or choose another folder")
        state = read_checkpoint(latest)
        check_same_run(latest, state, dataclasses.asdict(recipe), recipe.config.to_dict())
    source = open_source(recipe, data, progress=progress and world.first)
    made_of = source.hash()
    if state is not None and start.data not in (None, made_of):
        raise CMACError(
            f"{run} began with other data than {data or 'drawings'}; give the same --data, or choose another folder"
        )
    start = start._replace(data=made_of)

    torch.manual_seed(recipe.seed)
    model = CMAC(recipe.config)
    if initial is not None:
        start_from(model, initial)
    model = model.to(world.device)
    if world.size > 1 and world.device.type == "cuda":
        # Without it each process would tell its keys from others' by their statistics (MoCo shuffles instead).
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if recipe.consistency_weight == 0:
        model.visual_saliency.requires_grad_(False)
        model.audio_saliency.requires_grad_(False)
    momentum = bank = None
    if recipe.bank:
        momentum = MomentumNetwork(model, recipe.momentum)
        bank = MemoryBank(recipe.bank, recipe.config.attention.embedding).to(world.device)
    optimizer = make_optimizer(recipe, model)
    modules = {"model": model, "momentum": momentum, "bank": bank, "optimizer": optimizer}
    step = 0
    if state is not None:
        for name, module in modules.items():
            if module is not None:
                module.load_state_dict(state[name])
        step = int(state["step"])
        state = None  # it is as large as the run's own
    for network in (model, momentum):
        if network is not None:
            set_training(network, recipe)
    trained = DistributedDataParallel(model) if world.size > 1 else model

    total = recipe.total_steps(source.videos)
    batches = iter(PairStream(source, recipe, step, world.rank, world.size).loader(pin=world.device.type == "cuda"))
    log = None
    if world.first:
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / "recipe.json", dataclasses.asdict(recipe))
        write_json(run / "environment.json", environment())
        write_json(run / "start.json", start._asdict())
        log = RunLog(run, step)
    bar = tqdm(total=total, initial=step, disable=not (progress and world.first), unit="step", smoothing=0.05)
    seen = replaced = 0

    with bar, log or nullcontext(), naming_want_of_memory(), catching_signals() as stop:
        while step < total and not world.any(bool(stop)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, source.videos)
            optimizer.zero_grad(set_to_none=True)
            if momentum is not None:
                momentum.update(model)
            negatives = None if bank is None else bank.negatives()
            made: list[tuple[Keys, Tensor]] = []
            figures: dict[str, Tensor] = {}
            waited, step_replaced = 0.0, 0

            for part in range(recipe.accumulate):
                since = time.perf_counter()
                batch = take(batches)
                waited += time.perf_counter() - since
                video_B = torch.as_tensor(batch.video).to(world.device)
                step_replaced += int(torch.as_tensor(batch.replaced).sum())
                clips, spectrograms = model.prepare(batch.frames, batch.waveform)
                assert clips is not None and spectrograms is not None
                draw = (recipe.seed * 1_000_003 + step) * 4096 + world.rank * recipe.accumulate + part
                spectrograms = augment_spectrograms(
                    spectrograms, seed=draw, time_warp=recipe.time_warp, mask_share=recipe.mask_share
                )
                last = part == recipe.accumulate - 1
                with trained.no_sync() if world.size > 1 and not last else nullcontext():  # type: ignore[operator]
                    keys = None
                    with torch.autocast(world.device.type, torch.bfloat16, enabled=recipe.bf16):
                        output = trained(clips, spectrograms)
                        if momentum is not None:
                            keys = momentum(clips, spectrograms)
                    if keys is None:
                        negatives = Negatives(
                            world.gather_with_gradient(output.visual.embedding),
                            world.gather_with_gradient(output.audio.embedding),
                            world.gather(video_B),
                        )
                    else:
                        made.append((keys, video_B))
                    losses = objective(
                        output,
                        video_B,
                        keys=keys,
                        negatives=negatives,
                        contrastive_weight=recipe.contrastive_weight,
                        consistency_weight=recipe.consistency_weight,
                        mil_weight=recipe.mil_weight,
                        temperature=recipe.temperature,
                        cross_modal=recipe.cross_modal,
                        within_negatives=recipe.within_negatives,
                        within_positives=recipe.within_positives,
                        detach_target=recipe.detach_target,
                        reduction=recipe.reduction,
                    )
                    if not torch.isfinite(losses.total):
                        kept = run / f"nan_step_{step:08d}_rank_{world.rank}.pt"
                        run.mkdir(parents=True, exist_ok=True)
                        torch.save({"step": step, **batch._asdict()}, kept)
                        raise CMACError(
                            f"the loss is {losses.total.item()} at step {step}; its inputs are in {kept}, "
                            f"the last good checkpoint is {checkpoints.latest() or 'none'}"
                        )
                    (losses.total / recipe.accumulate).backward()
                guidance = output.attention.visual_guidance.detach().float()
                # 1 when the embeddings point everywhere, near 0 when they crowd in a cone: the first plateau.
                spread = 1 - output.visual.embedding.detach().mean(0).square().sum()
                now = (*(v.detach() for v in losses), spread, guidance.mean(), guidance.flatten(1).std(1).mean())
                for name, value in zip(FIGURES, now, strict=True):
                    figures[name] = figures.get(name, torch.zeros((), device=world.device)) + value / recipe.accumulate

            optimizer.step()
            if bank is not None:
                # All keys of the step at once: every micro-batch and every rank met the same bank.
                visual, audio = (torch.cat([getattr(keys, name) for keys, _ in made]) for name in Keys._fields)
                video = torch.cat([rows for _, rows in made])
                bank.push(Keys(world.gather(visual), world.gather(audio)), world.gather(video))
            step += 1
            if world.size > 1:
                # One sum for all, so that all ranks give up at the same step.
                told = [*(figures[name].float() for name in FIGURES), torch.tensor(float(step_replaced))]
                *means, mean_replaced = world.mean(torch.stack([one.to(world.device) for one in told]))
                figures = dict(zip(FIGURES, means, strict=True))
                step_replaced = round(float(mean_replaced) * world.size)
            seen, replaced = seen + recipe.batch, replaced + step_replaced
            if replaced > recipe.broken_share * seen and seen >= 20 * recipe.batch:
                raise CMACError(
                    f"{replaced} of {seen + replaced} videos could not be read, more than the recipe's broken_share of "
                    f"{recipe.broken_share:g}; index them anew: python -m cmac_hub.train index"
                )
            bar.update()
            if log is not None:
                log.add(figures, recipe.batch, step_replaced, waited)
                if step % recipe.log_every == 0 or step == total:
                    row = log.write(step, learning_rate(recipe, step - 1, source.videos))
                    bar.set_postfix({k: row[k] for k in ("contrastive", "consistency", "accuracy", "waiting_share")})
            if world.first and (step % recipe.checkpoint_every == 0 or step == total):
                checkpoints.save(snapshot(recipe, modules, step, start.before), step)
        if step < total:
            if world.first:
                checkpoints.save(snapshot(recipe, modules, step, start.before), step)
            raise Stopped(f"stopped and saved at step {step} of {total} in {run}")
    return model.eval()


def snapshot(recipe: Recipe, modules: dict[str, Any], step: int, before: dict[str, Any]) -> dict[str, Any]:
    """All that a run needs to go on. Random numbers are drawn from seed and step, so their state is not part of it."""
    state = {name: None if module is None else module.state_dict() for name, module in modules.items()}
    return {
        "recipe": dataclasses.asdict(recipe),
        "config": recipe.config.to_dict(),
        "step": step,
        # How the weights were made that this run began with.
        "before": before,
        **state,
    }
