"""Pretraining, one process, top to bottom:

    python -m cmac_hub.train pretrain --recipe nano --data ../shared/data -o runs/nano

recipe -> data -> model -> step -> log -> checkpoint. A second call on the same folder resumes where the last checkpoint
stands. `recipe.json`, `log.csv` and `checkpoint.pt` lie in the run folder.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.model import CMAC
from cmac_hub.train.augmentation import mask_spectrograms
from cmac_hub.train.data import PairStream
from cmac_hub.train.objective import in_batch_objective
from cmac_hub.train.recipe import Recipe

COLUMNS = ["step", "loss", "contrastive", "consistency", "accuracy", "spread", "learning_rate", "clips_per_second"]


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant, half a cosine down over the last `decay_steps`."""
    rise = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    left = min(1.0, (recipe.steps - step) / max(1, recipe.decay_steps))
    return recipe.learning_rate * rise * (1 - math.cos(math.pi * left)) / 2


def pretrain(recipe: Recipe, data: Path | None, run: Path, *, progress: bool = True) -> CMAC:
    """Trains one network, or goes on training it.

    Args:
        recipe: every setting.
        data: a folder laid out like `shared/data` (scenes, esc50, clips); None trains on drawn scenes alone.
        run: folder of this run; made when missing.
        progress: show a progress bar on stderr.

    Returns:
        the trained network, in eval mode.

    Raises:
        CMACError: the loss became NaN, or the folder holds a run of another recipe or architecture.
    """
    torch.manual_seed(recipe.seed)
    run.mkdir(parents=True, exist_ok=True)
    model = CMAC(recipe.config).train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        # A shorter second moment forgets the scale of gradients on the first plateau, and the run never leaves it.
        betas=(0.9, 0.999),
    )
    masks = torch.Generator().manual_seed(recipe.seed)
    step = resume(run / "checkpoint.pt", recipe, model, optimizer, masks)
    (run / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=2) + "\n")

    stream = PairStream(recipe, data, start=step * recipe.batch)
    loader = DataLoader(
        stream,
        recipe.batch,
        num_workers=recipe.workers,
        persistent_workers=False,
        prefetch_factor=4 if recipe.workers else None,
    )
    stop = _stop_on_signals()
    bar = tqdm(total=recipe.steps, initial=step, disable=not progress, unit="step", smoothing=0.05)
    fresh = not (run / "log.csv").exists()
    with (run / "log.csv").open("a", newline="") as file:
        log = csv.DictWriter(file, COLUMNS)
        if fresh:
            log.writeheader()
        since, sums = time.perf_counter(), dict.fromkeys(COLUMNS[1:6], 0.0)
        batches = iter(loader)
        while step < recipe.steps and not stop:
            frames_BTHWC, waveforms_BN, video_B = next(batches)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step)
            clips, spectrograms = model.prepare(frames_BTHWC, waveforms_BN)
            assert clips is not None and spectrograms is not None
            if recipe.mask_share > 0:
                spectrograms = mask_spectrograms(spectrograms, masks, recipe.mask_share)
            with torch.autocast(clips.device.type, torch.bfloat16, enabled=recipe.bf16):
                output = model(clips, spectrograms)
            losses = in_batch_objective(
                output,
                video_B,
                weight=recipe.consistency_weight,
                temperature=recipe.temperature,
                within_modal=recipe.within_modal,
                detach_target=recipe.detach_target,
            )
            if not torch.isfinite(losses.total):
                raise CMACError(
                    f"the loss is {losses.total.item()} at step {step}; the last checkpoint is kept in {run}"
                )
            optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            optimizer.step()
            step += 1
            bar.update()

            sums["loss"] += losses.total.item()
            sums["contrastive"] += losses.contrastive.item()
            sums["consistency"] += losses.consistency.item()
            sums["accuracy"] += losses.accuracy.item()
            # 1 when the embeddings point everywhere, near 0 when they crowd in a cone: the plateau shows here first.
            sums["spread"] += 1 - output.visual.embedding.detach().mean(0).square().sum().item()
            if step % 50 == 0:
                now = time.perf_counter()
                row: dict[str, Any] = {name: f"{value / 50:.4f}" for name, value in sums.items()}
                row |= {"step": step, "learning_rate": f"{learning_rate(recipe, step):.2e}"}
                row["clips_per_second"] = f"{50 * recipe.batch / (now - since):.1f}"
                log.writerow(row)
                file.flush()
                bar.set_postfix({k: row[k] for k in ("contrastive", "consistency", "accuracy")})
                since, sums = now, dict.fromkeys(sums, 0.0)
            if step % recipe.checkpoint_every == 0:
                save(run / "checkpoint.pt", recipe, model, optimizer, masks, step)
    bar.close()
    save(run / "checkpoint.pt", recipe, model, optimizer, masks, step)
    return model.eval()


def save(
    path: Path, recipe: Recipe, model: CMAC, optimizer: torch.optim.Optimizer, masks: torch.Generator, step: int
) -> None:
    """Writes a training checkpoint: beside its final name first, then moved, so that a break leaves the old one."""
    state = {
        "recipe": dataclasses.asdict(recipe),
        "config": model.config.to_dict(),
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "masks": masks.get_state(),
    }
    temporary = path.with_name(f".{path.name}.part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def resume(path: Path, recipe: Recipe, model: CMAC, optimizer: torch.optim.Optimizer, masks: torch.Generator) -> int:
    """Restores what `save` wrote, if it is there. Returns the number of steps already done."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["config"] != model.config.to_dict():
        raise CMACError(
            f"{path} holds architecture {state['config']['name']!r}, which differs from the recipe's "
            f"{recipe.architecture!r}; choose another output folder"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    masks.set_state(state["masks"])
    return int(state["step"])


def _stop_on_signals() -> list[int]:
    """A list that is empty until SIGTERM or SIGINT comes; the loop then ends after its step and saves."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return caught
