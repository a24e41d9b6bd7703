"""The `cmac` command. Results go to stdout, errors and progress to stderr; `command_line.py` says how errors look."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import get_args

from cmac_hub.command_line import add_debug, add_imports, moment, run, seconds
from cmac_hub.config import DEFAULT_NETWORK, DEMO_NETWORK, DType, Layout, Map, Scale
from cmac_hub.streams import lasting_streams
from cmac_hub.version import __version__

MODEL_HELP = "name, owner/repo or hf-hub:owner/repo[@revision] on the Hub, or folder"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        the exit code: 2 for a wrong call, others as `command_line.run` says.
    """
    with lasting_streams():
        options = build_parser().parse_args(arguments)

    def work(options: argparse.Namespace) -> int:
        module, _, function = options.run.partition(":")
        return int(getattr(import_module(module), function)(options))

    return run("cmac", work, options)


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar; each command's work is imported when it runs."""
    parser = argparse.ArgumentParser(prog="cmac", description="What makes the sound in a video, and where.")
    parser.add_argument("--version", action="version", version=f"cmac-hub {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    localize = commands.add_parser("localize", help="draw the attention over videos, sound kept")
    localize.add_argument("inputs", nargs="+", metavar="VIDEO", help="files, or folders that are searched")
    localize.add_argument(
        "-o", "--output", help="a file for one video, else a folder (NAME/ makes one); default: beside the input"
    )
    localize.add_argument("--layout", choices=get_args(Layout), default="overlay")
    localize.add_argument("--map", choices=get_args(Map), help="default: the model's")
    localize.add_argument(
        "--scale",
        choices=get_args(Scale),
        default="absolute",
        help="light only what exceeds the network's own limits, or the likeliest places of every moment, sure or not",
    )
    localize.add_argument(
        "--json", action="store_true", help="print a line of JSON a window: peak, lit box, sound, ..."
    )
    localize.add_argument("--csv", metavar="FILE", help="the same as one table, a line a window, of all videos")
    localize.add_argument("--report", metavar="FILE", help="a page (.html) to read instead of watching the videos")
    localize.add_argument("--maps", metavar="FILE", help="all maps as arrays: .npz for one video, else a folder")
    localize.set_defaults(run="cmac_hub.cli.localize:localize")

    features = commands.add_parser("features", help="write the features of videos, one safetensors file each")
    features.add_argument("inputs", nargs="+", metavar="VIDEO", help="files, or folders that are searched")
    features.add_argument("-o", "--output", required=True, help="folder, made when missing")
    features.add_argument(
        "--workers",
        type=_count,
        default=1,
        help="processes that share the list, of one thread each (OMP_NUM_THREADS says otherwise); 0: one a core",
    )
    features.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="only this part of the list, from 1/N to N/N, of calls that may write one folder; default: torchrun's",
    )
    features.set_defaults(run="cmac_hub.cli.features:features")

    figure = commands.add_parser("figure", help="draw frame and spectrogram with each of the maps")
    figure.add_argument("input", metavar="VIDEO")
    figure.add_argument("--time", type=moment, required=True, help="seconds on the video's clock")
    figure.add_argument("-o", "--output", required=True, help=".png, .pdf, .svg or .jpg")
    figure.set_defaults(run="cmac_hub.cli.localize:figure")

    info = commands.add_parser("info", help="print what a model is, setting by setting")
    info.add_argument(
        "model", nargs="?", default=DEFAULT_NETWORK, metavar="MODEL", help=f"{MODEL_HELP}; default: {DEFAULT_NETWORK}"
    )
    info.set_defaults(run="cmac_hub.cli.models:info")

    download = commands.add_parser("download", help="fetch a model into the cache")
    download.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    download.set_defaults(run="cmac_hub.cli.models:download")

    for command in (info, download):
        command.add_argument("--revision", help="of a model on the Hub: branch, tag or commit")
        command.add_argument("--cache-dir", metavar="FOLDER", help="of downloads; default: the Hub's (HF_HOME)")
        command.add_argument("--local-files-only", action="store_true", help="use no network, as HF_HUB_OFFLINE=1")

    demo = commands.add_parser("demo", help="draw a sounding scene and find its source")
    demo.add_argument("-o", "--output", help="folder, made when missing; default: cmac-demo")
    demo.add_argument("--seed", type=int, help="which scene, 0 to 999; default: 4")
    demo.add_argument("--serve", action="store_true", help="open a page for clips of your own instead, on this machine")
    demo.add_argument("--port", type=int, help="of that page, at 127.0.0.1; default: 7860")
    demo.set_defaults(run="cmac_hub.cli.demo:demo")

    for command in (localize, features, figure, demo):
        command.add_argument("--overwrite", action="store_true", help="replace existing outputs")
        command.add_argument("--device", type=_device, default="cpu", help="cpu, cuda, mps, ...")
        command.add_argument("--window", type=seconds, help="seconds that the network is shown at once")
    for command in (localize, features, figure):
        command.add_argument("--model", default=DEFAULT_NETWORK, help=f"{MODEL_HELP}; default: {DEFAULT_NETWORK}")
    demo.add_argument("--model", help=f"{MODEL_HELP}; default: {DEMO_NETWORK}, {DEFAULT_NETWORK} with --serve")
    for command, default in ((localize, "auto"), (features, "float32"), (figure, "auto")):
        command.add_argument(
            "--dtype",
            choices=get_args(DType),
            default=default,
            help=f"what the network computes in; auto: bfloat16 where that is fast; default: {default}",
        )
        command.add_argument(
            "--audio-track", type=_track, metavar="N", help="which sound track, from 1 on; default: the first"
        )
    for command in (localize, features):
        command.add_argument("--hop", type=seconds, help="seconds from one window to the next")
    for command in (localize, features, figure, info, demo):
        add_imports(command)
    for command in commands.choices.values():
        add_debug(command)
    return parser


def _track(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of a sound track; they are counted from 1")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no number of processes; accepted are 0 (one a core), 1, 2, ...")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"{text} is no part of a list; of four they are 1/4, 2/4, 3/4 and 4/4")
    return int(number), int(count)


def _device(text: str) -> str:
    if text.partition(":")[0] == "meta":
        raise argparse.ArgumentTypeError("the device meta computes nothing; accepted are cpu, cuda, mps, ...")
    return text
