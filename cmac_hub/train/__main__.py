"""`python -m cmac_hub.train COMMAND`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cmac_hub.command_line import add_debug, add_imports, run
from cmac_hub.streams import lasting_streams
from cmac_hub.train import commands
from cmac_hub.train.arguments import LIBRARY, SPLITS, add_device, add_settings, add_training, counting, positive
from cmac_hub.train.evaluate.parsers import add_evaluations
from cmac_hub.train.scenes.layout import LAYOUT


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code, see `cmac_hub.command_line.run`."""
    with lasting_streams():
        options = build_parser().parse_args(arguments)
    return run("cmac_hub.train", options.run, options)


def build_parser() -> argparse.ArgumentParser:
    """The grammar; each command's work is imported when it runs."""
    parser = argparse.ArgumentParser(prog="python -m cmac_hub.train", description="Train and evaluate CMAC.")
    found = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    index = found.add_parser("index", help="look into every video of a collection, write a manifest of the good ones")
    index.add_argument("source", type=Path, help="a folder, a .txt list, or a csv of Kinetics, AudioSet, VGG-Sound")
    index.add_argument("-o", "--output", type=Path, required=True, help="manifest.csv; a broken-off call goes on")
    index.add_argument("--videos", type=Path, help="folder with the videos that a csv names")
    index.add_argument("--split", help="of a csv that names several, such as train")
    index.add_argument(
        "--cut",
        type=Path,
        metavar="FOLDER",
        help="write a small copy of each good one, three times cheaper to read, and list the copies",
    )
    index.add_argument(
        "--size",
        type=positive,
        default=128,
        help="pixels of a copy's short side; 160 keeps all that recipes with random crops of 128 can see",
    )
    index.add_argument("--workers", type=counting, default=0, help="processes; 0: one a core")
    index.set_defaults(run=commands.index)

    pack = found.add_parser("pack", help="copy pictures, sounds and shots at the size that training keeps")
    pack.add_argument("data", type=Path, help=LIBRARY)
    pack.add_argument("-o", "--output", type=Path, required=True, help="folder, new or empty")
    pack.add_argument("--split", nargs="+", choices=SPLITS, default=SPLITS, help="whose files come along")
    pack.add_argument("--size", type=positive, default=128, help="pixels of the largest clips that are trained on")
    pack.add_argument("--bit-rate", type=positive, default=24000, help="bits a second of a sound")
    pack.set_defaults(run=commands.pack)

    pretrain = found.add_parser("pretrain", help="train a network, or go on with a run")
    pretrain.add_argument("--recipe", default="nano", help="a name, or a path to a .json")
    add_training(pretrain)
    pretrain.add_argument("-o", "--output", type=Path, help="run folder")
    pretrain.add_argument("--from", dest="initial", help="begin with the weights of a model, run folder or checkpoint")
    pretrain.add_argument(
        "--visual-from",
        type=Path,
        help="begin with the visual encoder of a model or run, or a .pth of EfficientNet-Lite0",
    )
    pretrain.add_argument("--audio-from", type=Path, help="audio encoder to begin with: a model or a run")
    pretrain.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    pretrain.add_argument("--dry-run", action="store_true", help="print settings, size, memory and time, and stop")
    pretrain.set_defaults(run=commands.pretrain)

    distill = found.add_parser("distill", help="teach an audio encoder what a network knows that heard far more")
    distill.add_argument("--data", type=Path, required=True, help=LIBRARY)
    distill.add_argument("--teacher", type=Path, required=True, help="yamnet.tflite; needs the extra `teachers`")
    distill.add_argument("-o", "--output", type=Path, help="run folder")
    add_settings(distill)
    distill.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    distill.add_argument("--dry-run", action="store_true", help="print settings, recordings and time, and stop")
    distill.set_defaults(run=commands.distill)

    ablate = found.add_parser("ablate", help="train the rows of one table of the paper")
    ablate.add_argument("table", help="table1, table2, table3, lambda, heads, or consistency")
    ablate.add_argument("--base", help="lay the rows over this recipe instead of the paper's settings, e.g. nano")
    add_training(ablate)
    ablate.add_argument("--seeds", type=counting, nargs="+", default=[0])
    ablate.add_argument("--esc50", type=Path, help="of the probe; default: esc50 in the data, if there")
    ablate.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of runs and tables; tables share its runs"
    )
    ablate.set_defaults(run=commands.ablate)

    scenes = found.add_parser("scenes", help="write sounding scenes with ground truth as files")
    scenes.add_argument("--data", type=Path, help=f"{LIBRARY}; without it, the package draws")
    scenes.add_argument("--split", choices=SPLITS, default="test")
    scenes.add_argument("--things", choices=["known", "new"], default="known", help="of training, or never seen")
    scenes.add_argument("--level", choices=["easy", "medium", "hard"], default="medium")
    scenes.add_argument("--count", type=positive, default=10)
    scenes.add_argument("--size", type=positive, default=128, help="pixels of both sides")
    scenes.add_argument("--seconds", type=float, default=2.0)
    scenes.add_argument("--frame-rate", type=float, default=16.0, help="hertz")
    scenes.add_argument("--offscreen", type=float, default=0.0, help="share of scenes whose source is off screen")
    scenes.add_argument(
        "--distractors",
        type=counting,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="things that make no sound; default: the level's",
    )
    scenes.add_argument(
        "--background-level",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="decibels of an off-screen second sound over the source's, in every scene; default: in a third, -25 to -5",
    )
    scenes.add_argument("--blur", type=float, default=0.0, help="share of scenes that are out of focus")
    scenes.add_argument("--seed", type=counting, default=0)
    scenes.add_argument("-o", "--output", type=Path, required=True, help="folder")
    scenes.set_defaults(run=commands.scenes)

    add_evaluations(found)

    release = found.add_parser("release", help="turn a training checkpoint into a folder that users load")
    release.add_argument("checkpoint", type=Path, help="a run folder (its latest), or a checkpoint .pt")
    release.add_argument("-o", "--output", type=Path, required=True)
    release.add_argument("--data", type=Path, help=f"{LIBRARY}: measures how maps are drawn, on its validation split")
    release.add_argument("--note", default="", help="one line for the config's training summary")
    release.add_argument(
        "--license", default="", help="of the weights, as strict as that of the strictest data, e.g. cc-by-nc-4.0"
    )
    release.add_argument("--half", action="store_true", help="store weights in half precision, loaded as fp32")
    release.add_argument("--license-file", type=Path, help="its text, where it is no common one")
    release.add_argument(
        "--report", type=Path, nargs="+", action="extend", default=[], help=".json of evaluations, the card's figures"
    )
    release.add_argument("--push", metavar="OWNER/REPO", help="upload it to the Hub; log in first: hf auth login")
    release.add_argument("--dry-run", action="store_true", help="with --push: list files and sizes, upload nothing")
    release.add_argument("--public", action="store_true", help="with --push: a new repository is not private")
    release.add_argument("--revision", help="with --push: branch, made when missing; default: main")
    release.add_argument("--create-pr", action="store_true", help="with --push: open a pull request")
    add_device(release)
    add_imports(release)
    release.set_defaults(run=commands.release)

    convert = found.add_parser("convert", help="turn a checkpoint that others published into such a folder")
    convert.add_argument("origin", choices=["torchvision", "gdt", "avid", "xdc"], help="whose it is")
    convert.add_argument("file", type=Path, help="the published .pth")
    convert.add_argument("-o", "--output", type=Path, required=True, help="folder")
    convert.set_defaults(run=commands.convert)

    for command in (pack, pretrain, distill, ablate, scenes, release):
        command.formatter_class, command.epilog = argparse.RawDescriptionHelpFormatter, LAYOUT
    for command in found.choices.values():
        add_debug(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
