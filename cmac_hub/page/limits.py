"""What the page takes: clips of a minute, files of 200 MB."""

from __future__ import annotations

from pathlib import Path

from cmac_hub.errors import MediaError
from cmac_hub.media import MediaInfo, probe

MOST_SECONDS = 60.0
"""Of a clip: others wait meanwhile, on two cores for half a minute or less."""

ROUNDING = 0.5
"""Seconds by which a clip of that length may be longer, as its last packets end."""

MOST_BYTES = 200 << 20
"""Of a file: 200 MB, as Gradio counts them."""


def check_clip(path: Path) -> MediaInfo:
    """What a clip holds, if the page takes it.

    Raises:
        MediaError: the file is too large or too long, cannot be read, or has no picture.
    """
    if not path.is_file():
        raise MediaError(f"{path} is no longer here; give it once more")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MediaError(
            f"{path} has {size / 2**20:,.0f} MB; this page takes {MOST_BYTES >> 20}: cut it, or use cmac localize"
        )
    info = probe(path)
    if not info.has_video:
        raise MediaError(f"{path} has no picture that can be decoded; give a video")
    if info.duration is not None:
        check_seconds(path, info.duration)
    return info


def check_seconds(path: Path, seconds: float) -> None:
    """Raises MediaError for a clip that lasts too long, or whose frames go on for longer than it says."""
    if seconds > MOST_SECONDS + ROUNDING:
        raise MediaError(
            f"{path} lasts {max(seconds, MOST_SECONDS + 1):.0f} s or more; this page takes {MOST_SECONDS:.0f}: cut it, "
            "or use cmac localize"
        )
