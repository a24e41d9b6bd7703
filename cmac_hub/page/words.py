"""What the page says of errors and results, without the server's folders and the command line's options."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cmac_hub.config import HEARING, Map
from cmac_hub.errors import one_line
from cmac_hub.media import MediaInfo
from cmac_hub.moments import Peak

OPTIONS = {
    'use map="prediction" (--map prediction)': "choose the map prediction",
    " or pass overwrite=True (--overwrite)": "",
    ": --device cpu": " when the page is started: --device cpu",
}
"""What messages say to people at a terminal, and what is said here."""

SHOWN = frozenset(".mp4 .m4v .mov .webm .ogv".split())
"""Files whose pictures browsers show, as a rule."""

UNHEARD = frozenset("ac3 eac3 alac".split())
"""Sound that an overlay keeps as it is, and that browsers do not play."""


def in_words(said: BaseException | str, root: Path) -> str:
    """An error or a warning for a visitor: one line in which files of `root` have their own names only."""
    text = said if isinstance(said, str) else one_line(said)
    text = re.sub(re.escape(f"{root}{os.sep}") + r"(?:[\w.-]+/)*", "", text)
    for option, word in OPTIONS.items():
        text = text.replace(option, word)
    return text


def what_is_in(info: MediaInfo) -> str:
    """A clip that was given, in a line."""
    length = "of unknown length" if info.duration is None else f"{info.duration:.1f} s"
    sound = "with sound" if info.has_audio else "without sound, so that only the map prediction says anything"
    unseen = (
        "" if info.path.suffix.lower() in SHOWN else ". A browser may not show this kind of file; the overlay it will"
    )
    return f"{length}, {info.width} x {info.height} pixels, {sound}{unseen}"


def what_is_not_heard(info: MediaInfo) -> list[str]:
    """What is to be said of sound that the browser will not play."""
    if info.audio_codec not in UNHEARD:
        return []
    return [f"browsers do not play sound coded as {info.audio_codec}, which is kept: load the overlay down to hear it"]


def what_was_found(peaks: Sequence[Peak], which: Map, lit_from: float | None) -> str:
    """What the maps of a clip say, in a sentence or two.

    Args:
        peaks: one a window.
        which: the map they are of.
        lit_from: the lowest value that is lit; None where the likeliest places are, whatever their value.
    """
    telling = [peak for peak in peaks if peak.audible or which not in HEARING]
    if not telling:
        return "There is nothing to hear: the frames say so, and nothing is lit."
    surest = max(telling, key=lambda peak: peak.score)
    said = f"Highest at {surest.time:.2f} s: {surest.score:.2f}, at x {surest.x:.0f}, y {surest.y:.0f}."
    if lit_from is not None:
        lit = sum(peak.lit for peak in telling)
        said += f" Something is lit in {lit} of {len(peaks)} windows."
        if not lit:
            said += " The scale relative lights the likeliest places, sure or not."
    if len(telling) < len(peaks):
        said += f" In {len(peaks) - len(telling)} there is nothing to hear."
    if peaks[0].padded:
        said += " The clip is shorter than a window: padded with silence and its last frame."
    return said
