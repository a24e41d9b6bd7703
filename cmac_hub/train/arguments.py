"""What the parsers of several commands share: kinds of values, common options, help texts."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmac_hub.command_line import add_imports
from cmac_hub.config import DEFAULT_NETWORK

SPLITS = ["train", "validation", "test"]
LIBRARY = "a folder of pictures and sounds (pretrain --help)"
TRAINING_DATA = f"a manifest.csv of videos, or {LIBRARY}; without it, scenes the package draws"


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1)


def counting(text: str) -> int:
    """A whole number from 0 on."""
    return _whole(text, 0)


def _whole(text: str, lowest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if value < lowest:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from {lowest} on")
    return value


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`, of `pick_device`."""
    parser.add_argument("--device", help="cpu, cuda, ...; default: a GPU where there is one")


def add_model(parser: argparse.ArgumentParser) -> None:
    """`--model`, of `load_network`, its device and encoders of one's own."""
    parser.add_argument(
        "--model",
        default=DEFAULT_NETWORK,
        help=f"a name or folder, a run folder, or a checkpoint .pt; default: {DEFAULT_NETWORK}",
    )
    add_device(parser)
    add_imports(parser)


def add_training(parser: argparse.ArgumentParser) -> None:
    """What every command that trains from a recipe takes."""
    parser.add_argument("--data", type=Path, help=TRAINING_DATA)
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """`--set`, a device and its threads, encoders of one's own."""
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="override keys of the recipe"
    )
    add_device(parser)
    parser.add_argument(
        "--threads", type=counting, default=0, help="of the training process; 0 leaves PyTorch's choice"
    )
    add_imports(parser)
