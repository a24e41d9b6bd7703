"""The work of each command that measures a network; imports are inside, so that `--help` is quick."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmac_hub.errors import CMACError
from cmac_hub.train.evaluate.sets import find_set

if TYPE_CHECKING:
    from cmac_hub.model import CMAC


def localize(options: argparse.Namespace) -> int:
    """Prints how well the maps find what sounds, as tables."""
    from cmac_hub.train.networks import load_network

    _check_pictures(options.figure, options.sheet)
    for name, on in (("figure", "grounding"), ("sheet", "scenes")):
        if getattr(options, name) and options.on != on:
            raise CMACError(f"--{name} is drawn with --on {on} only, not with --on {options.on}")
    if options.sheet and options.scenes < 2:
        raise CMACError(f"--sheet shows best and worst scenes; give at least two, not --scenes {options.scenes}")
    chosen, path = find_set(options.evaluation, options.on), _needed_path(options)
    options.split = _chosen_split(options)
    model = load_network(options.model, options.device)
    model.require_attention("localize")
    if chosen.measure:
        count = (options.scenes,) if chosen.composed else ()
        report, table = chosen.function()(model, options.data, options.split, *count)
    else:
        from cmac_hub.train.evaluate.boxed_clips import measure_clips

        report, table = measure_clips(model, chosen.function()(options.data, path))
    if missing := report.get("missing", report.get("all", {}).get("missing")):
        print(f"{len(missing)} videos are missing or broken and not counted", file=sys.stderr)
    _finish(options, model, report, table)
    # Pictures come last: what was measured is written by then.
    if options.figure:
        from cmac_hub.train.evaluate.toolbox.figures import draw_precision_recall

        draw_precision_recall({which: one["peaks"] for which, one in report.items()}, options.figure)
    if options.sheet:
        from cmac_hub.files import replacing
        from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes
        from cmac_hub.train.evaluate.toolbox.sheet import contact_sheet
        from cmac_hub.train.scenes.readers import load_library

        library = load_library(options.data, options.split, clip_size=model.config.require_visual().size)
        sheet = contact_sheet(model, make_scenes(library, model.config, options.scenes, report["seed"]))
        with replacing(options.sheet) as temporary:
            sheet.save(temporary)
    return 0


def probe(options: argparse.Namespace) -> int:
    """Prints accuracies as a table."""
    from cmac_hub.train.distillation.teacher import YAMNet
    from cmac_hub.train.evaluate.probe import as_table
    from cmac_hub.train.evaluate.probe import probe as run_probe
    from cmac_hub.train.networks import load_network

    _check_pictures(options.figure)
    teacher = None if options.teacher is None else YAMNet(options.teacher)
    model = load_network(options.model, options.device)
    report = run_probe(model, options.on, options.data, options.folds, options.seeds, teacher=teacher)
    _finish(options, model, report, as_table(report))
    if options.figure:
        from cmac_hub.train.evaluate.toolbox.figures import draw_confusion

        draw_confusion(report["truth"], report["predicted"], options.figure)
    return 0


def retrieve(options: argparse.Namespace) -> int:
    """Prints recalls as tables."""
    from cmac_hub.train.evaluate.retrieval import as_table, evaluate_actions
    from cmac_hub.train.evaluate.toolbox.actions import find_split
    from cmac_hub.train.networks import load_network

    chosen, path = find_set(options.evaluation, options.on), _needed_path(options)
    split = options.split = _chosen_split(options)
    model = load_network(options.model, options.device)
    if chosen.measure:
        report, table = chosen.function()(model, options.data, split)
    else:
        assert path is not None and split is not None
        found = evaluate_actions(model, find_split(options.on, options.data, path, int(split)), options.workers)
        report = {"set": options.on, "split": int(split), **found}
        table = as_table(report)
    return _finish(options, model, report, table)


def finetune(options: argparse.Namespace) -> int:
    """Prints the accuracy of each split and their mean; each split has a run folder of its own."""
    from cmac_hub.train.evaluate.finetune import FinetuneSettings, as_table
    from cmac_hub.train.evaluate.finetune import finetune as run_finetune
    from cmac_hub.train.evaluate.toolbox.actions import find_split
    from cmac_hub.train.networks import load_network

    settings = FinetuneSettings(epochs=options.epochs, color_jitter=not options.no_jitter)
    # All lists are read before the first split is trained.
    splits = {number: find_split(options.on, options.data, options.lists, number) for number in options.split}
    model, reports = load_network(options.model, options.device), {}
    for number, split in splits.items():
        run = options.output / f"split_{number}"
        reports[number] = run_finetune(model, split, run, settings, weights=options.weights, workers=options.workers)
        if missing := reports[number]["missing"]:
            print(f"{len(missing)} videos of split {number} are broken and not counted", file=sys.stderr)
    result = {"set": options.on, "weights": options.weights, "splits": reports}
    table = as_table(options.on, reports, options.weights)
    return _finish(options, model, result, table, options.output / "finetune.json")


def report(options: argparse.Namespace) -> int:
    """Joins what the evaluations wrote into one Markdown file."""
    from cmac_hub.train.evaluate.report import join
    from cmac_hub.train.writing import writing

    with writing(options.output) as file:
        file.write(join(options.results))
    print(options.output)
    return 0


def _finish(
    options: argparse.Namespace, model: CMAC, report: dict[str, Any], table: str, output: Path | None = None
) -> int:
    """Prints the table of an evaluation; writes it with all numbers and what they were measured on."""
    from cmac_hub.files import make_folder
    from cmac_hub.train.evaluate.report import about
    from cmac_hub.train.writing import write_json

    # Whatever happens to the file, hours of work are on the screen.
    print(table)
    if output := output or options.output:
        make_folder(output.parent)
        measured = about(options.evaluation, options.on, options.model, model)
        split = {"split": options.split} if getattr(options, "split", None) else {}
        write_json(output, {**measured, **split, "table": table, "result": report})
    return 0


def _check_pictures(*paths: Path | None) -> None:
    """Raises CMACError before anything slow begins where a picture could not be written in the end."""
    for path in paths:
        if path is not None and (path.suffix.lower() not in (".png", ".jpg") or not path.absolute().parent.is_dir()):
            raise CMACError(f"{path} cannot be drawn; give a .png or .jpg in a folder that is there")


def _chosen_split(options: argparse.Namespace) -> str | None:
    """The split that was asked for, or the set's default; None where a set has none. Raises CMACError for one that the
    set does not have."""
    splits = find_set(options.evaluation, options.on).splits
    if options.split is not None and options.split not in splits:
        has = f"the splits {', '.join(splits)}" if splits else "no splits"
        raise CMACError(f"--on {options.on} has {has}; it cannot take --split {options.split}")
    return options.split or next(iter(splits), None)


def _needed_path(options: argparse.Namespace) -> Path | None:
    """The folder that `--on` needs beside `--data`, if any. Raises CMACError where it was not given."""
    needs = find_set(options.evaluation, options.on).needs
    if not needs:
        return None
    if (path := getattr(options, needs)) is None:
        raise CMACError(f"{options.on} needs its {needs}; say where they lie: --{needs} FOLDER")
    return Path(path)
