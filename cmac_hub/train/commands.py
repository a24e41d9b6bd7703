"""The work of each `python -m cmac_hub.train` command; imports are inside, so that `--help` is quick."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmac_hub.errors import CMACError

if TYPE_CHECKING:
    from cmac_hub.model import CMAC


def overrides(texts: list[str]) -> dict[str, Any]:
    """["steps=300", "bf16=false"] -> {"steps": 300, "bf16": False}; what is no JSON is text."""
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise CMACError(f"--set got {text!r}; expected KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def index(options: argparse.Namespace) -> int:
    """Writes a manifest, and says what was left out and why."""
    from cmac_hub.train.index import index as write_manifest
    from cmac_hub.train.layouts import find_candidates

    counts = write_manifest(find_candidates(options.source, options.videos), options.output, workers=options.workers)
    print(f"{options.output}: {counts['']} of {counts.total()} videos")
    for reason, count in counts.most_common():
        if reason:
            print(f"  {count} left out: {reason}")
    if not counts[""]:
        raise CMACError(f"no video can be trained on; see {options.output.with_suffix('.skipped.csv')}")
    return 0


def pack(options: argparse.Namespace) -> int:
    """Writes a small copy of the data, and says what is in it."""
    from cmac_hub.train.pack import pack as write_pack

    how = {"splits": options.split, "size": options.size, "bit_rate": options.bit_rate}
    counts = write_pack(options.data, options.output, **how)
    size = sum(path.stat().st_size for path in options.output.rglob("*") if path.is_file())
    print(f"{options.output}: {size / 2**20:.1f} MiB; " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n))
    return 0


def pretrain(options: argparse.Namespace) -> int:
    """Trains, or prints what training would be."""
    from cmac_hub.train.recipe import RecipeError, load_recipe

    recipe = load_recipe(options.recipe, **overrides(options.set))
    if options.dry_run:
        from cmac_hub.train.estimate import describe, estimate

        for key, setting in dataclasses.asdict(recipe).items():
            print(f"{key:<20} {setting}")
        print(describe(recipe, estimate(recipe, options.device or "cpu")))
        return 0
    if options.output is None:
        raise RecipeError("no run folder was given; say -o runs/NAME")
    from cmac_hub.train.distributed import join_world
    from cmac_hub.train.pretrain import Stopped
    from cmac_hub.train.pretrain import pretrain as train

    _settle(options.threads)
    initial = None if options.initial is None else _load(options.initial, "cpu")
    with join_world(options.device) as world:
        try:
            train(recipe, options.data, options.output, resume=options.resume, initial=initial, world=world)
        except Stopped as stopped:
            # Somebody asked for it and nothing is lost: no failure.
            print(f"cmac_hub.train: {stopped}", file=sys.stderr)
    return 0


def ablate(options: argparse.Namespace) -> int:
    """Trains the rows of a table and prints it."""
    from cmac_hub.train.ablate import ablate as train_table
    from cmac_hub.train.distributed import join_world

    _settle(options.threads)
    with join_world(options.device) as world:
        text = train_table(
            options.table,
            options.data,
            options.output,
            base=options.base,
            seeds=tuple(options.seeds),
            esc50=options.esc50,
            overrides=overrides(options.set),
            world=world,
        )
        if world.first:
            print(text)
    return 0


def _settle(threads: int) -> None:
    """What a process does once before it trains."""
    import torch

    from cmac_hub.train.memory import keep_freed_memory

    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)


def localize(options: argparse.Namespace) -> int:
    """Prints how well the maps find what sounds, as tables."""
    _check_pictures(options.figure, options.sheet)
    for name, on in (("figure", "grounding"), ("sheet", "scenes")):
        if getattr(options, name) and options.on != on:
            raise CMACError(f"--{name} is drawn with --on {on} only, not with --on {options.on}")
    model = _load(options.model, options.device)
    measure = {"scenes": _on_scenes, "grounding": _on_grounding, "movement": _on_movement}.get(options.on, _on_boxes)
    report, table = measure(model, options)
    _finish(options, model, report, table)
    # Pictures come last: what was measured is written by then.
    if options.figure:
        from cmac_hub.train.evaluate.figures import draw_precision_recall

        draw_precision_recall({which: one["peaks"] for which, one in report.items()}, options.figure)
    if options.sheet:
        from cmac_hub.train.evaluate.localization import make_scenes
        from cmac_hub.train.evaluate.sheet import contact_sheet
        from cmac_hub.train.own_library import load_library

        library = load_library(options.data, options.split)
        contact_sheet(model, make_scenes(library, model.config, options.scenes, report["seed"])).save(options.sheet)
    return 0


def scenes(options: argparse.Namespace) -> int:
    """Writes scenes as files."""
    from cmac_hub.train.library import Library
    from cmac_hub.train.own_library import load_library
    from cmac_hub.train.write_scenes import settings_of, write_scenes

    settings = settings_of(
        options.level,
        options.size,
        options.seconds,
        options.frame_rate,
        options.offscreen,
        options.blur,
        options.silent and tuple(options.silent),
        options.background_level and tuple(options.background_level),
    )
    if options.data is None:
        library = Library.of_drawings(options.split)
    else:
        library = load_library(options.data, options.split, options.things)
    print(write_scenes(library, settings, options.count, options.output, options.seed, options.frame_rate))
    return 0


def probe(options: argparse.Namespace) -> int:
    """Prints accuracies as a table."""
    from cmac_hub.train.evaluate.probe import as_table
    from cmac_hub.train.evaluate.probe import probe as run_probe

    _check_pictures(options.figure)
    model = _load(options.model, options.device)
    report = run_probe(model, options.on, options.data, options.folds, options.seeds)
    _finish(options, model, report, as_table(report))
    if options.figure:
        from cmac_hub.train.evaluate.figures import draw_confusion

        draw_confusion(report["truth"], report["said"], options.figure)
    return 0


def retrieve(options: argparse.Namespace) -> int:
    """Prints recalls as tables."""
    from cmac_hub.train.evaluate import retrieval
    from cmac_hub.train.evaluate.actions import find_split
    from cmac_hub.train.evaluate.localization import THINGS

    model = _load(options.model, options.device)
    if options.on == "scenes":
        report = retrieval.evaluate_scenes(model, options.data)
        table = "\n\n".join(f"Things {THINGS[which]}:\n\n{retrieval.as_table(one)}" for which, one in report.items())
    elif options.on == "clips":
        report = retrieval.evaluate_shots(model, options.data)
        table = retrieval.as_table(report)
    else:
        split = find_split(options.on, options.data, _lists(options), options.split)
        report = {"set": options.on, "split": options.split, **retrieval.evaluate_actions(model, split)}
        table = retrieval.as_table(report)
    return _finish(options, model, report, table)


def finetune(options: argparse.Namespace) -> int:
    """Prints the accuracy of each split and their mean; each split has a run folder of its own."""
    from cmac_hub.train.evaluate.actions import find_split
    from cmac_hub.train.evaluate.finetune import FinetuneSettings, as_table
    from cmac_hub.train.evaluate.finetune import finetune as run_finetune

    settings = FinetuneSettings(epochs=options.epochs, color_jitter=not options.no_jitter)
    # All lists are read before the first split is trained.
    splits = {number: find_split(options.on, options.data, _lists(options), number) for number in options.split}
    model, reports = _load(options.model, options.device), {}
    for number, split in splits.items():
        run = options.output / f"split_{number}"
        reports[number] = run_finetune(model, split, run, settings, weights=options.weights)
        if gone := reports[number]["missing"]:
            print(f"{len(gone)} videos of split {number} are broken and not counted", file=sys.stderr)
    result = {"set": options.on, "weights": options.weights, "splits": reports}
    table = as_table(options.on, reports, options.weights)
    return _finish(options, model, result, table, options.output / "finetune.json")


def report(options: argparse.Namespace) -> int:
    """Joins what the evaluations wrote into one Markdown file."""
    from cmac_hub.train.evaluate.report import join

    options.output.write_text(join(options.results), encoding="utf-8")
    print(options.output)
    return 0


def _finish(
    options: argparse.Namespace, model: CMAC, report: dict[str, Any], table: str, output: Path | None = None
) -> int:
    """Prints the table of an evaluation; writes it with all numbers and what they were measured on."""
    from cmac_hub.train.evaluate.report import about
    from cmac_hub.train.runlog import write_json

    if output := output or options.output:
        told = about(options.measure, options.on, options.model, model)
        write_json(output, {**told, "table": table, "result": report})
    print(table)
    return 0


def _check_pictures(*paths: Path | None) -> None:
    """Raises CMACError before anything slow begins where a picture could not be written in the end."""
    for path in paths:
        if path is not None and (path.suffix.lower() not in (".png", ".jpg") or not path.absolute().parent.is_dir()):
            raise CMACError(f"{path} cannot be drawn; give a .png or .jpg in a folder that is there")


def _lists(options: argparse.Namespace) -> Path:
    if options.lists is None:
        raise CMACError(f"{options.on} needs its official lists; say where they lie: --lists FOLDER")
    return Path(options.lists)


def _load(name: str, device: str | None) -> CMAC:
    """A network by name or folder, or of a training run, on a device (`pick_device`)."""
    from cmac_hub.hub import load_model
    from cmac_hub.train.distributed import pick_device
    from cmac_hub.train.release import load_checkpoint

    path, where = Path(name), pick_device(device)
    trained = path.suffix == ".pt" or (path / "checkpoints").is_dir()
    return load_checkpoint(path)[0].to(where) if trained else load_model(name, device=where)


def _on_scenes(model: CMAC, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from cmac_hub.train.evaluate.localization import as_table, evaluate

    report = evaluate(model, options.data, options.split, options.scenes)
    return report, as_table(report)


def _on_grounding(model: CMAC, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from cmac_hub.train.evaluate.grounding import as_table, evaluate_grounding
    from cmac_hub.train.evaluate.localization import THINGS
    from cmac_hub.train.own_library import libraries

    report = {}
    for which, library in libraries(options.data, options.split):
        report[which] = evaluate_grounding(model, library, options.scenes)
    return report, "\n\n".join(f"Things {THINGS[which]}:\n\n{as_table(one)}" for which, one in report.items())


def _on_movement(model: CMAC, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from cmac_hub.train.evaluate.movement import as_table, evaluate_movement
    from cmac_hub.train.own_library import libraries

    found = libraries(options.data, options.split)
    report = {which: evaluate_movement(model, library, options.scenes) for which, library in found}
    return report, as_table(report)


def _on_boxes(model: CMAC, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from cmac_hub.train.evaluate import boxes
    from cmac_hub.train.evaluate.metrics import as_json, as_table

    if options.on == "clips":
        clips = boxes.own_boxes(options.data)
    elif options.videos is None:
        raise CMACError(f"{options.on} needs its videos; say where they lie: --videos FOLDER")
    else:
        read = {"vggss": boxes.vggss_boxes, "flickr": boxes.flickr_boxes, "csv": boxes.csv_boxes}[options.on]
        clips = read(options.data, options.videos)
    report = boxes.evaluate_boxes(model, clips)
    if report["missing"]:
        print(f"{len(report['missing'])} videos are missing or broken and not counted", file=sys.stderr)
    scores = {name: as_json(one) for name, one in report["scores"].items()}
    return {**report, "scores": scores}, as_table(report["scores"])


def release(options: argparse.Namespace) -> int:
    """Writes a folder that users load."""
    from cmac_hub.train.distributed import pick_device
    from cmac_hub.train.release import release as write_release

    device = pick_device(options.device)
    write_release(options.checkpoint, options.output, options.data, options.note, device=device)
    print(options.output)
    return 0
