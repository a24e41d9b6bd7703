"""`python -m cmac_hub.train COMMAND`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cmac_hub.errors import CMACError, one_line
from cmac_hub.train import commands
from cmac_hub.train.evaluate import commands as measures


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; errors are one line on stderr. Returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (CMACError, OSError) as error:
        print(f"cmac_hub.train: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cmac_hub.train: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The grammar; each command's work is imported when it runs."""
    parser = argparse.ArgumentParser(prog="python -m cmac_hub.train", description="Train and evaluate CMAC.")
    found = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    index = found.add_parser("index", help="look into every video of a collection, write a manifest of the good ones")
    index.add_argument("source", type=Path, help="a folder, a .txt list, or the csv of Kinetics or AudioSet")
    index.add_argument("-o", "--output", type=Path, required=True, help="manifest.csv; a broken-off call goes on")
    index.add_argument("--videos", type=Path, help="folder with the videos that a csv names")
    index.add_argument("--workers", type=int, default=0, help="processes; 0 takes one a core")
    index.set_defaults(run=commands.index)

    pack = found.add_parser("pack", help="copy pictures, sounds and shots at the size that training keeps")
    pack.add_argument("data", type=Path, help=DATA.partition(", or ")[2].partition(";")[0])
    pack.add_argument("-o", "--output", type=Path, required=True, help="folder, new or empty")
    pack.add_argument("--split", nargs="+", choices=SPLITS, default=SPLITS, help="whose files come along")
    pack.add_argument("--size", type=int, default=128, help="pixels of the largest clips to be cut from the real shots")
    pack.add_argument("--bit-rate", type=int, default=24000, help="bits a second of a sound")
    pack.set_defaults(run=commands.pack)

    pretrain = found.add_parser("pretrain", help="train a network, or go on with a run")
    pretrain.add_argument("--recipe", default="nano", help="a name, or a path to a .json")
    _add_set(pretrain)
    pretrain.add_argument("--data", type=Path, help=DATA)
    pretrain.add_argument("-o", "--output", type=Path, help="run folder")
    pretrain.add_argument("--from", dest="initial", help="begin with the weights of a model, run folder or checkpoint")
    pretrain.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    _add_device(pretrain)
    _add_threads(pretrain)
    pretrain.add_argument("--dry-run", action="store_true", help="print settings, size, memory and time, and stop")
    pretrain.set_defaults(run=commands.pretrain)

    ablate = found.add_parser("ablate", help="train the rows of one table of the paper")
    ablate.add_argument("table", help="table1, table2, table3, lambda, heads, or consistency")
    ablate.add_argument("--base", help="lay the rows over this recipe instead of the paper's settings, e.g. nano")
    _add_set(ablate)
    ablate.add_argument("--seeds", type=int, nargs="+", default=[0])
    _add_device(ablate)
    _add_threads(ablate)
    ablate.add_argument("--data", type=Path, help=DATA)
    ablate.add_argument("--esc50", type=Path, help="of the probe; default: esc50 in the data, if there")
    ablate.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of runs and tables; tables share its runs"
    )
    ablate.set_defaults(run=commands.ablate)

    localize = found.add_parser("localize", help="does the attention point at what sounds? beside trivial baselines")
    _add_model(localize)
    localize.add_argument("--on", choices=ON, default="scenes")
    localize.add_argument("--data", type=Path, required=True, help="pictures and sounds (README), or annotations")
    localize.add_argument("--videos", type=Path, help="folder of the videos of vggss, flickr and csv")
    localize.add_argument("--split", choices=["test", "validation"], default="test")
    localize.add_argument("--scenes", type=int, default=500, help="of each kind")
    localize.add_argument("--sheet", type=Path, help="a .png of the best and worst scenes to write")
    localize.add_argument("--figure", type=Path, help="with --on grounding: a .png of precision over recall to write")
    localize.add_argument("-o", "--output", type=Path, help="a .json to write")
    localize.set_defaults(run=measures.localize, measure="localize")

    scenes = found.add_parser("scenes", help="write sounding scenes with ground truth as files")
    scenes.add_argument("--data", type=Path, help=DATA.partition(", or ")[2])
    scenes.add_argument("--split", choices=SPLITS, default="test")
    scenes.add_argument("--things", choices=["known", "new"], default="known", help="of training, or never seen")
    scenes.add_argument("--level", choices=["easy", "medium", "hard"], default="medium")
    scenes.add_argument("--count", type=int, default=10)
    scenes.add_argument("--size", type=int, default=128, help="pixels of both sides")
    scenes.add_argument("--seconds", type=float, default=2.0)
    scenes.add_argument("--frame-rate", type=float, default=16.0, help="hertz")
    scenes.add_argument("--offscreen", type=float, default=0.0, help="share of scenes whose source is not seen")
    scenes.add_argument(
        "--silent", type=int, nargs=2, metavar=("MIN", "MAX"), help="silent things; default: the level's"
    )
    scenes.add_argument(
        "--background-level",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help="decibels of an unseen second sound over the source's, in every scene; default: in a third, -25 to -5",
    )
    scenes.add_argument("--blur", type=float, default=0.0, help="share of scenes that are out of focus")
    scenes.add_argument("--seed", type=int, default=0)
    scenes.add_argument("-o", "--output", type=Path, required=True, help="folder")
    scenes.set_defaults(run=commands.scenes)

    probe = found.add_parser("probe", help="a linear classifier on frozen sound features, beside its floors")
    _add_model(probe)
    probe.add_argument("--on", choices=["esc50", "urbansound8k", "dcase2013", "dcase2014", "csv"], default="esc50")
    probe.add_argument("--data", type=Path, required=True, help="the set's folder, or the csv (file,label,fold)")
    probe.add_argument("--folds", nargs="+", help="folds to test on; default: all")
    probe.add_argument("--seeds", type=int, nargs="+", default=[0], help="of crops and random weights; 0 cuts evenly")
    probe.add_argument("--figure", type=Path, help="a .png of the confusion matrix to write")
    probe.add_argument("-o", "--output", type=Path, help="a .json to write")
    probe.set_defaults(run=measures.probe, measure="probe")

    retrieve = found.add_parser("retrieve", help="videos of the same action, or sound to picture and back")
    _add_model(retrieve)
    retrieve.add_argument("--on", choices=["ucf101", "hmdb51", "scenes", "clips"], default="scenes")
    retrieve.add_argument("--data", type=Path, required=True, help="videos, or pictures and sounds (README)")
    retrieve.add_argument("--lists", type=Path, help="folder of the official lists of ucf101 and hmdb51")
    retrieve.add_argument("--split", type=int, choices=[1, 2, 3], default=1)
    retrieve.add_argument("--workers", type=int, default=0, help="processes that decode actions; 0 takes one a core")
    retrieve.add_argument("-o", "--output", type=Path, help="a .json to write")
    retrieve.set_defaults(run=measures.retrieve, measure="retrieve")

    finetune = found.add_parser("finetune", help="action recognition with the finetuned visual encoder")
    _add_model(finetune)
    finetune.add_argument("--weights", choices=["cmac", "scratch", "torchvision"], default="cmac")
    finetune.add_argument("--on", choices=["ucf101", "hmdb51"], default="ucf101")
    finetune.add_argument("--data", type=Path, required=True, help="folder of the videos")
    finetune.add_argument("--lists", type=Path, required=True, help="folder of the official lists")
    finetune.add_argument("--split", type=int, nargs="+", choices=[1, 2, 3], default=[1], help="official splits")
    finetune.add_argument("--epochs", type=int, default=12)
    finetune.add_argument("--no-jitter", action="store_true", help="without colour jitter, as in the ablations")
    finetune.add_argument("--workers", type=int, default=0, help="processes that decode; 0 takes one a core")
    finetune.add_argument("-o", "--output", type=Path, required=True, help="folder of runs; goes on where it stopped")
    finetune.set_defaults(run=measures.finetune, measure="finetune")

    report = found.add_parser("report", help="join the .json files of evaluations into one Markdown file")
    report.add_argument("results", type=Path, nargs="+", help=".json files of localize, probe, retrieve, finetune")
    report.add_argument("-o", "--output", type=Path, required=True, help="a .md to write")
    report.set_defaults(run=measures.report)

    release = found.add_parser("release", help="turn a training checkpoint into a folder that users load")
    release.add_argument("checkpoint", type=Path, help="a run folder (its latest), or a checkpoint .pt")
    release.add_argument("-o", "--output", type=Path, required=True)
    release.add_argument("--data", type=Path, help="measures how maps are drawn, on validation scenes")
    release.add_argument("--note", default="", help="one line for the config's training summary")
    _add_device(release)
    release.set_defaults(run=commands.release)
    return parser


SPLITS = ["train", "validation", "test"]
ON = ["scenes", "grounding", "movement", "clips", "vggss", "flickr", "csv"]
DATA = "a manifest.csv of videos, or a folder of pictures and sounds (README); without it, scenes the package draws"


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="cmac-nano", help="a name or folder, a run folder, or a checkpoint .pt")
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu, cuda, ...; default: a GPU where there is one")


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=0, help="of the training process; 0 leaves PyTorch's choice")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="override keys of the recipe"
    )


if __name__ == "__main__":
    sys.exit(main())
