"""How fast `cmac localize` is: times of playing speed, one process, after loading; networks take turns, medians.

python benchmarks/localize.py dog.mp4
python benchmarks/localize.py dog.mp4 --models cmac-nano cmac-lite --turns 4
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from cmac_hub import load_cmac
from cmac_hub.allocator import keep_freed_memory
from cmac_hub.errors import CMACError
from cmac_hub.hub import REGISTERED
from cmac_hub.media import probe


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--models", nargs="+", default=REGISTERED)
    parser.add_argument("--turns", type=int, default=4, help="beside a first one that is not counted")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    keep_freed_memory()
    try:
        info = probe(options.video)
        visualizers = {name: load_cmac(name, device=options.device).visualizer for name in options.models}
        speeds: dict[str, list[float]] = {name: [] for name in visualizers}
        with tempfile.TemporaryDirectory() as folder:
            for turn in range(options.turns + 1):
                for name, visualizer in visualizers.items():
                    since = time.perf_counter()
                    visualizer.render(options.video, Path(folder) / "out.mp4", overwrite=True)
                    if turn:
                        speeds[name].append((info.duration or 0) / (time.perf_counter() - since))
    except CMACError as error:
        print(f"benchmarks/localize.py: {error}")
        return 1
    print("| network | times of playing speed |\n| --- | --- |")
    for name, found in speeds.items():
        print(f"| {name} | {statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f}) |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
