"""A loss that is no number ends the run before it changes a weight, with its inputs saved and its videos named."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from cmac_hub.errors import CMACError, OutputError
from cmac_hub.files import make_folder
from cmac_hub.model import CMAC
from cmac_hub.train.checkpoint import Checkpoints
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.skipped import Skipped, find_broken, write_skipped
from cmac_hub.train.stream import Pair, PairSource
from cmac_hub.train.writing import save_tensors


def check_loss(
    run: Path,
    checkpoints: Checkpoints,
    recipe: Recipe,
    model: CMAC,
    source: PairSource,
    step: int,
    rank: int,
    loss: Tensor,
    batch: Pair,
    part: int,
) -> None:
    """Raises CMACError for a loss that is no number, after the inputs were saved in the run folder, and the videos that
    made it so were named in its skipped.csv.

    Args:
        run: folder.
        checkpoints: of the run; the message names the last good one.
        recipe: of the run.
        model: of the run, with the weights that gave the loss.
        source: of the pairs: it knows what videos are called.
        step: together with `rank` and `part` it tells how the inputs were augmented.
        rank: of this process.
        loss: a scalar, on the host.
        batch: the inputs, as the data gave them.
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
