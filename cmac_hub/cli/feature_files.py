"""The files that `cmac features` writes: one a video, and the index of all that lie in a folder."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from cmac_hub.cli.tracks import other_tracks
from cmac_hub.errors import OutputError
from cmac_hub.features import UNREADABLE, features_of_file
from cmac_hub.files import is_hidden, make_folder, remove_left_over, replacing, taking_turns
from cmac_hub.hub import checkpoint_hash, config_hash, load
from cmac_hub.media import probe
from cmac_hub.media.find import Input
from cmac_hub.network import Network
from cmac_hub.optimize import choose_dtype, optimize_for_inference

COLUMNS = ["path", "features", "windows", "first", "last", "video", "audio"]


class FeatureWriter:
    """The work on one file: NAME.EXT.safetensors, written or found done; its path is printed.

    Args:
        options: of `cmac features`; the network is loaded here.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options, self._folder = options, Path(options.output)
        device = options.device
        if device == "cuda" and "LOCAL_RANK" in os.environ:
            # Processes of torchrun: a GPU each.
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        network = load(options.model, Network, device=device)
        window = options.window or network.config.window
        dtype = choose_dtype(options.dtype, network.device)
        self._how = {
            "weights": checkpoint_hash(network),
            "config": config_hash(network.config),
            "window": f"{window:g}",
            "hop": f"{options.hop or window:g}",
            "dtype": str(dtype).removeprefix("torch."),
            "audio_track": str(options.audio_track or ""),
        }
        self._network = optimize_for_inference(network, dtype)

    def __call__(self, one: Input) -> None:
        options, network, target = self._options, self._network, target_of(self._folder, one)
        settings = {**self._how, "bytes": str(one.path.stat().st_size) if one.path.is_file() else ""}
        if target.exists() and not options.overwrite:
            made = _settings_of(target)
            if made is not None and {k: made.get(k, "") for k in settings} != settings:
                raise OutputError(
                    f"{target} was made with other weights or settings, by an older version, or of another file; "
                    "choose another output or pass --overwrite"
                )
            if made is not None:
                print(target)
                return
        make_folder(target.parent)
        info = probe(one.path, options.audio_track)
        result = features_of_file(network, info, window=options.window, hop=options.hop)
        if network.config.audio is not None:
            if not info.has_audio and "sound" not in info.undecodable:
                print(f"cmac: {one.path} has no audio stream", file=sys.stderr)
            if result.silent:
                print(f"cmac: {one.path} has nothing to hear{other_tracks(info, None)}", file=sys.stderr)
        if bool(result.padded[0]):
            print(f"cmac: {one.path} is shorter than a window: padded with silence and its last frame", file=sys.stderr)
        about = {"source": _as_text(one.relative), "model": str(options.model), **settings}
        # A file that a power cut broke is made again, so thousands of small ones need not wait for the disk.
        with replacing(target, True, synced=False) as temporary:
            temporary.write_bytes(save(result.to_dict(), metadata=about))
        print(target)


def target_of(folder: Path, one: Input) -> Path:
    """Where the features of an input lie."""
    return folder / (_as_text(one.relative) + ".safetensors")


def _as_text(path: Path) -> str:
    """A path as text, a mark in the place of bytes that are none: safetensors takes no others."""
    return os.fsencode(path).decode("utf-8", "replace")


def _settings_of(path: Path) -> dict[str, str] | None:
    """The metadata of a features file; None for one that is broken and must be made again."""
    try:
        with safe_open(path, "pt") as file:
            # Before 0.2.0 all was computed in fp32.
            return {"dtype": "float32", **(file.metadata() or {})}
    except UNREADABLE:
        return None


def _stored(folder: Path) -> Iterator[Path]:
    """The features files below a folder, without those that another process just writes.

    Raises:
        OSError: a folder cannot be listed: the index would lack its files.
    """

    def fail(error: OSError) -> None:
        raise error

    for where, _, names in os.walk(folder, onerror=fail):
        for name in names:
            if name.endswith(".safetensors") and not is_hidden(name):
                yield Path(where, name)


def write_index(folder: Path) -> bool:
    """One line for each features file that lies in the folder, whoever wrote it; it is made anew by each call.

    Of processes that share a folder the last to end writes the index that has the files of all.

    Returns:
        whether all of them could be read; those that could not are named on stderr.
    """
    whole = True
    remove_left_over(folder)
    with (
        taking_turns(folder),
        replacing(folder / "index.csv", True, synced=False) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for path in sorted(_stored(folder)):
            try:
                with safe_open(path, "pt") as stored:
                    keys, made = set(stored.keys()), stored.metadata() or {}
                    times = stored.get_tensor("times")
            except UNREADABLE as error:
                whole = False
                reason = str(error).splitlines()[0]
                print(f"cmac: {path} cannot be read and does not stand in index.csv ({reason})", file=sys.stderr)
                continue
            table.writerow(
                {
                    "path": made.get("source", ""),
                    "features": path.relative_to(folder),
                    "windows": len(times),
                    "first": f"{times[0].item():.3f}",
                    "last": f"{times[-1].item():.3f}",
                    "video": "visual" in keys,
                    "audio": "audio" in keys,
                }
            )
    return whole
