"""The grammar of the commands that measure a network; their work is in `commands.py`, their sets are in `sets.py`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cmac_hub.train.arguments import add_model, counting, positive
from cmac_hub.train.evaluate import commands
from cmac_hub.train.evaluate.sets import SETS, describe_sets

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_evaluations(found: Commands) -> None:
    """Adds localize, probe, retrieve, finetune and report."""
    localize = _add(found, "localize", "does the attention point at what sounds? beside trivial baselines", "scenes")
    localize.add_argument("--videos", type=Path, help="folder of the videos")
    localize.add_argument("--split", choices=["test", "validation"], help="of scenes and shots, default: test")
    localize.add_argument("--scenes", type=positive, default=500, help="of each kind, where they are composed")
    localize.add_argument("--sheet", type=Path, help="a .png of the best and worst scenes to write")
    localize.add_argument("--figure", type=Path, help="with --on grounding: a .png of precision over recall to write")
    localize.add_argument("-o", "--output", type=Path, help="a .json to write")
    localize.set_defaults(run=commands.localize)

    probe = _add(found, "probe", "a linear classifier on frozen audio features, beside its floors", "esc50")
    probe.add_argument("--teacher", type=Path, help="yamnet.tflite, measured beside the network")
    probe.add_argument("--folds", nargs="+", help="folds to test on; default: all")
    probe.add_argument(
        "--seeds", type=counting, nargs="+", default=[0], help="of crops and random weights; 0 cuts evenly"
    )
    probe.add_argument("--figure", type=Path, help="a .png of the confusion matrix to write")
    probe.add_argument("-o", "--output", type=Path, help="a .json to write")
    probe.set_defaults(run=commands.probe)

    retrieve = _add(found, "retrieve", "videos of the same action, or audio to visual and back", "scenes")
    retrieve.add_argument("--lists", type=Path, help="folder of the official lists")
    retrieve.add_argument(
        "--split",
        choices=["test", "validation", "1", "2", "3"],
        help="of scenes and shots, default: test; or of the official lists, default: 1",
    )
    retrieve.add_argument("--workers", type=counting, default=0, help="processes that decode actions; 0: one a core")
    retrieve.add_argument("-o", "--output", type=Path, help="a .json to write")
    retrieve.set_defaults(run=commands.retrieve)

    finetune = _add(found, "finetune", "action recognition with the finetuned visual encoder", "ucf101")
    finetune.add_argument("--weights", choices=["cmac", "scratch", "torchvision"], default="cmac")
    finetune.add_argument("--lists", type=Path, required=True, help="folder of the official lists")
    finetune.add_argument("--split", type=int, nargs="+", choices=[1, 2, 3], default=[1], help="official splits")
    finetune.add_argument("--epochs", type=positive, default=12)
    finetune.add_argument("--no-jitter", action="store_true", help="without color jitter, as in the ablations")
    finetune.add_argument("--workers", type=counting, default=0, help="processes that decode; 0: one a core")
    finetune.add_argument("-o", "--output", type=Path, required=True, help="folder of runs; goes on where it stopped")
    finetune.set_defaults(run=commands.finetune)

    report = found.add_parser("report", help="join the .json files of evaluations into one Markdown file")
    report.add_argument("results", type=Path, nargs="+", help=".json files of localize, probe, retrieve, finetune")
    report.add_argument("-o", "--output", type=Path, required=True, help="a .md to write")
    report.set_defaults(run=commands.report)


def _add(found: Commands, name: str, summary: str, default: str) -> argparse.ArgumentParser:
    """A command with the options that all of them have, and its sets listed below them."""
    parser = found.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=describe_sets(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model(parser)
    parser.add_argument("--on", choices=list(SETS[name]), default=default, help=f"default: {default}; see below")
    parser.add_argument("--data", type=Path, required=True, help="depends on --on, see below")
    parser.set_defaults(evaluation=name)
    return parser
