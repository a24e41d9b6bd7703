import csv
from collections import Counter
from importlib import resources

import pytest

from cmac_hub.train.scenes.splits import load_splits


def read_rows(name: str = "real_boxes_more.csv") -> list[dict[str, str]]:
    text = (resources.files("cmac_hub.train.evaluate") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_corners_are_shares_of_the_picture_and_no_box_is_nearly_all_of_it():
    for row in read_rows():
        x0, y0, x1, y1 = (float(row[name]) for name in ("x0", "y0", "x1", "y1"))
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, row
        assert (x1 - x0) * (y1 - y0) <= 0.95, row


def test_files_are_sorted_names_each_with_one_time_and_no_box_twice():
    rows = read_rows()
    files = [row["file"] for row in rows]
    assert files == sorted(files) and not any("/" in name for name in files)
    assert len({(row["file"], row["time"]) for row in rows}) == len(set(files)) == 44
    assert len({tuple(row.values()) for row in rows}) == len(rows)
    assert all(float(row["time"]) > 0 for row in rows)


def test_boxed_shots_are_held_out_with_their_own_sound_and_at_most_two_of_a_scene(shared):
    table = shared / "clips_more" / "clips_more.csv"
    if not table.is_file():
        pytest.skip("../shared/data has no clips_more/clips_more.csv")
    with table.open(newline="", encoding="utf-8") as file:
        listed = {row["file"]: row for row in csv.DictReader(file)}
    shots = [listed[name] for name in {row["file"] for row in read_rows()}]
    splits = Counter(load_splits().split_of("clip_group", shot["group"]) for shot in shots)
    assert splits == {"test": 29, "validation": 15}
    assert all(shot["label_source"].endswith("original sound") for shot in shots)
    assert max(Counter(shot["group"] for shot in shots).values()) <= 2
