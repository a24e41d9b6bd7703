import pytest
from making import write_media

from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.footage import read_shots
from cmac_hub.train.scenes.real_shots import find_shots, held_out_shots, training_shots
from cmac_hub.train.scenes.splits import load_splits


def group_of(split: str) -> str:
    return next(row.name for row in load_splits().rows("clip_group") if row.split == split)


@pytest.fixture
def root(tmp_path):
    for folder, rows in {
        "clips": [("a.mp4", "train"), ("b.mp4", "test"), ("", "test")],
        "clips_more": [("c.mp4", "train"), ("d.mp4", "test"), ("e.mp4", "train"), ("f.mp4", "test")],
    }.items():
        (tmp_path / folder).mkdir()
        lines = ["file,label_source,group"]
        for name, split in rows:
            made = name in ("c.mp4", "f.mp4")
            lines.append(f"{name},by eye; {'made by a model' if made else 'original sound'},{group_of(split)}")
        (tmp_path / folder / f"{folder}.csv").write_text("\n".join(lines))
    return tmp_path


def names(shots) -> list[str]:
    return [shot.path.name for shot in shots]


def test_recipes_choose_their_footage_and_made_sounds_are_left_out_unless_asked_for(root):
    assert names(training_shots(root)) == ["a.mp4"]
    assert names(training_shots(root, "original")) == ["a.mp4", "e.mp4"]
    assert names(training_shots(root, "all")) == ["a.mp4", "c.mp4", "e.mp4"]
    assert {shot.folder for shot in training_shots(root, "all")} == {"clips", "clips_more"}


def test_only_what_sounds_as_it_was_filmed_grades(root):
    assert names(held_out_shots(root, "test")) == ["b.mp4", "d.mp4"]
    assert held_out_shots(root, "validation") == []


def test_there_may_be_no_shots_to_train_on_but_some_to_grade_on(tmp_path):
    assert training_shots(tmp_path, "all") == [] and list(read_shots(tmp_path, 64, progress=False)) == []
    with pytest.raises(CMACError, match=r"has no folder 'clips' with real shots; give the folder"):
        held_out_shots(tmp_path, "test")


def test_a_group_without_a_split_is_refused(root):
    (root / "clips" / "clips.csv").write_text("file,group\na.mp4,no such group\n")
    with pytest.raises(CMACError, match="no such group"):
        find_shots(root, "clips")


def test_broken_shots_and_shots_without_sound_are_passed_over(root):
    write_media(root / "clips" / "a.mp4", size=(96, 64))
    (root / "clips_more" / "e.mp4").write_bytes(b"no video")
    assert list(read_shots(root, 64, "original", progress=False)) == []


def test_the_shared_shots_are_split_as_their_groups(shared):
    if not (shared / "clips_more").is_dir():
        pytest.skip("../shared/data has no clips_more")
    counts = [len(find_shots(shared, folder)) for folder in ("clips", "clips_more")]
    assert counts == [274, 334]
    assert len(training_shots(shared)) == 163 and len(training_shots(shared, "all")) == 361
    assert {shot.path.name for shot in held_out_shots(shared, "test")}.isdisjoint(names(training_shots(shared, "all")))
