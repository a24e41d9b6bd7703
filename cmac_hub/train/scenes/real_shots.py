"""Which real shots there are: the collected layout's `clips` and `clips_more`, by split.

    DATA/clips/clips.csv              columns file, group; kind may be missing
    DATA/clips_more/clips_more.csv    the same, and label_source

Shots of one group show one scene; `splits.csv` gives each group its split. Where the `label_source` of `clips_more`
does not end in "original sound", the sound was made, or may have been made, by a model from the picture: such shots may
be trained on, and grade nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cmac_hub.errors import CMACError
from cmac_hub.text import Table
from cmac_hub.train.scenes.settings import Footage
from cmac_hub.train.scenes.splits import Split, load_splits

FOLDERS = ("clips", "clips_more")

ORIGINAL_SOUND = "original sound"
"""How the `label_source` of such a shot ends."""


class ShotFile(NamedTuple):
    """One real shot."""

    path: Path
    group: str
    split: Split
    original_sound: bool
    """Whether it sounds as it was filmed."""
    kind: str = ""
    """Of what is seen, such as "animals"; empty where the csv does not say."""

    @property
    def folder(self) -> str:
        """One of `FOLDERS`."""
        return self.path.parent.name


def find_shots(root: Path, folder: str) -> list[ShotFile]:
    """The shots of one of `FOLDERS`, in the order of its csv; none where there is no such csv.

    Raises:
        CMACError: a group that `splits.csv` does not name.
    """
    table, splits = Path(root) / folder / f"{folder}.csv", load_splits()
    if not table.exists():
        return []
    rows = [row for row in Table(table) if row["file"]]
    return [
        ShotFile(
            table.parent / row["file"],
            row["group"],
            splits.split_of("clip_group", row["group"]),
            folder == "clips" or row.get("label_source", "").endswith(ORIGINAL_SOUND),
            row.get("kind", ""),
        )
        for row in rows
    ]


def training_shots(root: Path, which: Footage = "clips") -> list[ShotFile]:
    """The shots of training groups.

    Args:
        root: the collected layout; nothing is found in any other.
        which: those of the folder `clips`, all that sound as they were filmed ("original"), or "all", whatever made
            their sound.
    """
    folders = FOLDERS[:1] if which == "clips" else FOLDERS
    shots = [shot for folder in folders for shot in find_shots(root, folder) if shot.split == "train"]
    return [shot for shot in shots if shot.original_sound or which == "all"]


def held_out_shots(root: Path, split: Split) -> list[ShotFile]:
    """The shots of another split that sound as they were filmed.

    Raises:
        CMACError: there are no real shots at all.
    """
    found = [shot for folder in FOLDERS for shot in find_shots(root, folder)]
    if not found:
        raise CMACError(f"{root} has no folder 'clips' with real shots; give the folder that holds clips/clips.csv")
    return [shot for shot in found if shot.split == split and shot.original_sound]
