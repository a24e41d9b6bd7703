"""Pretraining, top to bottom: recipe -> data -> network -> step -> log -> checkpoint.

    python -m cmac_hub.train pretrain --recipe nano --data DATA -o runs/nano
    python -m cmac_hub.train pretrain --recipe nano --data DATA -o runs/nano --resume
    torchrun --nproc-per-node 8 -m cmac_hub.train pretrain --recipe kinetics400 --data manifest.csv -o runs/k400

A run folder holds `recipe.json`, `start.json`, `environment.json`, `log.csv`, `checkpoints/`, `skipped.csv` where a
video made the loss no number, and `tensorboard/` where that is installed.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.files import make_folder
from cmac_hub.model import CMAC
from cmac_hub.train.cached_pairs import CachedPairs
from cmac_hub.train.checkpoint import Checkpoints, check_same_run, read_checkpoint
from cmac_hub.train.distributed import World
from cmac_hub.train.interrupts import StoppedError, catching_signals, compiling, out_of_memory_hint
from cmac_hub.train.later import Later
from cmac_hub.train.loss_check import check_loss
from cmac_hub.train.modules import make_modules, trying_algorithms
from cmac_hub.train.optimization import learning_rate
from cmac_hub.train.precision import fast_bf16
from cmac_hub.train.recipe import FORMAT_VERSION, NEW_LAWS, Recipe
from cmac_hub.train.runlog import RunLog, environment
from cmac_hub.train.scenes.pairs import ScenePairs
from cmac_hub.train.skipped import PassingOver, read_skipped
from cmac_hub.train.start import check_start
from cmac_hub.train.step import share, take_step
from cmac_hub.train.stream import PairSource, PairStream
from cmac_hub.train.videos.manifest import Manifest
from cmac_hub.train.videos.pairs import VideoPairs
from cmac_hub.train.writing import write_json


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
            weights it began with; the loss is no number (the step's inputs are saved in the run folder, and the videos
            to blame stand in its skipped.csv, which a resumed run passes over); too many videos are broken; a data
            worker was killed; the disk is full.
        StoppedError: SIGTERM or Ctrl-C came; a checkpoint of the last step is there.
    """
    # Recipe and start are checked against the folder before anything slow begins.
    start = check_start(run, initial, resume)
    checkpoints = Checkpoints(run, recipe.keep)
    state, skipped = None, read_skipped(run) if resume else []
    if (latest := checkpoints.latest()) is not None:
        if not resume:
            raise CMACError(f"{run} holds a run that stands at {latest.stem}; add --resume, or choose another folder")
        state = read_checkpoint(latest)
        check_same_run(latest, state, recipe)
        if state.get("format_version", 1) < FORMAT_VERSION and world.first:
            print(f"cmac_hub.train: {run} began with version 0.1.0; {NEW_LAWS}", file=sys.stderr)
    source = open_source(recipe, data, progress=progress and world.first)
    data_hash = source.hash()
    if state is not None and start.data not in (None, data_hash):
        raise CMACError(
            f"{run} began with other data than {data or 'drawings'}; give the same --data, or choose another folder"
        )
    start = start._replace(data=data_hash)

    if recipe.bf16 and not fast_bf16(world.device) and world.first:
        print(f"cmac_hub.train: {world.device} is slow at bfloat16; training in float32", file=sys.stderr)
    modules, step, begun = make_modules(recipe, initial, world), 0, None
    if state is not None:
        modules.load(state)
        step, begun = int(state["step"]), state.get("log")
        state = None  # it is as large as the run's own
    model = modules.model
    if recipe.cached_pairs:
        source = CachedPairs(source, recipe, model, progress=progress and world.first)
    if skipped:
        source = PassingOver(source, recipe.seed, skipped)
    trained = DistributedDataParallel(model) if world.size > 1 else model

    total = recipe.total_steps(source.videos)
    batches = iter(PairStream(source, recipe, step, world.rank, world.size).loader(pin=world.device.type == "cuda"))
    log = None
    if world.first:
        make_folder(run)
        if not resume:
            (run / "skipped.csv").unlink(missing_ok=True)
        write_recipe(recipe, run)
        write_json(run / "environment.json", environment())
        write_json(run / "start.json", start._asdict())
        log = RunLog(run, step, begun=begun)
    bar = tqdm(total=total, initial=step, disable=not (progress and world.first), unit="step", smoothing=0.05)
    clips = replaced = 0
    told: list[Later] = []
    stopping = False

    def save() -> None:
        assert log is not None
        checkpoints.save(modules.snapshot(recipe, step, start.before) | {"log": log.begun()}, step)

    with (
        bar,
        log or nullcontext(),
        trying_algorithms(),
        out_of_memory_hint(),
        compiling(recipe.compile),
        catching_signals() as stop,
    ):
        while step < total and not stopping and not (world.size == 1 and stop):
            rate = learning_rate(recipe, step, source.videos)
            check = partial(check_loss, run, checkpoints, recipe, model, source, step, world.rank)
            done = take_step(recipe, modules, trained, batches, world, step, rate, check)
            step += 1
            shared = share(done, bool(stop), world)
            told.append(shared.told)
            if world.size == 1 or len(told) > 1:
                # Several processes listen to the step before, which is over: none waits for this one's end.
                broken, asked = told.pop(0).read().tolist()
                clips, replaced, stopping = clips + recipe.batch, replaced + int(broken), asked > 0
            if replaced > recipe.broken_share * clips and clips >= 20 * recipe.batch:
                raise CMACError(
                    f"{replaced} of {clips + replaced} videos could not be read, more than the recipe's broken_share "
                    f"of {recipe.broken_share:g}; index them anew: python -m cmac_hub.train index"
                )
            bar.update()
            if log is not None:
                log.add(shared.figures, recipe.batch, shared.replaced, done.waited)
                if step % recipe.log_every == 0 or step == total:
                    row = log.write(step, rate)
                    bar.set_postfix({k: row[k] for k in ("contrastive", "consistency", "accuracy", "waiting_share")})
            if world.first and (step % recipe.checkpoint_every == 0 or step == total):
                save()
        if step < total:
            if world.first:
                save()
            raise StoppedError(f"stopped and saved at step {step} of {total} in {run}")
    return model.eval()


def write_recipe(recipe: Recipe, run: Path) -> None:
    """`recipe.json`; an architecture of one's own goes beside it, so that the folder can be moved."""
    values = recipe.to_dict()
    if recipe.architecture.endswith(".json"):
        values["architecture"] = "architecture.json"
        write_json(run / "architecture.json", recipe.config.to_dict())
    write_json(run / "recipe.json", values)
