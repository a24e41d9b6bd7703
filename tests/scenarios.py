"""The five commands that write, each on a folder with a good output of an earlier day, for tests of faults."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from faulty import hidden
from making import CMAC_NANO, tone, write_media
from safetensors import safe_open

from cmac_hub import CMAC, Features
from cmac_hub.cli import main as cmac
from cmac_hub.media import probe, read_frames
from cmac_hub.train import pretrain as loop
from cmac_hub.train.__main__ import main as train
from cmac_hub.train.checkpoint import read_checkpoint
from cmac_hub.train.stream import Pair
from cmac_hub.train.videos.manifest import Manifest


@dataclasses.dataclass
class Scenario:
    """One command on outputs below `root`; its inputs lie elsewhere."""

    name: str
    prepare: Callable[[], int]
    """Makes the good output of an earlier day."""
    command: Callable[[], int]
    good: Callable[[], object]
    """Raises where the earlier output, or the new one, is not there or cannot be read."""
    complete: Callable[[], object]
    """Raises where the new output is not there."""
    again: Callable[[], int] | None = None
    """The command after a fault, where it is another one."""
    made_again: bool = False
    """A power cut may cost the output, which is then made again."""

    def rerun(self) -> None:
        """The command after a fault: it completes, and leaves nothing behind."""
        code, told = quietly(self.again or self.command)
        assert code == 0, told


def quietly(command: Callable[[], int]) -> tuple[int, str]:
    """The exit code, and what was written to stderr; an exception is a traceback there, as in a process."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            code = command()
        except BaseException:
            traceback.print_exc()
            code = 1
    return code, err.getvalue()


def errors(told: str, usual: str = "") -> list[str]:
    """What the commands say of errors, without what they say anyway."""
    lines = [line.strip() for text in told.splitlines() for line in text.split("\r")]
    return [line for line in lines if line.startswith(("cmac: ", "cmac_hub.train: ")) and line not in usual]


class Noise:
    """Pairs of noise: data that costs nothing."""

    videos = None

    def __init__(self, config) -> None:
        self.config = config

    def hash(self) -> str:
        return "noise"

    def name(self, video: int) -> str:
        return f"noise {video}"

    def pair(self, index: int, view: int = 0) -> Pair:
        rng, visual, audio = np.random.default_rng(index), self.config.visual, self.config.audio
        frames = rng.integers(0, 256, (visual.frames, visual.size, visual.size, 3), np.uint8)
        sound = rng.uniform(-0.5, 0.5, round(self.config.window * audio.sample_rate)).astype(np.float32)
        return Pair(torch.from_numpy(frames), torch.from_numpy(sound), index)


def smallest_config():
    """Every part of cmac-nano, as small as it can be."""
    return dataclasses.replace(
        CMAC_NANO,
        name="smallest",
        visual=dataclasses.replace(CMAC_NANO.visual, width=4, middle_multiple=1, size=32, frames=4),
        audio=dataclasses.replace(CMAC_NANO.audio, width=4),
        attention=dataclasses.replace(CMAC_NANO.attention, filter_channels=8, embedding=4, saliency_channels=2),
    )


@contextlib.contextmanager
def cheap_training() -> Iterator[None]:
    """Runs train on noise, and ask no git for its revision."""
    before = loop.open_source, loop.environment
    loop.open_source = lambda recipe, *_, **__: Noise(recipe.config)
    loop.environment = dict
    try:
        yield
    finally:
        loop.open_source, loop.environment = before


def make_inputs(folder: Path) -> None:
    """Two clips, a broken file, networks and architecture, for all scenarios."""
    (folder / "videos").mkdir(parents=True)
    times = np.arange(10) / 8
    for number in range(2):
        write_media(
            folder / "videos" / f"{number}.mp4", times=times, size=(48, 32), sound=tone(1.25, level=0.1 + 0.2 * number)
        )
    (folder / "videos" / "broken.mp4").write_bytes(b"no video at all")
    for number, name in enumerate(("old", "new")):
        torch.manual_seed(number)
        CMAC(dataclasses.replace(smallest_config(), name=name)).save_pretrained(folder / name)
    smallest_config().save(folder / "smallest.json")
    with cheap_training():
        assert quietly(lambda: train(_pretrain(folder, folder / "whole", 6)))[0] == 0


def _pretrain(inputs: Path, run: Path, steps: int) -> list[str]:
    settings = [f"architecture={inputs / 'smallest.json'}", "batch=2", f"steps={steps}", "bank=4", "workers=0"]
    settings += ["log_every=2", "checkpoint_every=3", "keep=1", "bf16=false", "warmup_steps=1", "decay_steps=1"]
    return ["pretrain", "--recipe", "nano_drawn", "-o", str(run), "--device", "cpu", "--set", *settings]


def curve(run: Path) -> list[tuple[str, ...]]:
    """Steps and losses of a run."""
    with (run / "log.csv").open(newline="") as file:
        return [(row["step"], row["loss"], row["accuracy"]) for row in csv.DictReader(file)]


def check(holds: object, what: str) -> None:
    """An assertion that children of `python -O` make too."""
    if not holds:
        raise AssertionError(what)


def scenarios(inputs: Path, root: Path) -> dict[str, Scenario]:
    """All five, on outputs in `root`."""
    clip, videos = inputs / "videos" / "1.mp4", inputs / "videos"

    def features(model: str, *more: str) -> int:
        return cmac(["features", str(clip), "-o", str(root / "out"), "--model", str(inputs / model), *more])

    def one_of_two(made: str) -> str:
        with safe_open(root / "out" / "1.mp4.safetensors", "pt") as file:
            return (file.metadata() or {}).get("model", "").rpartition("/")[2] + made

    def index_is(*counts: int) -> None:
        with (root / "out" / "index.csv").open(newline="") as file:
            check(len(list(csv.DictReader(file))) in counts, "the index")

    def features_good() -> None:
        check(len(Features.load(root / "out" / "1.mp4.safetensors").times) > 0, "rows")
        # A file that could not be read just now is named and has no line; the next call makes the index anew.
        index_is(0, 1)

    def features_complete() -> None:
        features_good()
        index_is(1)
        check(one_of_two("") == "new", "it is of the other network")

    def localize(*more: str) -> int:
        return cmac(["localize", str(clip), "-o", str(root / "out.mp4"), "--model", str(inputs / "new"), *more])

    def frames_of_overlay() -> int:
        check(probe(root / "out.mp4").has_audio, "sound")
        return sum(1 for _ in read_frames(root / "out.mp4"))

    def overlay(side_by_side: tuple[bool, ...]) -> None:
        check(frames_of_overlay() == 10, "frames")
        check((probe(root / "out.mp4").width == 96) in side_by_side, "layout")

    def index() -> int:
        return train(["index", str(videos), "-o", str(root / "m.csv"), "--workers", "1"])

    def old_index() -> int:
        (root / "m.csv").write_text("path,start,end,label,group\nold.mp4,0,1,,\n")
        (root / "m.skipped.csv").write_text("name,reason\nolder.mp4,broken\n")
        return 0

    def index_good() -> None:
        check(len(Manifest.load(root / "m.csv")) in (1, 2), "lines")
        with (root / "m.skipped.csv").open(newline="") as file:
            check(len(list(csv.DictReader(file))) == 1, "left out")

    def index_complete() -> None:
        index_good()
        check(len(Manifest.load(root / "m.csv")) == 2, "all good ones")
        check(not (root / "m.partial.csv").exists(), "partial")

    def run(steps: int, *more: str) -> int:
        with cheap_training():
            return train([*_pretrain(inputs, root / "run", steps), *more])

    def run_good() -> None:
        check(read_checkpoint(root / "run")["step"] in (3, 4, 6), "step")

    def run_complete() -> None:
        check(read_checkpoint(root / "run")["step"] == 6, "step")
        check(curve(root / "run") == curve(inputs / "whole"), "the curve is another one")

    def release(*more: str) -> int:
        return train(["release", str(inputs / "whole"), "-o", str(root / "released"), "--device", "cpu", *more])

    def released_good() -> None:
        check(CMAC.from_pretrained(root / "released").config.name == "smallest", "name")

    def released_complete() -> None:
        check(CMAC.from_pretrained(root / "released").config.training.get("note") == "new", "note")
        check((root / "released" / "README.md").is_file(), "card")

    found = [
        Scenario("features", lambda: features("old"), lambda: features("new", "--overwrite"), features_good,
                 features_complete, made_again=True),
        Scenario("localize", localize, lambda: localize("--overwrite", "--layout", "side-by-side"),
                 lambda: overlay((True, False)), lambda: overlay((True,))),
        Scenario("index", old_index, index, index_good, index_complete),
        Scenario("pretrain", lambda: run(4), lambda: run(6, "--resume"), run_good, run_complete),
        Scenario("release", lambda: release("--note", "old"), lambda: release("--note", "new"), released_good,
                 released_complete),
    ]  # fmt: skip
    return {one.name: one for one in found}


def nothing_hidden(root: Path) -> None:
    """No half-written file is left."""
    check(not hidden(root), f"left behind: {hidden(root)}")
