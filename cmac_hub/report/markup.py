"""Text, links and times as HTML. What a file or its name says comes into a page through these alone."""

from __future__ import annotations

import html
import os
from pathlib import Path
from urllib.parse import quote

from cmac_hub.text import legible


def escaped(text: object) -> str:
    """Any text, for a place between tags or inside of a quoted attribute."""
    return html.escape(legible(str(text)), quote=True)


def isolated(text: object) -> str:
    """A name from outside: letters that are written from right to left turn nothing around it."""
    return f"<bdi>{escaped(text)}</bdi>"


def link(target: Path, folder: Path, moment: float | None = None) -> str:
    """The address of a file relative to a folder, for `href`; with a moment in seconds, players begin there."""
    relative = Path(os.path.relpath(os.path.abspath(target), os.path.abspath(folder))).as_posix()
    # Quoted are the name's bytes, whatever they mean; a colon too, so that no name is taken for a scheme.
    address = quote(os.fsencode(relative), safe="/")
    return address if moment is None else f"{address}#t={moment:.2f}"


def clock(seconds: float) -> str:
    """A time as players show it: 1:02:03.4, 2:03.4."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest / 10:04.1f}"
    return f"{minutes}:{rest / 10:04.1f}"
