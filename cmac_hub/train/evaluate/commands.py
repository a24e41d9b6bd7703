"""The work of each command that measures a network; imports are inside, so that `--help` is quick."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmac_hub.errors import CMACError

if TYPE_CHECKING:
    from cmac_hub.model import CMAC


def localize(options: argparse.Namespace) -> int:
    """Prints how well the maps find what sounds, as tables."""
    from cmac_hub.train.release import load_network

    _check_pictures(options.figure, options.sheet)
    for name, on in (("figure", "grounding"), ("sheet", "scenes")):
        if getattr(options, name) and options.on != on:
            raise CMACError(f"--{name} is drawn with --on {on} only, not with --on {options.on}")
    model = load_network(options.model, options.device)
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


def probe(options: argparse.Namespace) -> int:
    """Prints accuracies as a table."""
    from cmac_hub.train.evaluate.probe import as_table
    from cmac_hub.train.evaluate.probe import probe as run_probe
    from cmac_hub.train.release import load_network

    _check_pictures(options.figure)
    model = load_network(options.model, options.device)
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
    from cmac_hub.train.release import load_network

    model = load_network(options.model, options.device)
    if options.on == "scenes":
        report = retrieval.evaluate_scenes(model, options.data)
        table = "\n\n".join(f"Things {THINGS[which]}:\n\n{retrieval.as_table(one)}" for which, one in report.items())
    elif options.on == "clips":
        report = retrieval.evaluate_shots(model, options.data)
        table = retrieval.as_table(report)
    else:
        split = find_split(options.on, options.data, _lists(options), options.split)
        found = retrieval.evaluate_actions(model, split, options.workers)
        report = {"set": options.on, "split": options.split, **found}
        table = retrieval.as_table(report)
    return _finish(options, model, report, table)


def finetune(options: argparse.Namespace) -> int:
    """Prints the accuracy of each split and their mean; each split has a run folder of its own."""
    from cmac_hub.train.evaluate.actions import find_split
    from cmac_hub.train.evaluate.finetune import FinetuneSettings, as_table
    from cmac_hub.train.evaluate.finetune import finetune as run_finetune
    from cmac_hub.train.release import load_network

    settings = FinetuneSettings(epochs=options.epochs, color_jitter=not options.no_jitter)
    # All lists are read before the first split is trained.
    splits = {number: find_split(options.on, options.data, _lists(options), number) for number in options.split}
    model, reports = load_network(options.model, options.device), {}
    for number, split in splits.items():
        run = options.output / f"split_{number}"
        reports[number] = run_finetune(model, split, run, settings, weights=options.weights, workers=options.workers)
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

    # Whatever happens to the file, hours of work have been told.
    print(table)
    if output := output or options.output:
        output.parent.mkdir(parents=True, exist_ok=True)
        told = about(options.measure, options.on, options.model, model)
        write_json(output, {**told, "table": table, "result": report})
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
