import csv

import pytest

from cmac_hub.demo import DEMO_SEEDS
from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.collected_library import _labeled_recordings
from cmac_hub.train.scenes.splits import load_splits

ORDER = {"train": 0, "validation": 1, "test": 2}


def test_the_table_is_whole():
    splits = load_splits()
    assert {kind: len(splits.rows(kind)) for kind in ("thing", "background", "clip_group")} == {
        "thing": 110,
        "background": 116,
        "clip_group": 555,
    }
    assert sum(row.split == "test" for row in splits.rows("thing")) == 20


@pytest.mark.parametrize("kind", ["picture", "label"])
def test_what_shows_or_names_a_held_out_thing_is_held_out(kind):
    splits = load_splits()
    for row in splits.rows(kind):
        if row.thing:
            assert ORDER[row.split] >= ORDER[splits.split_of("thing", row.thing)], row


def test_one_drawing_in_two_folders_has_one_split():
    found: dict[str, set[str]] = {}
    for row in load_splits().rows("picture"):
        found.setdefault(row.name.rsplit("/", 1)[-1], set()).add(row.split)
    assert all(len(splits) == 1 for splits in found.values())


def test_every_training_thing_has_training_pictures():
    splits = load_splits()
    seen = {row.thing for row in splits.rows("picture") if row.split == "train"}
    shown = {row.thing for row in splits.rows("picture")}
    assert {row.name for row in splits.rows("thing") if row.split == "train"} & shown <= seen


def test_esc50_fold_5_is_test_and_no_recording_is_in_two_splits(shared):
    splits = load_splits()
    with (shared / "esc50" / "esc50.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {splits.split_of("recording", row["src_file"]) for row in rows if row["fold"] == "5"} == {"test"}
    for _, label, recording in _labeled_recordings(shared):
        assert splits.thing_of("label", label)
        assert splits.split_of("recording", recording) in ORDER


def test_every_shot_has_a_group_and_the_demo_is_held_out(shared):
    splits = load_splits()
    for folder in ("clips", "clips_more"):
        with (shared / folder / f"{folder}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                assert splits.split_of("clip_group", row["group"]) in ORDER
    first, last = DEMO_SEEDS[0], DEMO_SEEDS[-1]
    assert splits.split_of("drawn_seeds", f"{first}-{last}") == "test"


def test_an_unlisted_file_is_refused():
    with pytest.raises(CMACError, match=r"no picture 'cat\.png'"):
        load_splits().split_of("picture", "cat.png")
