"""How long `cmac localize` takes to its first frame, each time in a fresh process.

python benchmarks/start.py dog.mp4 --models cmac-nano cmac-lite

From the end of `import torch` to the first frame that the encoder has taken, and to the end; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MEASURED = """
import json, sys, time
begin = time.perf_counter()
import torch
since = time.perf_counter()
from cmac_hub.cli import main
from cmac_hub.media import VideoWriter
encode, taken = VideoWriter.write_yuv, []
def write(*arguments):
    encode(*arguments)
    taken.append(time.perf_counter() - since)
VideoWriter.write_yuv = write
code = main(sys.argv[1:])
print("MEASURED", json.dumps([code, since - begin, taken[0] if taken else 0, time.perf_counter() - since]))
"""


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--models", nargs="+", default=["cmac-nano", "cmac-lite"])
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    print("| network | import torch, s | first frame | all |\n| --- | --- | --- | --- |")
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            call = ["localize", options.video, "-o", Path(folder) / "out.mp4", "--overwrite", "--model", model]
            command = [sys.executable, "-c", MEASURED, *map(str, call)]
            rows = []
            for _ in range(options.turns):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                found = [line for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
                code, *seconds = json.loads(found[0].removeprefix("MEASURED ")) if found else [1]
                if code:
                    print(f"benchmarks/start.py: {done.stderr.strip().splitlines()[-1]}")
                    return 1
                rows.append(seconds)
        cells = (f"{statistics.median(column):.2f}" for column in zip(*rows, strict=True))
        print(f"| {model} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
