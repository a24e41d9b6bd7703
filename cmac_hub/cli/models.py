"""`cmac info` and `cmac download`."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmac_hub.hub import build, fetch, parse_source
from cmac_hub.network import Network

SHORTEST = 40
"""Columns: a narrower terminal is written over."""


def info(options: argparse.Namespace) -> int:
    """Prints every setting of a model, one a line."""
    folder = _fetch(options)
    network = build(folder, Network)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    print(f"{network.config.name}: {millions:.2f} M parameters")
    rows = [("folder", str(folder)), *_settings(network.config.to_dict())]
    names = max(len(name) for name, _ in rows)
    width = max(SHORTEST, shutil.get_terminal_size().columns)
    for name, value in rows:
        head = f"{name:<{names}}  "
        value = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in value)
        print(textwrap.fill(value, width, initial_indent=head, subsequent_indent=" " * len(head)) or head.rstrip())
    return 0


def _settings(values: dict[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    """("audio.n_mels", "64") and so on; what the weights began with is a section of its own, not a nest of them."""
    before = values.pop("before", None) if where else None
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _settings(dict(value), f"{where}{name}.")
        else:
            yield f"{where}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    number = 1
    while before:
        earlier = before.pop("before", None)
        yield from _settings(before, f"{where}before_{number}.")
        before, number = earlier, number + 1


def download(options: argparse.Namespace) -> int:
    """Fetches a model and prints where it lies."""
    print(_fetch(options))
    return 0


def _fetch(options: argparse.Namespace) -> Path:
    return fetch(
        parse_source(options.model),
        revision=options.revision,
        cache_dir=options.cache_dir,
        local_files_only=options.local_files_only,
    )
