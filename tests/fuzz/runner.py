"""Mutated media through the whole package: `PYTHONPATH=tests python -m fuzz.runner --mutants 5000 [FOLDER ...]`.

Each mutant is probed, cut into windows, turned into features and drawn on, by a process of its own that is forked after
the imports and may take so much memory and time. What must come of it is an output, or one line of error: no crash, no
hang, no other exception, no warning. A finding names what repeats it: `--seed S --only N`, and keeps the mutant.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from fuzz.mutations import MUTATIONS
from fuzz.seeds import write_seeds, write_strange
from fuzz.stamps import CONTAINERS, restamp
from making import CMAC_NANO

from cmac_hub import CMAC, Visualizer
from cmac_hub.errors import CMACError, one_line
from cmac_hub.media import probe, read_frames, windows

MEMORY = 2 << 30
"""Bytes that a child may allocate on top of what it has after the imports."""

SECONDS = 10
"""Of the processor."""


class Result(NamedTuple):
    kind: str
    """"output", "refused", or a finding: "exception", "crash", "hang", "memory"."""
    text: str


def small_network() -> CMAC:
    """cmac-nano at a quarter of its width: what is tested is not the network."""
    visual = dataclasses.replace(CMAC_NANO.visual, width=4, middle_multiple=1, size=32)
    audio = dataclasses.replace(CMAC_NANO.audio, width=4)
    attention = dataclasses.replace(CMAC_NANO.attention, filter_channels=16, embedding=8, saliency_channels=4)
    torch.manual_seed(0)
    return CMAC(dataclasses.replace(CMAC_NANO, visual=visual, audio=audio, attention=attention)).eval()


def work(model: CMAC, path: Path, folder: Path) -> str:
    """What the package makes of a file; raises what it raises."""
    info = probe(path)
    errors = []
    for step in (_windows, _features, _drawn):
        try:
            step(model, info, folder)
        except CMACError as error:
            if "\n" in str(error):
                raise RuntimeError(f"no single line: {error!r}") from error
            errors.append(str(error))
    if len(errors) == 3:
        raise CMACError(errors[0])
    return "; ".join(errors)


def _windows(model, info, folder) -> None:
    last = -math.inf
    for window in windows(info, frames=4, size=32, sample_rate=16000):
        assert last < window.time < math.inf
        last = window.time
        assert window.waveform is None or np.isfinite(window.waveform).all()


def _features(model, info, folder) -> None:
    features = model.extract_features(info.path)
    assert len(features.times) and (np.diff(features.times) > 0).all()
    for name in ("visual", "audio", "visual_embedding", "audio_embedding"):
        values = getattr(features, name)
        assert values is None or (len(values) == len(features.times) and values.isfinite().all()), name


def _drawn(model, info, folder) -> None:
    if not info.has_video:
        return
    out = folder / "out.mp4"
    peaks = Visualizer(model).render(info.path, out, map=None if info.has_audio else "prediction")
    assert peaks
    assert next(iter(read_frames(out))).image.shape == (info.height, info.width, 3)


def run_apart(model: CMAC, path: Path, folder: Path, seconds: float = SECONDS) -> Result:
    """`work` in a forked process with limits."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _limit(seconds)
            os.write(writing, _outcome(model, path, folder).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    begun, status, usage = time.monotonic(), 0, None
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - begun > patience() * seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        kind = "hang" if number in (signal.SIGKILL, signal.SIGXCPU) else "crash"
        return Result(kind, f"signal {signal.Signals(number).name} after {usage.ru_utime:.1f} s")
    kind, _, text = text.partition(" ")
    return Result(kind or "crash", text or f"exit {os.WEXITSTATUS(status)}")


def patience() -> float:
    """Times as many seconds by the clock as of the processor: 1 where the machine is quiet, more where it is busy."""
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def _limit(seconds: float) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # The processor's seconds are the child's own, and do not depend on how busy the machine is.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)


def _outcome(model: CMAC, path: Path, folder: Path) -> str:
    warnings.simplefilter("error", RuntimeWarning)
    try:
        return f"output {work(model, path, folder)}"
    except CMACError as error:
        return f"refused {one_line(error)}"
    except MemoryError as error:
        return f"memory {_where(error)}"
    except BaseException as error:
        return f"exception {_where(error)}"


def _where(error: BaseException) -> str:
    places = " < ".join(
        f"{Path(one.filename).name}:{one.lineno}" for one in reversed(traceback.extract_tb(error.__traceback__))
    )
    return f"{type(error).__name__}: {error} at {places}"


def mutate(seed: int, number: int, sources: list[Path], folder: Path) -> Path:
    """Writes mutant `number`; the same for the same seed and sources."""
    rng = np.random.default_rng([seed, number])
    source, other = (sources[i] for i in rng.integers(0, len(sources), 2))
    if rng.random() < 0.15:
        target = folder / f"{number}{CONTAINERS[rng.integers(len(CONTAINERS))]}"
        if _restamped(np.random.default_rng([seed, number, 1]), source, target):
            return target
    data, donor = source.read_bytes(), other.read_bytes()
    for _ in range(int(rng.integers(1, 3))):
        data = MUTATIONS[rng.integers(len(MUTATIONS))](rng, data, donor) or data
    target = folder / f"{number}{source.suffix}"
    target.write_bytes(data)
    return target


def _restamped(rng: np.random.Generator, source: Path, target: Path) -> bool:
    """Whether `restamp` wrote anything. FFmpeg's muxers end the process at some stamps, and never end at others."""
    child = os.fork()
    if child == 0:
        try:
            _limit(SECONDS)
            resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY >> 8, MEMORY >> 8))
            restamp(rng, source, target)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return target.exists() and target.stat().st_size > 0


def fuzz(
    seed: int, mutants: int, budget: float, folders: list[Path], kept: Path | None = None, only: int | None = None
) -> list[str]:
    """Findings, a line or more each; prints them and a summary."""
    torch.set_num_threads(1)
    av.logging.set_level(None)
    model, counts, findings, begun = small_network(), Counter(), [], time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        (room := Path(made) / "mutants").mkdir()
        strange = write_strange(Path(made))
        sources = write_seeds(Path(made)) + [p for f in folders for p in sorted(f.iterdir()) if p.is_file()]
        numbers = range(-len(strange), mutants) if only is None else [only]
        for number in numbers:
            if time.monotonic() - begun > budget:
                break
            path = strange[number] if number < 0 else mutate(seed, number, sources, room)
            result = run_apart(model, path, room)
            counts[result.kind] += 1
            if result.kind not in ("output", "refused") or only is not None:
                findings.append(f"--seed {seed} --only {number} ({path.name}): {result.kind} {result.text.strip()}")
                print(findings[-1], flush=True)
                if kept is not None:
                    shutil.copy(path, kept / f"{seed}_{path.name}")
            for left in room.iterdir():
                left.unlink()
    print(f"{sum(counts.values())} in {time.monotonic() - begun:.0f} s: {dict(counts)}", flush=True)
    return [] if only is not None and counts.keys() <= {"output", "refused"} else findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of more files to mutate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutants", type=int, default=1000, help="how many, at most")
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds, at most")
    parser.add_argument("--only", type=int, help="one mutant again; negative: of the strange files")
    parser.add_argument("--keep", type=Path, help="folder for the mutants of findings")
    given = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "1")
    return 1 if fuzz(given.seed, given.mutants, given.budget, given.folders, given.keep, given.only) else 0


if __name__ == "__main__":
    sys.exit(main())
