"""What only shows after hours: memory, descriptors and time of long videos and of many, a training killed often.

python benchmarks/endurance.py hour               # an hour of video beside a minute of it, localize and features
python benchmarks/endurance.py many --files 10000 # one `cmac features` over short files
python benchmarks/endurance.py kills              # 2000 small steps, killed at 20 random moments

Prints a line for each; exit code 1 where memory is not flat to 10 %, a descriptor stays open, or a curve differs.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from cmac_hub.config import architecture

FLAT = 1.1
"""How much more memory sixty times as much video may take."""

MEASURED = """
import os, resource, sys, threading, time
from cmac_hub.cli import main
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
def descriptors():
    return len(os.listdir("/proc/self/fd"))
first, *arguments = sys.argv[1:]
command = arguments[0]
named = arguments[arguments.index("--model"):][:2]
assert main([command, first, "-o", arguments.pop(), "--overwrite", *named]) == 0
before, seen, done = descriptors(), [], threading.Event()
def watch():
    while not done.wait(0.5):
        seen.append(memory())
thread = threading.Thread(target=watch); thread.start()
since = time.perf_counter()
code = main(arguments)
seconds = time.perf_counter() - since
done.set(); thread.join()
seen.append(memory())
tenth = max(1, len(seen) // 10)
print("MEASURED", code, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, descriptors() - before,
      max(seen[tenth:2 * tenth] or seen), max(seen[-tenth:]))
"""


@dataclasses.dataclass
class Measured:
    """A command in a process of its own, which had run on a short file already."""

    seconds: float
    peak: float
    """MiB, at most."""
    descriptors: int
    """More open at the end than at the beginning."""
    early: float
    """MiB, at most, in the second tenth of the time."""
    late: float
    """MiB, at most, in the last tenth."""

    def __str__(self) -> str:
        memory = f"{self.peak:.0f} MiB at most, {self.early:.0f} early, {self.late:.0f} late"
        return f"{self.seconds:.0f} s, {memory}, {self.descriptors} descriptors left open"


def measure(first: Path, warm: Path, *arguments: object) -> Measured:
    """Runs a `cmac` command; `first` is what it runs on before, to `warm`."""
    command = [sys.executable, "-c", MEASURED, str(first), *map(str, arguments), str(warm)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("MEASURED ")]
    if not lines or lines[0][0] != "0":
        raise SystemExit(f"{' '.join(map(str, arguments))} failed: {done.stderr[-2000:]}")
    seconds, peak, descriptors, early, late = lines[0][1:]
    return Measured(float(seconds), float(peak), int(descriptors), float(early), float(late))


def make_video(path: Path, seconds: float, size: tuple[int, int] = (160, 120), rate: int = 10, seed: int = 0) -> Path:
    """Noise that moves, and a tone that comes and goes."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (size[1], 2 * size[0], 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "32"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        position = 0
        for number in range(round(seconds * rate)):
            left = number % size[0]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(texture[:, left : left + size[0]]), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
            while position < (number + 1) * 16000 / rate:
                times = (position + np.arange(1024)) / 16000
                wave = 0.3 * np.sin(2 * np.pi * (300 + 20 * seed) * times) * (np.sin(times) > 0)
                part = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
                part.sample_rate, part.pts, part.time_base = 16000, position, Fraction(1, 16000)
                container.mux(sound.encode(part))
                position += 1024
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


def hour(folder: Path, options: argparse.Namespace) -> bool:
    """An hour beside a minute."""
    short, minute = make_video(folder / "short.mp4", 3), make_video(folder / "minute.mp4", 60)
    long = make_video(folder / "hour.mp4", 60 * options.minutes)
    good = True
    for command in ("features", "localize"):
        found = []
        for name, source in (("a minute", minute), (f"{options.minutes} minutes", long)):
            target = folder / f"{command}-{source.stem}"
            output = target if command == "features" else target.with_suffix(".mp4")
            warm = folder / f"{command}-{source.stem}-warm"
            warm = warm if command == "features" else warm.with_suffix(".mp4")
            one = measure(short, warm, command, source, "-o", output, "--model", options.model)
            found.append(one)
            print(f"{command} of {name}: {one}", flush=True)
        ratio = found[1].peak / found[0].peak
        print(f"{command}: {ratio:.3f} times the memory of a minute")
        good &= ratio <= FLAT and found[1].late <= FLAT * found[1].early and not any(one.descriptors for one in found)
    return good


def many(folder: Path, options: argparse.Namespace) -> bool:
    """Short files, some of each content, in one call; and a second call that finds all of them done."""
    made = [make_video(folder / f"{seed}.mp4", 1 + seed / 20, seed=seed) for seed in range(20)]
    videos = folder / "videos"
    videos.mkdir()
    for number in range(options.files):
        os.link(made[number % len(made)], videos / f"{number:06d}.mp4")
    good = True
    for turn in ("first", "second"):
        one = measure(made[0], folder / "warm", "features", videos, "-o", folder / "out", "--model", options.model)
        with (folder / "out" / "index.csv").open() as file:
            rows = sum(1 for _ in csv.DictReader(file))
        pace = 1000 * one.seconds / options.files
        print(f"{turn} features of {options.files} files: {one}, {pace:.1f} ms a file, {rows} in the index", flush=True)
        good &= rows == options.files and one.descriptors == 0 and one.late <= FLAT * one.early
    return good


def kills(folder: Path, options: argparse.Namespace) -> bool:
    """A run that SIGKILL ends again and again has the curve of one that nothing disturbed."""
    nano = architecture("cmac-nano")
    assert nano.visual is not None and nano.audio is not None and nano.attention is not None
    tiny = dataclasses.replace(
        nano,
        name="tiny",
        visual=dataclasses.replace(nano.visual, width=4, middle_multiple=1, size=32),
        audio=dataclasses.replace(nano.audio, width=4),
        attention=dataclasses.replace(nano.attention, filter_channels=16, embedding=8, saliency_channels=4),
    )
    tiny.save(folder / "tiny.json")
    changes = [f"architecture={folder / 'tiny.json'}", "batch=4", f"steps={options.steps}", "bank=64", "workers=1"]
    changes += ["log_every=10", "checkpoint_every=25", "warmup_steps=10"]
    command = [sys.executable, "-m", "cmac_hub.train", "pretrain", "--recipe", "nano_drawn", "--threads", "1"]
    command += ["--device", "cpu", "--set", *changes, "-o"]
    since = time.perf_counter()
    subprocess.run([*command, str(folder / "whole")], check=True, capture_output=True)
    print(f"{options.steps} steps undisturbed: {time.perf_counter() - since:.0f} s", flush=True)
    rng = random.Random(options.seed)
    moments = sorted(rng.randrange(options.steps) for _ in range(options.kills))
    run, extra, lost = folder / "broken", [], 0
    for moment in moments:
        process = subprocess.Popen(
            [*command, str(run), *extra], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None and _last_step(run) < moment:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.5)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            lost += 1
        process.wait()
        extra = ["--resume"] if (run / "checkpoints").is_dir() else []
    subprocess.run([*command, str(run), *extra], check=True, capture_output=True)
    curves = [_curve(folder / name) for name in ("whole", "broken")]
    left = [path.name for path in run.rglob(".cmac-*")]
    told = "the same curve" if curves[0] == curves[1] else "another curve"
    print(f"killed {lost} times at steps {moments}: {told} of {len(curves[0])} lines, {len(left)} hidden files left")
    return curves[0] == curves[1] and not left


def _last_step(run: Path) -> int:
    try:
        return int((run / "log.csv").read_text().splitlines()[-1].split(",")[0])
    except (OSError, ValueError, IndexError):
        return -1


def _curve(run: Path) -> list[str]:
    pace = ("clips_per_second", "waiting_share")
    with (run / "log.csv").open() as file:
        return [json.dumps({k: v for k, v in row.items() if k not in pace}) for row in csv.DictReader(file)]


def main() -> int:
    """Runs one of them in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["hour", "many", "kills"])
    parser.add_argument("--model", default="cmac-nano")
    parser.add_argument("--minutes", type=int, default=60, help="of the long video")
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        good = {"hour": hour, "many": many, "kills": kills}[options.what](Path(folder), options)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
