"""Data made small enough to travel: what training keeps in memory, and nothing else.

    python -m cmac_hub.train pack DATA -o SMALL --split train validation --size 64

Pictures are cut and shrunk as the library does, sounds become Opus at 16 kHz, photographs shrink, the real shots of
training become small videos, and a sound font comes along. SMALL is read like any folder with a `library.csv`, and
every file keeps its split.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image
from tqdm import tqdm

from cmac_hub.errors import OutputError
from cmac_hub.files import make_folder
from cmac_hub.media import write_audio, write_video
from cmac_hub.train.scenes.folder_library import COLUMNS
from cmac_hub.train.scenes.footage import read_shots
from cmac_hub.train.scenes.library import FILM_RATE, SAMPLE_RATE, File, load_photograph, load_picture, load_sound
from cmac_hub.train.scenes.readers import library_files
from cmac_hub.train.scenes.real_shots import ORIGINAL_SOUND
from cmac_hub.train.scenes.splits import Split
from cmac_hub.train.writing import writing


def pack(
    root: Path,
    folder: Path,
    *,
    splits: Sequence[Split] = get_args(Split),
    size: int = 128,
    bit_rate: int = 24000,
    progress: bool = True,
) -> Counter[str]:
    """Writes the small copy.

    Args:
        root: a folder that `pretrain --data` takes.
        folder: of the copy; new, or empty.
        splits: whose files come along.
        size: pixels of the largest clips that will be composed, or cut from the shots.
        bit_rate: of sounds, bits a second.
        progress: show progress bars on stderr.

    Returns:
        how many files of each kind were written.

    Raises:
        CMACError, OSError: a file cannot be read, or a picture not be written.
        OutputError: the folder holds something, or cannot be written.
    """
    if make_folder(folder) and any(folder.iterdir()):
        raise OutputError(f"{folder} is not empty; choose another output")
    files = library_files(root)
    counts: Counter[str] = Counter()
    rows = []
    for number, file in enumerate(tqdm(files, disable=not progress, unit="file", desc="pack")):
        if file.split not in splits:
            continue
        if (written := _write(file, folder, f"{file.kind}_{number:05d}", size, bit_rate)) is not None:
            rows.append((file.kind, file.thing, written, file.split))
            counts[file.kind] += 1
    if "train" in splits:
        counts["shot"] = _pack_shots(root, folder, size, progress)
    fonts = sorted((root / "scenes").glob("*.sf2"))
    if fonts:
        make_folder(folder / "scenes")
    for font in fonts:
        shutil.copy(font, folder / "scenes")
        counts["sound font"] += 1
    # Last, so that a copy that was broken off is none.
    with writing(folder / "library.csv", overwrite=False) as table:
        csv.writer(table).writerows([COLUMNS, *rows])
    return counts


def _write(file: File, folder: Path, name: str, size: int, bit_rate: int) -> str | None:
    """One file at the library's own size; None for a sound that is all but silent."""
    if file.kind == "sound":
        sound = load_sound(file.path)
        if sound is None:
            return None
        write_audio(folder / f"{name}.opus", sound.samples / np.float32(32767), SAMPLE_RATE, bit_rate)
        return f"{name}.opus"
    if file.kind == "background":
        Image.fromarray(load_photograph(file.path, size)).save(folder / f"{name}.jpg", quality=90)
        return f"{name}.jpg"
    premultiplied = load_picture(file.path, size)
    height, width = premultiplied.shape[:2]
    picture = Image.frombytes("RGBa", (width, height), premultiplied.tobytes()).convert("RGBA")
    picture.save(folder / f"{name}.webp", lossless=True)
    return f"{name}.webp"


def _pack_shots(root: Path, folder: Path, size: int, progress: bool) -> int:
    rows: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for file, shot in read_shots(root, size, "all", progress=progress):
        target = folder / file.folder / file.path.with_suffix(".mp4").name
        make_folder(target.parent)
        height, width = shot.frames_THWC.shape[1:3]
        write_video(target, iter(shot.frames_THWC), FILM_RATE, shot.waveform, SAMPLE_RATE, size=(width, height))
        source = ORIGINAL_SOUND if file.original_sound else "made sound"
        rows[file.folder].append((target.name, file.group, source, file.kind))
    for name, listed in rows.items():
        with writing(folder / name / f"{name}.csv") as table:
            csv.writer(table).writerows([("file", "group", "label_source", "kind"), *listed])
    return sum(map(len, rows.values()))
