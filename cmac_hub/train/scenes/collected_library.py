"""A library from the collected layout: public sets beside each other, with the splits of `splits.csv`.

    DATA/scenes/NAME.png              pictures of things with alpha; subfolders as `splits.csv` names them
    DATA/scenes/pairs/NAME.ogg        recordings of things that have pictures under the same name
    DATA/scenes/distractors/          pictures with alpha of things that never sound
    DATA/scenes/backgrounds/          photographs
    DATA/scenes/NAME.sf2              one General MIDI sound font, for recipes with notes (may be missing)
    DATA/esc50/esc50.csv, audio/      ESC-50: columns filename, fold, category, src_file
    DATA/urbansound8k/urbansound8k.csv  UrbanSound8K: columns filename, fold, category, freesound_id
    DATA/clips/clips.csv              real shots (`real_shots.py`; may be missing)
    DATA/clips_more/clips_more.csv    more of them

`esc50` and `urbansound8k` may be missing; files lie relative to their csv (ESC-50's in `audio/`). `splits.csv` in the
package names every picture, recording, photograph and group of shots that may be used, the thing it belongs to and its
split (`splits.py` says by which rules). Files that it does not name are refused. The files themselves are not shipped:
to train on your own, use the layout of `layout.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from tqdm import tqdm

from cmac_hub.errors import CMACError
from cmac_hub.text import Table
from cmac_hub.train.scenes.layout import SEE_LAYOUT
from cmac_hub.train.scenes.library import (
    CLIP_SIZE,
    File,
    Library,
    NoThingsError,
    Thing,
    is_borrowed,
    load_photograph,
    load_picture,
    load_sound,
    prefer,
)
from cmac_hub.train.scenes.splits import Split, Splits, load_splits

FilesByThing = defaultdict[str, list[tuple[Path, str]]]
"""Thing -> files of it, each with its split."""


def load_collected(
    root: Path,
    split: Split,
    which: Literal["known", "new"] = "known",
    *,
    clip_size: int = CLIP_SIZE,
    progress: bool = True,
) -> Library:
    """Reads one split.

    Args:
        root: the folder.
        split: whose pictures, sounds, photographs and distractors.
        which: "known" takes the things of training, with pictures and sounds of `split` wherever a thing has some;
            "new" takes the things that belong to `split` altogether.
        clip_size: pixels of the clips that scenes will have.
        progress: show a progress bar on stderr.

    Raises:
        CMACError: the folder has no `scenes`.
        NoThingsError: it has no such things.
    """
    scenes = Path(root) / "scenes"
    if not scenes.is_dir():
        raise CMACError(f"{root} has no folder 'scenes' or 'things'; {SEE_LAYOUT}")
    splits = load_splits()
    pictures, sounds = _pictures(scenes, splits), _sounds(Path(root), splits)
    wanted = "train" if which == "known" else split
    things = []
    names = [row.name for row in splits.rows("thing") if row.split == wanted]
    for name in tqdm(names, disable=not progress, desc=f"{split} {which}", unit="thing"):
        picture_files, sound_files = prefer(pictures[name], split), prefer(sounds[name], split)
        if not picture_files or not sound_files:
            continue
        images = tuple(load_picture(path, clip_size) for path in picture_files)
        recordings = tuple(sound for sound in map(load_sound, sound_files) if sound is not None)
        if recordings:
            borrowed = is_borrowed(pictures[name], split) or is_borrowed(sounds[name], split)
            things.append(Thing(name, images, recordings, borrowed))
    if not things:
        raise NoThingsError(f"{root} gives no {which} things for {split}; {SEE_LAYOUT}")
    distractors = [row.name for row in splits.rows("distractor") if row.split == split]
    photographs = [row.name for row in splits.rows("background") if row.split == split]
    return Library(
        tuple(things),
        Library.of_drawings(split).things,
        tuple(load_picture(scenes / "distractors" / name, clip_size) for name in distractors),
        tuple(load_photograph(scenes / "backgrounds" / name, clip_size) for name in photographs),
    )


def collected_files(root: Path) -> list[File]:
    """What such a folder holds."""
    splits, scenes = load_splits(), Path(root) / "scenes"
    found = [File("picture", row.thing, scenes / row.name, cast(Split, row.split)) for row in splits.rows("picture")]
    for thing, files in _sounds(Path(root), splits).items():
        found += [File("sound", thing, path, cast(Split, split)) for path, split in files]
    for kind, name, folder in (("silent", "distractor", "distractors"), ("background", "background", "backgrounds")):
        found += [File(kind, "", scenes / folder / row.name, cast(Split, row.split)) for row in splits.rows(name)]
    return found


def _pictures(scenes: Path, splits: Splits) -> FilesByThing:
    found: FilesByThing = defaultdict(list)
    for row in splits.rows("picture"):
        found[row.thing].append((scenes / row.name, row.split))
    return found


def _sounds(root: Path, splits: Splits) -> FilesByThing:
    found: FilesByThing = defaultdict(list)
    for row in splits.rows("recording"):
        if row.name.startswith("pairs/"):
            found[row.thing].append((root / "scenes" / row.name, row.split))
    for path, label, recording in _labeled_recordings(root):
        found[splits.thing_of("label", label)].append((path, splits.split_of("recording", recording)))
    return found


def _labeled_recordings(root: Path) -> Iterator[tuple[Path, str, str]]:
    """(file, label, Freesound id) of every clip of ESC-50 and UrbanSound8K that is there."""
    for row in _rows(root / "esc50" / "esc50.csv"):
        yield root / "esc50" / "audio" / row["filename"], f"esc50/{row['category']}", row["src_file"]
    for row in _rows(root / "urbansound8k" / "urbansound8k.csv"):
        yield root / "urbansound8k" / row["filename"], f"urbansound8k/{row['category']}", row["freesound_id"]


def _rows(table: Path) -> list[dict[str, str]]:
    """The lines of a csv; none where there is no such file."""
    return list(Table(table)) if table.exists() else []
