"""The page: its head, what all videos come to, the videos one by one, and those that failed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO

from cmac_hub.config import CMACConfig, Map, Scale
from cmac_hub.drawing import visible_from
from cmac_hub.files import replacing
from cmac_hub.report.markup import clock, escaped, isolated
from cmac_hub.report.video import Video, entry

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What the page may load: nothing; its style and its pictures are inside, and no script runs."""


@dataclass(frozen=True)
class About:
    """How the videos of a page were made."""

    model: str
    """As it was named."""
    config: CMACConfig
    """Of the network."""
    which: Map
    """The map that was drawn."""
    scale: Scale
    window: float
    """Seconds."""
    hop: float
    """Seconds."""

    @property
    def limit(self) -> float:
        """The value from which a peak is seen to be lit on the absolute scale."""
        return visible_from(self.config.display.limits("visual", self.which))


class Report:
    """Takes videos and failures, one by one; see `writing_report`.

    Args:
        about: how they were made.
        folder: of the page.
        entries: an empty file, in which the videos' parts wait for what all of them come to.
    """

    def __init__(self, about: About, folder: Path, entries: IO[str]) -> None:
        self._about, self._folder, self._entries = about, folder, entries
        self._count = 0
        self._unlit: list[tuple[int, str, float]] = []
        self._failed: list[tuple[str, str]] = []
        self.stopped = False
        """Whether the run was interrupted, so that videos are missing."""

    def add(self, video: Video) -> None:
        """The next video."""
        self._count += 1
        about = self._about
        self._entries.write(entry(video, self._folder, self._count, about.scale, about.limit))
        if stretches := video.unlit:
            self._unlit.append((self._count, video.name, sum(stop - start for start, stop in stretches)))

    def fail(self, name: str, reason: str) -> None:
        """A video of which there is nothing to tell but why."""
        self._failed.append((name, reason))

    def write(self, page: IO[str]) -> None:
        """All of it, whole."""
        style = resources.files("cmac_hub.report").joinpath("page.css").read_text(encoding="utf-8")
        page.write(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>What sounds, and where</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        )
        page.write(self._head())
        page.write("<main>\n")
        self._entries.seek(0)
        shutil.copyfileobj(self._entries, page)
        page.write(f"</main>\n{self._failures()}</body>\n</html>\n")

    def _head(self) -> str:
        about = self._about
        failed, stopped = len(self._failed), " The run was interrupted: this is what was done." if self.stopped else ""
        counts = f"{self._count} {'video' if self._count == 1 else 'videos'}"
        if failed:
            counts += f', <a href="#failed">{failed} failed</a>'
        how = (
            f"model {isolated(about.model)} · map {about.which} · scale {about.scale} · "
            f"windows of {about.window:g} s every {about.hop:g} s"
        )
        return (
            f"<header>\n<h1>What sounds, and where</h1>\n<p><strong>{counts}.</strong>{stopped}</p>\n"
            f'<p class="facts">{how}</p>\n{EXPLAINED}{self._dark()}</header>\n'
        )

    def _dark(self) -> str:
        if not self._unlit:
            return ""
        rows = "".join(
            f'<li><a href="#v{number}">{isolated(name)}</a> <small>{clock(seconds)}</small></li>'
            for number, name, seconds in sorted(self._unlit, key=lambda one: -one[2])
        )
        return (
            f"<details>\n<summary>Sound while nothing is lit: the source is not in the picture, or was missed "
            f"({len(self._unlit)})</summary>\n<p>{CAUTION}</p>\n<ul>{rows}</ul>\n</details>\n"
        )

    def _failures(self) -> str:
        if not self._failed:
            return ""
        rows = "".join(f"<li>{isolated(name)}<br>{escaped(reason)}</li>" for name, reason in self._failed)
        return f'<section id="failed">\n<h2>Failed ({len(self._failed)})</h2>\n<ul>{rows}</ul>\n</section>\n'


EXPLAINED = """<details>
<summary>How to read it</summary>
<dl>
<dt>picture</dt><dd>the moment at which the map is highest; the frame is around the lit region</dd>
<dt>sound level</dt><dd>of each window, drawn from &minus;60 to 0 dB of full scale; gray where there is nothing to
hear</dd>
<dt>agreement</dt><dd>do picture and sound belong together as wholes? The cosine of their embeddings, drawn from 0 to 1.
<em>Matches best</em> and <em>least</em>: the audible windows where it is highest and lowest. Compare them within a
video rather than between videos</dd>
<dt>peak</dt><dd>the highest value of the map, drawn from 0.4 to 1; above the dashed line it is seen to be lit</dd>
<dt>nothing lit</dt><dd>there is something to hear, and no place of the picture exceeds the network's own limits:
shaded; named where it lasts for a window or longer</dd>
</dl>
<p>Times are those of the drawn videos, which the links open at that moment.</p>
</details>
"""

CAUTION = (
    "A hint, no finding: many networks light something for a sound that comes from elsewhere (cmac-lite nearly "
    "always), and all of them miss sources that are in the picture. A low agreement is the better hint. How often each "
    "is right is in the model's card."
)


@contextmanager
def writing_report(path: Path, about: About, overwrite: bool = False) -> Iterator[Report]:
    """A report that is written to `path` at the end; after Ctrl-C and other signals with what was done until then.

    Raises:
        OutputError: see `cmac_hub.files.replacing`.
    """
    ended: KeyboardInterrupt | None = None
    with (
        replacing(path, overwrite) as temporary,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", dir=path.parent) as entries,
    ):
        report = Report(about, path.parent, entries)
        try:
            yield report
        except KeyboardInterrupt as error:
            ended, report.stopped = error, True
        with temporary.open("w", encoding="utf-8", errors="replace") as page:
            report.write(page)
    if ended is not None:
        raise ended
