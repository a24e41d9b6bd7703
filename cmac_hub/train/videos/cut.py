"""`train index --cut`: the copies that a manifest names in the place of large videos."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath

from cmac_hub.errors import MediaError
from cmac_hub.files import make_folder
from cmac_hub.media import probe
from cmac_hub.media.cut import cut_video
from cmac_hub.train.videos.dataset_layouts import Candidate

SIZE = 128
"""Pixels: the paper's clips."""


@dataclass(frozen=True)
class Cut:
    """Where the copies go, and how large they are."""

    folder: Path
    size: int = SIZE
    """Short side in pixels."""

    def targets(self, candidates: list[Candidate]) -> dict[str, Path]:
        """The copy of each candidate by its key: its own name below the folder, whatever the name says of folders."""
        found: dict[str, Path] = {}
        taken: set[Path] = set()
        for one in candidates:
            parts = [part for part in PurePath(one.key).parts if part not in ("..", os.sep)] or ["video"]
            stem = self.folder.joinpath(*parts)
            stem = stem.with_suffix("") if stem.suffix.lower() == ".mp4" else stem
            target, number = stem.with_name(f"{stem.name}.mp4"), 1
            while target in taken:
                number += 1
                target = stem.with_name(f"{stem.name}_{number}.mp4")
            taken.add(target)
            found[one.key] = target
        return found

    def make(self, source: Path, target: Path, start: float, end: float) -> tuple[float, float]:
        """Writes one copy, unless a whole one is there already.

        Returns:
            its start and end in seconds.

        Raises:
            MediaError: the source cannot be read.
            OutputError: the copy cannot be written.
        """
        info = probe(source)
        side = min(self.size, info.width, info.height)
        try:
            made = probe(target)
        except MediaError:
            made = None
        newer = made is not None and target.stat().st_mtime >= source.stat().st_mtime
        whole = made is not None and made.has_audio and abs((made.duration or 0.0) - (end - start)) < 0.25
        if made is None or not (newer and whole) or abs(min(made.width, made.height) - side) > 1:
            make_folder(target.parent)
            cut_video(info, target, size=self.size, start=start, stop=end)
            made = probe(target)
        return made.start, made.start + (made.duration or 0.0)
