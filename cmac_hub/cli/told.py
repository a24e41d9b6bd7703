"""What `cmac localize` tells of videos besides drawing them: JSON lines, a table, maps, a page to read."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from cmac_hub.cli.batch import TWICE
from cmac_hub.errors import OutputError
from cmac_hub.files import check_output, make_folder, naming, replacing
from cmac_hub.maps_file import writing_maps
from cmac_hub.media import MediaInfo
from cmac_hub.media.find import DRAWN, Input
from cmac_hub.moments import Moment, Peak
from cmac_hub.report import About, Hottest, Report, Video, writing_report
from cmac_hub.visualizer import HOP, Visualizer

COLUMNS = "file time x y score audible padded lit left top right bottom sound_level agreement".split()
"""Of the table: those of `Peak`, whose box is four of them, empty where there is none."""

DIGITS = {"time": 3, "x": 1, "y": 1, "score": 4, "sound_level": 5, "agreement": 4}
"""Decimals in the table."""


class Telling:
    """Where the windows of videos go.

    Args:
        options: of `cmac localize`.
        visualizer: that draws.
        single: whether one video was named, so that `--maps` is a file.
        table: `--csv`, to write into.
        report: `--report`, to add to.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        visualizer: Visualizer,
        single: bool,
        table: IO[str] | None,
        report: Report | None,
    ) -> None:
        self._options, self._visualizer, self._single = options, visualizer, single
        self._rows = None if table is None else csv.DictWriter(table, COLUMNS)
        self._report = report
        self._taken: set[Path] = set()
        if self._rows is not None:
            self._rows.writeheader()

    def fail(self, one: Input, reason: str) -> None:
        """A video that failed."""
        if self._report is not None:
            self._report.fail(str(one.path), reason)

    def wants(self, one: Input) -> bool:
        """Whether a video whose drawing is there already is to be looked at for what else is told of it."""
        options = self._options
        return bool(options.json or options.csv or options.report or self._maps_of(one) is not None)

    @contextmanager
    def video(self, one: Input, info: MediaInfo, drawn: Path) -> Iterator[Observed]:
        """For the time in which a video is observed; what it is given is told afterwards.

        Args:
            one: the video.
            info: what `probe` says of it.
            drawn: the video that is drawn of it, or was.
        """
        maps = self._maps_of(one)
        with ExitStack() as stack:
            each: list[Callable[[Moment], None]] = []
            hottest = Hottest()
            if self._report is not None:
                each.append(hottest)
            if maps is not None:
                if not self._single:
                    make_folder(maps.parent)
                each.append(stack.enter_context(writing_maps(maps, info, self._options.overwrite)).add)
            observed = Observed(each, maps is not None)
            yield observed
        if maps is not None:
            self._taken.add(maps)
        self._tell(one, info, drawn, observed.peaks, hottest.moment)

    def _tell(self, one: Input, info: MediaInfo, drawn: Path, peaks: list[Peak], hottest: Moment | None) -> None:
        if self._options.json:
            for peak in peaks:
                print(json.dumps({"file": str(one.path), **dataclasses.asdict(peak)}, allow_nan=False))
        if self._rows is not None:
            with naming(Path(self._options.csv)):
                self._rows.writerows(_row(one.path, peak) for peak in peaks)
        if self._report is not None and peaks:
            which = self._options.map or self._visualizer.model.config.display.default_map
            with naming(Path(self._options.report)):
                window = self._options.window or self._visualizer.model.config.window
                self._report.add(Video(str(one.relative), drawn, info, peaks, hottest, which, window))

    def _maps_of(self, one: Input) -> Path | None:
        """The file of a video's maps; None where none are asked for, or are there already."""
        if self._options.maps is None:
            return None
        if self._single:
            return Path(self._options.maps)
        path = Path(self._options.maps) / one.relative.parent / f"{one.path.stem}{DRAWN}.npz"
        if path in self._taken:
            raise OutputError(f"{path} was written for another input of this call already; {TWICE}")
        return None if path.exists() and not self._options.overwrite else path


@dataclasses.dataclass
class Observed:
    """What a video's windows are told to while they come, and what they came to."""

    listeners: list[Callable[[Moment], None]]
    all_maps: bool
    """Whether a listener needs all maps."""
    peaks: list[Peak] = dataclasses.field(default_factory=list)
    """Filled by whoever observes the video."""

    def each(self, moment: Moment) -> None:
        """The next window."""
        for listener in self.listeners:
            listener(moment)


def _row(path: Path, peak: Peak) -> dict[str, Any]:
    """A line of the table."""
    values = {"file": str(path), **dataclasses.asdict(peak)}
    box = values.pop("box") or [""] * 4
    values |= dict(zip(("left", "top", "right", "bottom"), box, strict=True))
    for name, digits in DIGITS.items():
        if values[name] is not None:
            values[name] = f"{values[name]:.{digits}f}"
    return values


def told_besides(options: argparse.Namespace) -> bool:
    """Whether anything is asked for besides drawings."""
    return bool(options.json or options.csv or options.report or options.maps)


def check_told(options: argparse.Namespace, single: bool) -> None:
    """Refuses outputs that may not be, before a network is loaded. Raises OutputError."""
    named = {"--csv": options.csv, "--report": options.report, "--maps": options.maps}
    given = {name: Path(path) for name, path in named.items() if path is not None}
    if options.maps is not None and not single:
        folder = given.pop("--maps")
        if folder.suffix == ".npz":
            raise OutputError(f"{folder} names one file of maps; give a folder for those of several videos")
    for name, suffix in (("--report", ".html"), ("--csv", ".csv"), ("--maps", ".npz")):
        if name in given and given[name].suffix.lower() != suffix:
            raise OutputError(f"{name} is {given[name]}; its name must end in {suffix}")
    for path in given.values():
        check_output(path, options.overwrite)


@contextmanager
def telling(options: argparse.Namespace, visualizer: Visualizer, single: bool) -> Iterator[Telling]:
    """What videos are told to. The table and the page are written at the end, whatever became of the videos; after
    Ctrl-C with what was done.

    Raises:
        OutputError: an output may not be written or could not be.
    """
    with ExitStack() as stack:
        table = report = None
        if options.csv is not None:
            table = stack.enter_context(_writing_table(Path(options.csv), options.overwrite))
        if options.report is not None:
            config = visualizer.model.config
            about = About(
                model=str(options.model),
                config=config,
                which=options.map or config.display.default_map,
                scale=options.scale,
                window=options.window or config.window,
                hop=options.hop or HOP,
            )
            report = stack.enter_context(writing_report(Path(options.report), about, options.overwrite))
        yield Telling(options, visualizer, single, table, report)


@contextmanager
def _writing_table(path: Path, overwrite: bool) -> Iterator[IO[str]]:
    ended: KeyboardInterrupt | None = None
    with (
        replacing(path, overwrite) as temporary,
        # Names that are no text are written by their bytes.
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        try:
            yield file
        except KeyboardInterrupt as error:
            ended = error
    if ended is not None:
        raise ended
