"""How fast `cmac localize` and `cmac features` are, in one process after loading: times of playing speed, and how much
longer they take than their parts alone.

python benchmarks/localize.py dog.mp4
python benchmarks/localize.py dog.mp4 --models cmac-nano cmac-lite --turns 4

*Parts* are decoding and encoding the video without drawing, and the network on windows that are in memory. All take
turns; the median of the turns counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from turns import in_turns

from cmac_hub import CMAC
from cmac_hub.allocator import keep_freed_memory
from cmac_hub.config import DType
from cmac_hub.errors import CMACError
from cmac_hub.hub import REGISTERED
from cmac_hub.inference import batches, windows_for
from cmac_hub.media import MediaInfo, VideoWriter, probe, read_yuv_frames
from cmac_hub.visualizer import HOP, Visualizer


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--models", nargs="+", default=[*REGISTERED])
    parser.add_argument("--turns", type=int, default=4, help="beside a first one that is not counted")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=get_args(DType), default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    try:
        info = probe(options.video)
        networks = {
            name: CMAC.from_pretrained(name, device=options.device).optimize_for_inference(options.dtype)
            for name in options.models
        }
        with tempfile.TemporaryDirectory() as folder:
            calls: dict[str, Callable[[], Any]] = {
                "decode and encode": lambda: copy(info, Path(folder) / "copy.mp4"),
                "decode": lambda: [None for _ in read_yuv_frames(info)],
            }
            for name, network in networks.items():
                calls |= of_network(name, network, info, Path(folder) / "out.mp4")
            seconds = {name: statistics.median(found) for name, found in in_turns(calls, options.turns).items()}
    except CMACError as error:
        print(f"benchmarks/localize.py: {error}")
        return 1
    length = info.duration or 0
    copied, decoded = (length / seconds[name] for name in ("decode and encode", "decode"))
    print(f"{options.video.name}, {info.width}x{info.height}, {length:.1f} s; times of playing speed:")
    print(f"decoding and encoding alone {copied:.1f}, decoding alone {decoded:.1f}\n")
    print(
        "| network | localize | of its parts' time | features | of its parts' time |\n| --- | --- | --- | --- | --- |"
    )
    for name in networks:
        cells = []
        for what, base in (("localize", "decode and encode"), ("features", "decode")):
            took = seconds[f"{name} {what}"]
            cells += [f"{length / took:.1f}", f"{took / (seconds[base] + seconds[f'{name} network for {what}']):.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    return 0


def of_network(name: str, network: CMAC, info: MediaInfo, output: Path) -> dict[str, Callable[[], Any]]:
    """What is timed of a network."""
    overlapping = list(windows_for(network.config, info, hop=HOP))
    apart = list(windows_for(network.config, info))
    return {
        f"{name} localize": lambda: Visualizer(network).render(info.path, output, overwrite=True),
        f"{name} features": lambda: network.extract_features(info.path),
        f"{name} network for localize": lambda: [
            network.attend_maps(one.visual_map, one.audio_map, only=network.config.display.default_map)
            for one in batches(network, overlapping)
        ],
        f"{name} network for features": lambda: [None for _ in batches(network, apart)],
    }


def copy(info: MediaInfo, output: Path) -> None:
    """The video and its sound, written again as they are."""
    size = {"width": info.width, "height": info.height, "frame_rate": info.frame_rate}
    with VideoWriter(output, **size, source=info, overwrite=True) as writer:
        for frame in read_yuv_frames(info):
            writer.write_yuv(frame.picture, frame.time, frame.duration)


if __name__ == "__main__":
    raise SystemExit(main())
