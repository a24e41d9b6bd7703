import csv
import shutil

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.train.distillation import recordings as module
from cmac_hub.train.distillation.recordings import load_recordings, recording_files, shot_files
from cmac_hub.train.scenes.folder_library import split_of
from cmac_hub.train.scenes.splits import load_splits


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def entries(kind, split, **wanted):
    return [row.name for row in load_splits().rows(kind) if row.split == split]


@pytest.fixture
def collected(tmp_path):
    """The collected layout as tables alone: a clip of every Freesound recording under a known and a held-out label."""
    splits = load_splits()
    (tmp_path / "scenes").mkdir()
    rows = [
        {"filename": f"{recording}.flac", "fold": fold, "category": category, "src_file": recording}
        for split, fold in (("train", 1), ("validation", 4), ("test", 5))
        for recording in entries("recording", split)
        if not recording.startswith("pairs/")
        for category in ("dog", "airplane")
    ]
    assert splits.split_of("thing", splits.thing_of("label", "esc50/dog")) == "train"
    assert splits.split_of("thing", splits.thing_of("label", "esc50/airplane")) != "train"
    write_csv(tmp_path / "esc50" / "esc50.csv", rows)
    return tmp_path


def test_only_recordings_and_things_of_training_are_heard(collected):
    found = recording_files(collected)
    things = {row.name for row in load_splits().rows("thing") if row.split == "train"}
    assert set(found) <= things
    used = {path.stem for paths in found.values() for path in paths if path.parent.parent.name == "esc50"}
    assert used == {name for name in entries("recording", "train") if not name.startswith("pairs/")}
    pairs = {f"pairs/{path.name}" for paths in found.values() for path in paths if path.parent.name == "pairs"}
    assert pairs <= set(entries("recording", "train"))


def test_tested_folds_and_their_recordings_stay_unheard(shared):
    """ESC-50's fold 5 and UrbanSound8K's fold 10: no clip of them, and no clip of any recording that is in them."""
    used = {path for paths in recording_files(shared).values() for path in paths}
    tables = {
        "esc50": ("5", "src_file", shared / "esc50" / "audio"),
        "urbansound8k": ("10", "freesound_id", shared / "urbansound8k"),
    }
    rows = {name: list(csv.DictReader((shared / name / f"{name}.csv").open(newline=""))) for name in tables}
    tested = {row[i] for name, (fold, i, _) in tables.items() for row in rows[name] if row["fold"] == fold}
    clips = {folder / row["filename"]: row[i] for name, (_, i, folder) in tables.items() for row in rows[name]}
    assert len(used & set(clips)) > 1000
    assert not {clips[path] for path in used & set(clips)} & tested


def test_only_shots_of_training_are_heard(tmp_path):
    rows = [
        {"file": f"{group}.mp4", "kind": "music" if int(group) % 2 else "speech", "group": group}
        for split in ("train", "validation", "test")
        for group in entries("clip_group", split)
    ]
    for name in ("clips", "clips_more"):
        write_csv(tmp_path / name / f"{name}.csv", rows)
    found = shot_files(tmp_path)
    assert set(found) == {"shots: music", "shots: speech"}
    groups = sorted(path.stem for paths in found.values() for path in paths)
    assert groups == sorted(2 * entries("clip_group", "train")), "both folders are read"


def test_shots_without_sound_are_left_out(own_folder, tmp_path, clip, video_only):
    (tmp_path / "things").symlink_to(own_folder / "things")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "loud.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "clips" / "mute.mp4").write_bytes(video_only.read_bytes())
    group = entries("clip_group", "train")[0]
    rows = [{"file": f"{name}.mp4", "kind": "music", "group": group} for name in ("loud", "mute")]
    write_csv(tmp_path / "clips" / "clips.csv", rows)
    assert len(load_recordings(tmp_path, progress=False)["shots: music"]) == 1


def test_a_folder_of_ones_own_gives_its_training_files(own_folder):
    found = load_recordings(own_folder, progress=False)
    for name, sounds in found.items():
        files = [path.name for path in (own_folder / "things" / name).glob("*.m4a")]
        assert len(sounds) == sum(split_of(file) == "train" for file in files)
        for sound in sounds:
            assert sound.dtype == np.int16 and abs(int(np.abs(sound.astype(int)).max()) - 0.9 * 32767) < 2


def test_a_thing_without_a_picture_is_heard_too(tmp_path):
    name = next(f"{i}.m4a" for i in range(9) if split_of(f"{i}.m4a") == "train")
    (tmp_path / "things" / "wind").mkdir(parents=True)
    write_media(tmp_path / "things" / "wind" / name, sound=tone(0.5))
    assert list(load_recordings(tmp_path, progress=False)) == ["wind"]


def test_notes_that_cannot_be_played_are_said_and_left_out(own_folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "things").symlink_to(own_folder / "things")
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "broken.sf2").write_text("no font")
    monkeypatch.setitem(__import__("sys").modules, "tinysoundfont", None)
    assert load_recordings(tmp_path, 4, progress=False).keys() == load_recordings(own_folder, progress=False).keys()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no notes of instruments" in line and "pip install --no-deps tinysoundfont" in line


@pytest.mark.extras
def test_notes_are_played_for_instruments_of_training(shared, monkeypatch):
    pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
    bare = {"tuba": recording_files(shared)["tuba"]}
    monkeypatch.setattr(module, "recording_files", lambda root: bare)
    monkeypatch.setattr(module, "shot_files", lambda root: {})
    (sounds,) = load_recordings(shared, 5, progress=False).values()
    assert len({sound.tobytes() for sound in sounds}) == len(bare["tuba"]) + 5


def test_what_is_missing_or_broken_is_one_line(tmp_path):
    with pytest.raises(CMACError, match="has no folder 'scenes' or 'things'"):
        load_recordings(tmp_path, progress=False)
    (tmp_path / "things" / "dog").mkdir(parents=True)
    with pytest.raises(CMACError, match="holds no recording for training"):
        load_recordings(tmp_path, progress=False)
    names = [f"{i}.wav" for i in range(9) if split_of(f"{i}.wav") == "train"]
    (tmp_path / "things" / "dog" / names[0]).write_text("no sound")
    with pytest.raises(CMACError, match="is no sound that can be read"):
        load_recordings(tmp_path, progress=False)


def test_things_that_training_never_sees_stay_unheard(own_folder, tmp_path):
    shutil.copytree(own_folder / "things", tmp_path / "things")
    name = next(iter(recording_files(tmp_path)))
    pictures = [path for path in (tmp_path / "things" / name).iterdir() if path.suffix == ".png"]
    for number, path in enumerate(pictures):
        unseen = next(f"p{i}.png" for i in range(number * 100, 99999) if split_of(f"p{i}.png") == "test")
        path.rename(path.with_name(unseen))
    assert pictures and name not in recording_files(tmp_path)
    assert recording_files(tmp_path).keys() == recording_files(own_folder).keys() - {name}
