"""Action videos in the official splits of UCF101 and HMDB51."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cmac_hub.errors import CMACError
from cmac_hub.media.find import find_inputs
from cmac_hub.text import legible, lines_of
from cmac_hub.train.evaluate.sets import find_set


class ActionVideo(NamedTuple):
    """One video and what is done in it."""

    path: Path
    label: str


class ActionSplit(NamedTuple):
    """Videos of one official split."""

    train: list[ActionVideo]
    test: list[ActionVideo]


def find_split(name: str, videos: Path, lists: Path, split: int = 1) -> ActionSplit:
    """Reads the official lists.

    Args:
        name: "ucf101" or "hmdb51", of `cmac_hub.train.evaluate.sets`.
        videos: the folder that is searched for the videos, by file name.
        lists: the folder of the lists.
        split: 1, 2 or 3.

    Raises:
        CMACError: an unknown set, a missing folder or list, a list that names a video that is not there, or a class
            without any video for training.
    """
    read = find_set("finetune", name).function()
    if not videos.is_dir():
        raise CMACError(f"there is no folder of videos {videos}")
    files = {one.path.name: one.path for one in find_inputs([str(videos)])}
    rows = [
        (part, file if file in files else legible(file), legible(label)) for part, file, label in read(lists, split)
    ]
    missing = [file for _, file, _ in rows if file not in files]
    if missing:
        raise CMACError(
            f"{len(missing)} of {len(rows)} videos in the lists are not in {videos}, the first is {missing[0]}"
        )
    found = ActionSplit([], [])
    for part, file, label in rows:
        (found.train if part == "train" else found.test).append(ActionVideo(files[file], label))
    if not found.train or not found.test:
        raise CMACError(
            f"split {split} in {lists} has {len(found.train)} videos to train and {len(found.test)} to test"
        )
    untrained = sorted({one.label for one in found.test} - {one.label for one in found.train})
    if untrained:
        raise CMACError(f"class {untrained[0]} has videos to test and none to train; check the lists in {lists}")
    return found


def read_ucf101(lists: Path, split: int) -> list[tuple[str, str, str]]:
    """(part, file, label) of lines of trainlist01.txt and testlist01.txt such as `Archery/v_Archery_g01_c01.avi 3`."""
    rows = []
    for part in ("train", "test"):
        path = lists / f"{part}list{split:02d}.txt"
        if not path.is_file():
            raise CMACError(f"there is no list {path}; give the folder of UCF101's trainlist01.txt and testlist01.txt")
        for line in lines_of(path):
            label, _, file = line.split()[0].partition("/")
            if not file:
                raise CMACError(f"{path} has the line {line!r}; expected CLASS/VIDEO.avi")
            rows.append((part, file, label))
    return rows


def read_hmdb51(lists: Path, split: int) -> list[tuple[str, str, str]]:
    """(part, file, label) of lines of LABEL_test_split1.txt such as `video.avi 1` (1 trains, 2 tests, 0 neither)."""
    paths = sorted(lists.glob(f"*_test_split{split}.txt"))
    if not paths:
        raise CMACError(f"{lists} has no *_test_split{split}.txt; give the folder of HMDB51's lists")
    rows = []
    for path in paths:
        label = path.name.removesuffix(f"_test_split{split}.txt")
        for line in lines_of(path):
            file, _, part = line.rpartition(" ")
            if part in ("1", "2"):
                rows.append(("train" if part == "1" else "test", file.strip(), label))
    return rows
