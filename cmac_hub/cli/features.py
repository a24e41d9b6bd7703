"""`cmac features`: one safetensors file a video and an index; a second run does only what is missing.

The list may be shared by processes of one machine (`--workers`) and by calls on several (`--shard`, torchrun).
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from cmac_hub.cli.batch import TWICE, run_all
from cmac_hub.cli.feature_files import FeatureWriter, target_of, write_index
from cmac_hub.cli.workers import Crew, cores
from cmac_hub.command_line import import_modules
from cmac_hub.errors import OutputError
from cmac_hub.files import make_folder
from cmac_hub.media.find import Input, find_inputs

LIKE_FILES = {".safetensors", ".csv", ".json", ".npz", ".npy", ".pt"}
"""Suffixes of a name that is meant for one file."""


def features(options: argparse.Namespace) -> int:
    """Writes NAME.EXT.safetensors for every input and index.csv beside them."""
    inputs = find_inputs(options.inputs)
    folder = Path(options.output)
    if folder.suffix.lower() in LIKE_FILES and not folder.is_dir():
        raise OutputError(f"{folder} looks like a file; give the folder that features of videos go into")
    make_folder(folder)
    # Of the whole list, so that no two shards write one file.
    owners: dict[Path, Path] = {}
    for one in inputs:
        owners.setdefault(target_of(folder, one), one.path)
    inputs = _shard(inputs, options.shard)

    def owned(one: Input) -> bool:
        return owners[target_of(folder, one)] == one.path

    given = [one for one in inputs if owned(one)]
    count = min(options.workers or cores(), len(given))
    bar = tqdm(total=len(inputs), unit="file", disable=not sys.stderr.isatty())
    with ExitStack() as stack:
        if count > 1:
            outcomes = stack.enter_context(Crew(partial(_writer, options), given, count)).outcomes()
        else:
            write = FeatureWriter(options)

        def work(one: Input) -> None:
            bar.update()
            if not owned(one):
                target = target_of(folder, one)
                raise OutputError(f"{target} was written for another input of this call already; {TWICE}")
            if count > 1:
                next(outcomes).tell()
            else:
                write(one)

        code = run_all(inputs, work, options.debug)
    bar.close()
    return max(code, 0 if write_index(folder) else 1)


def _writer(options: argparse.Namespace) -> FeatureWriter:
    """The work of one process of several, which share the cores."""
    import_modules(options.imports)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return FeatureWriter(options)


def _shard(inputs: list[Input], shard: tuple[int, int] | None) -> list[Input]:
    """This call's part of the list: every n-th file from the i-th on; torchrun says i and n as RANK and WORLD_SIZE."""
    if shard is None:
        rank, size = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
        if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size) and int(size) > 1):
            return inputs
        shard = int(rank) + 1, int(size)
    number, count = shard
    part = inputs[number - 1 :: count]
    print(f"cmac: shard {number}/{count}: {len(part)} of {len(inputs)} files", file=sys.stderr)
    return part
