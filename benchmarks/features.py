"""`cmac features` over many short files: what a file costs beside decoding and the network, what two processes gain.

python benchmarks/features.py --files 10000            # clips of 2 s, 340x256; or videos of your own: --videos FOLDER

Decoding and the network alone, one process, and `--workers N` take turns over the same files, in processes of one
thread; medians. On a machine that others use, wall time says how busy it was: look at processor time then, without
loading: one process's over what the sharing process takes and an N-th of what the N take, as if each had a core.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from endurance import make_video

ALONE = """
import sys, time
import torch
from cmac_hub.allocator import keep_freed_memory
from cmac_hub.hub import load
from cmac_hub.inference import batches, windows_for
from cmac_hub.media.find import find_inputs
from cmac_hub.network import Network
from cmac_hub.optimize import optimize_for_inference
keep_freed_memory()
network = optimize_for_inference(load(sys.argv[2], Network), "float32")
inputs = find_inputs([sys.argv[1]])
wall, cpu = time.perf_counter(), time.process_time()
for one in inputs:
    for batch in batches(network, windows_for(network.config, one.path)):
        pass
print("MEASURED", time.perf_counter() - wall, time.process_time() - cpu)
"""

COMMAND = """
import os, resource, sys, threading, time
from cmac_hub.cli import main
def memory():
    found = 0
    for number in [os.getpid(), *open(f"/proc/self/task/{os.getpid()}/children").read().split()]:
        try:
            found += int(open(f"/proc/{number}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            pass
    return found / 2**20
seen, done = [], threading.Event()
def watch():
    while not done.wait(0.5):
        seen.append(memory())
threading.Thread(target=watch, daemon=True).start()
wall = time.perf_counter()
code = main(sys.argv[1:])
wall = time.perf_counter() - wall
done.set()
own, children = (sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
fifth = max(1, len(seen) // 5)
print("MEASURED", code, wall, own, children, max(seen[fifth : 2 * fifth] or [0]), max(seen[-fifth:] or [0]))
"""


def measure(code: str, *arguments: object) -> list[float]:
    """The numbers that a process prints at its end; it has one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
    if not lines:
        raise SystemExit(f"{' '.join(map(str, arguments))} failed: {done.stderr[-2000:]}")
    return [float(one) for one in lines[0]]


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10000, help="of drawn clips")
    parser.add_argument("--videos", type=Path, help="a folder of videos of your own")
    parser.add_argument("--model", default="cmac-nano")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = options.videos
        if videos is None:
            made = [make_video(folder / f"{seed}.mp4", 2, (340, 256), 25, seed) for seed in range(20)]
            videos = folder / "videos"
            videos.mkdir()
            for number in range(options.files):
                os.link(made[number % len(made)], videos / f"{number:06d}.mp4")
        one_file = folder / "one"
        one_file.mkdir()
        os.link(next(path for path in sorted(videos.rglob("*.mp4"))), one_file / "one.mp4")
        report(folder, videos, one_file, options)
    return 0


def report(folder: Path, videos: Path, one_file: Path, options: argparse.Namespace) -> None:
    """Measures in turns, and prints."""
    alone, starts, ones, many, growth, walls = [], [], [], [], [], []
    model = ("--model", options.model)
    for turn in range(options.turns):
        alone.append(measure(ALONE, videos, options.model)[1])
        _, _, start, *_ = measure(COMMAND, "features", one_file, "-o", folder / f"start{turn}", *model)
        _, wall_one, one, _, early, late = measure(COMMAND, "features", videos, "-o", folder / f"one{turn}", *model)
        shared = ("-o", folder / f"many{turn}", *model, "--workers", options.workers)
        _, wall_many, own, children, *memory = measure(COMMAND, "features", videos, *shared)
        starts.append(start)
        ones.append(one - start)
        many.append(max(0.0, own - start) + children / options.workers - start)
        growth.append((late / early - 1, memory[1] / memory[0] - 1) if early and memory[0] else (0.0, 0.0))
        walls.append(wall_one / wall_many)
        count = sum(1 for _ in (folder / f"one{turn}").rglob("*.safetensors"))
        print(f"turn {turn + 1}: {count} files, wall {wall_one:.0f} s and {wall_many:.0f} s", flush=True)
    pace = {what: 1000 * statistics.median(found) / count for what, found in (("alone", alone), ("one", ones))}
    print(f"decoding and network alone: {pace['alone']:.1f} ms of processor time a file")
    print(f"cmac features, one process: {pace['one']:.1f} ms, {pace['one'] - pace['alone']:.1f} ms beside them")
    gains = [one / shared for one, shared in zip(ones, many, strict=True)]
    print(f"--workers {options.workers}: {statistics.median(gains):.2f} times one process by processor time,")
    print(f"  {statistics.median(walls):.2f} times by wall time")
    one, shared = (100 * statistics.median(found) for found in zip(*growth, strict=True))
    print(f"memory from the second to the last fifth of the time: {one:+.1f} %, {shared:+.1f} % with workers")
    print(f"loading: {statistics.median(starts):.1f} s of processor time a process, not counted above")


if __name__ == "__main__":
    raise SystemExit(main())
