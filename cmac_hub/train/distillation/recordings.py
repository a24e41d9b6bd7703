"""What an audio encoder may hear in training: recordings of things, sounds of real shots, notes of a sound font.

Only files whose split is "train" (`cmac_hub.train.scenes.splits`), of things that training knows: what the probe tests,
and what scenes of new things sound like, stays unheard.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cmac_hub.errors import CMACError, MediaError
from cmac_hub.train.scenes.collected_library import collected_files
from cmac_hub.train.scenes.folder_library import folder_files, is_folder_library
from cmac_hub.train.scenes.layout import SEE_LAYOUT
from cmac_hub.train.scenes.library import Library, Sound, Thing, load_sound
from cmac_hub.train.scenes.real_shots import training_shots
from cmac_hub.train.scenes.sound_font import with_notes
from cmac_hub.train.scenes.splits import load_splits

Files = dict[str, list[Path]]
"""Group -> its recordings."""


def recording_files(root: Path) -> Files:
    """Recordings for training, by thing. Raises CMACError for a folder of no known layout."""
    found: Files = defaultdict(list)
    if is_folder_library(root):
        files = folder_files(root)
        pictures = [one for one in files if one.kind == "picture"]
        unseen = {one.thing for one in pictures} - {one.thing for one in pictures if one.split == "train"}
        known = {one.thing for one in files} - unseen
    elif (root / "scenes").is_dir():
        files, known = collected_files(root), {r.name for r in load_splits().rows("thing") if r.split == "train"}
    else:
        raise CMACError(f"{root} has no folder 'scenes' or 'things'; {SEE_LAYOUT}")
    for one in files:
        if (one.kind, one.split) == ("sound", "train") and one.thing in known:
            found[one.thing].append(one.path)
    return dict(found)


def shot_files(root: Path) -> Files:
    """Real shots for training, by the kind of what is seen; empty where there are none."""
    found: Files = defaultdict(list)
    for shot in training_shots(root, "all"):
        found[f"shots: {shot.kind}"].append(shot.path)
    return dict(found)


def load_recordings(root: Path, phrases: int = 0, *, progress: bool = True) -> dict[str, list[np.ndarray]]:
    """Reads them all.

    Args:
        root: a folder of one of the layouts that `pretrain` takes.
        phrases: of each instrument of the folder's sound font; with 0, and where there is no font or nothing that
            plays it, there are none.
        progress: show progress bars on stderr, and what is left out.

    Returns:
        group -> recordings, (n,) int16 at 16 kHz, with a peak of 0.9; shots without sound are left out.

    Raises:
        CMACError: a folder of no known layout, a recording that cannot be read, or none at all.
    """
    things = []
    for name, paths in tqdm(recording_files(root).items(), disable=not progress, desc="recordings", unit="thing"):
        sounds = tuple(sound for path in paths if (sound := _recording(path)) is not None)
        if sounds:
            things.append(Thing(name, (), sounds))
    library = _with_notes(Library(tuple(things), (), (), ()), root, phrases)
    found = {thing.name: [sound.samples for sound in thing.sounds] for thing in library.things}
    for name, paths in tqdm(shot_files(root).items(), disable=not progress, desc="shots", unit="kind"):
        if waveforms := [sound.samples for path in paths if (sound := _sound_of_shot(path)) is not None]:
            found[name] = waveforms
    if not found:
        raise CMACError(f"{root} holds no recording for training; {SEE_LAYOUT}")
    return found


def _with_notes(library: Library, root: Path, phrases: int) -> Library:
    fonts = sorted((root / "scenes").glob("*.sf2"))
    if not phrases or len(fonts) != 1:
        return library
    try:
        return with_notes(library, fonts[0], phrases)
    except CMACError as error:
        print(f"cmac_hub.train: no notes of instruments: {error}", file=sys.stderr)
        return library


def _recording(path: Path) -> Sound | None:
    try:
        return load_sound(path)
    except MediaError as error:
        raise CMACError(f"{path} is no sound that can be read ({error})") from error


def _sound_of_shot(path: Path) -> Sound | None:
    try:
        return load_sound(path)
    except MediaError:
        return None
