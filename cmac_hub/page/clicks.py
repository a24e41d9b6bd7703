"""What a click on the page does: from what is chosen there to the work, and back to what is shown."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from cmac_hub.config import Layout, Map, Scale
from cmac_hub.errors import MediaError, is_expected
from cmac_hub.page.curve import draw_curve
from cmac_hub.page.finding import Finder, Found, draw_scene, surest_moment
from cmac_hub.page.limits import check_clip
from cmac_hub.page.visits import LeftError, Visits
from cmac_hub.page.words import in_words, what_is_in, what_was_found

STEP = 0.05
"""Seconds between two moments that can be chosen."""


class Clicks:
    """Answers to everything that can be done on the page.

    Args:
        finder: does the work.
        visits: where files lie.
    """

    def __init__(self, finder: Finder, visits: Visits) -> None:
        self._finder, self._visits = finder, visits

    def look(self, clip: str | None, request: gr.Request) -> str:
        """A clip was given: says what is in it, or why it is not taken."""
        if clip is None:
            return ""
        self._visits.keep(_visitor(request), Path(clip))
        with self._telling():
            return what_is_in(check_clip(Path(clip)))

    def choose_scene(self, name: str | None, request: gr.Request) -> str | None:
        """A drawn scene was chosen: its video."""
        if name is None:
            return None
        with self._telling():
            return str(draw_scene(name, self._visits.home(_visitor(request))))

    def find(
        self,
        clip: str | None,
        network: str,
        map: Map,
        layout: Layout,
        scale: Scale,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio looks for it there)
    ) -> tuple[Any, ...]:
        """The button: overlay, words, curve, the choice of moments, and the figure of the surest one."""
        with self._telling():
            if clip is None:
                raise MediaError("there is no clip yet; give or record one, or choose a drawn scene")
            folder = self._visits.folder(_visitor(request))
            progress(0.0, desc="Looking and listening")
            found = self._finder.find(
                Path(clip), folder, network=network, map=map, layout=layout, scale=scale,
                progress=lambda share: progress(share, desc="Looking and listening"),
            )  # fmt: skip
        for said in found.warnings:
            gr.Warning(html.escape(in_words(said, self._visits.root)))
        time = surest_moment(found)
        moments = gr.Slider(minimum=found.start, maximum=found.end, step=STEP, value=round(time, 2), interactive=True)
        words = what_was_found(found.peaks, found.map, found.lit_from)
        shown = gr.Column(visible=True)
        return found, str(found.video), words, draw_curve(found), moments, self.show_moment(found, time), shown, shown

    def show_moment(self, found: Found | None, time: float) -> str | None:
        """A moment was chosen: its figure."""
        if found is None:
            return None
        with self._telling():
            if not found.video.is_file():
                raise MediaError(f"{found.clip} is no longer here; give it once more")
            with tempfile.NamedTemporaryFile(
                prefix="moment-", suffix=".png", dir=found.video.parent, delete=False
            ) as target:
                self._finder.draw_moment(found, time, Path(target.name))
            return target.name

    def click_curve(self, found: Found | None, event: gr.EventData) -> tuple[Any, ...]:
        """A click on the curve: the moment that was meant, and its figure."""
        if found is None:
            return gr.skip(), gr.skip()
        time = min(max(float(event.time), found.start), found.end)
        return round(time, 2), self.show_moment(found, time)

    def leave(self, request: gr.Request) -> None:
        """The page was closed or loaded anew."""
        self._visits.leave(_visitor(request))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors are shown as words, without the server's folders; what is a bug goes on."""
        try:
            yield
        except LeftError:
            raise gr.Error("The page was closed.", visible=False, print_exception=False) from None
        except gr.Error:
            raise
        except Exception as error:
            if not is_expected(error):
                raise
            words = html.escape(in_words(error, self._visits.root))
            raise gr.Error(words, duration=None, print_exception=False) from error


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)
