import pytest

from cmac_hub.demo import KINDS
from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import main
from cmac_hub.train.recipe import load_recipe
from cmac_hub.train.scenes.folder_library import split_of
from cmac_hub.train.scenes.library import NoThingsError
from cmac_hub.train.scenes.pairs import ScenePairs
from cmac_hub.train.scenes.readers import libraries, load_library

ENDINGS = (("picture", "png"), ("sound", "m4a"))


def test_splits_share_no_file(own_folder):
    found = {split: load_library(own_folder, split, progress=False) for split in ("train", "validation", "test")}
    for thing in range(3):
        pictures = [{p.tobytes() for p in found[split].things[thing].pictures} for split in found]
        assert not pictures[0] & pictures[2]
    assert [thing.name for thing in found["train"].things] == sorted(KINDS[:3])
    assert not any(thing.borrowed for thing in found["train"].things)
    assert len(found["train"].distractors) == 1


def test_without_a_folder_the_package_draws_known_things_and_no_new_ones():
    found = dict(libraries(None, "validation"))
    assert [thing.name for thing in found["known"].things] == [f"drawn_{kind}" for kind in KINDS] and len(found) == 1
    with pytest.raises(NoThingsError, match="draws no new things"):
        load_library(None, "test", "new")


def test_a_name_decides_the_split_in_the_promised_shares():
    splits = [split_of(f"{i}.png") for i in range(2000)]
    assert splits.count("train") / 2000 == pytest.approx(0.7, abs=0.03)
    assert splits.count("test") / 2000 == pytest.approx(0.2, abs=0.03)


def test_scenes_are_composed_from_it(own_folder, tmp_path):
    command = [
        "scenes",
        "--data",
        str(own_folder),
        "--split",
        "train",
        "--count",
        "2",
        "--seconds",
        "1",
        "--size",
        "64",
    ]
    assert main([*command, "-o", str(tmp_path)]) == 0
    assert (tmp_path / "scene_00001.mp4").exists()


def test_what_is_missing_or_broken_is_named(own_folder, tmp_path):
    (tmp_path / "things" / "dog").mkdir(parents=True)
    with pytest.raises(CMACError, match="gives 0 known things and 0 photographs"):
        load_library(tmp_path, "train", progress=False)
    names = [f"{i}.png" for i in range(20) if split_of(f"{i}.png") == "train"]
    sounds = [f"{i}.wav" for i in range(20) if split_of(f"{i}.wav") == "train"]
    (tmp_path / "things" / "dog" / names[0]).write_text("no video")
    (tmp_path / "things" / "dog" / sounds[0]).write_text("no audio")
    with pytest.raises(CMACError, match="is no picture that can be read"):
        load_library(tmp_path, "train", progress=False)
    rows = [f"{kind},dog,{own_folder}/things/{KINDS[0]}/{KINDS[0]}0.{end},train" for kind, end in ENDINGS]
    (tmp_path / "cut.jpg").write_bytes((own_folder / "backgrounds" / "0.jpg").read_bytes()[:600])
    (tmp_path / "library.csv").write_text("\n".join(["kind,thing,file,split", *rows, "background,,cut.jpg,train"]))
    with pytest.raises(CMACError, match=r"cut\.jpg is no photograph that can be read"):
        load_library(tmp_path, "train", progress=False)


def test_too_few_things_are_told(own_folder, tmp_path, capsys):
    """Two known things and one that is never seen: nothing to train on, and nothing to grade apart."""
    rows = ["kind,thing,file,split", f"background,,{own_folder}/backgrounds/0.jpg,train"]
    for kind, split in zip(KINDS[:3], ("train", "train", "test"), strict=True):
        rows += [f"{what},{kind},{own_folder}/things/{kind}/{kind}0.{end},{split}" for what, end in ENDINGS]
    (tmp_path / "library.csv").write_text("\n".join(rows))
    with pytest.raises(CMACError, match=r"too few things to mix .*; give at least 3"):
        ScenePairs(load_recipe("nano"), tmp_path)
    assert f"1 of 3 things have no picture or no sound for training: {KINDS[2]}" in capsys.readouterr().err
    assert [which for which, _ in libraries(tmp_path, "test")] == ["known"]
    assert f"the only new things are {KINDS[2]}" in capsys.readouterr().err


def test_a_csv_names_files_that_lie_elsewhere(own_folder, tmp_path):
    rows = ["kind,thing,file,split"]
    for kind in KINDS[:2]:
        for ending, what in (("png", "picture"), ("m4a", "sound")):
            rows += [f"{what},{kind},{own_folder}/things/{kind}/{kind}0.{ending},train"]
    rows += [f"silent,,{own_folder}/silent/one.png,", f"background,,{own_folder}/backgrounds/0.jpg,train"]
    (tmp_path / "library.csv").write_text("\n".join(rows) + "\n")
    found = load_library(tmp_path, "train", progress=False)
    assert [thing.name for thing in found.things] == sorted(KINDS[:2]) and len(found.backgrounds) == 1
    assert not any(thing.borrowed for thing in found.things)
    assert all(thing.borrowed for thing in load_library(tmp_path, "test", progress=False).things), "files of training"
    for text, message in (
        ("path,thing\n", "has no column kind, file"),
        ("kind,thing,file\npicture,dog,gone.png\n", "line 2: kind 'picture'"),
        (f"kind,thing,file\npicture,,{own_folder}/silent/one.png\n", "thing ''"),
        (
            f"kind,thing,file\nvideo,dog,{own_folder}/silent/one.png\n",
            "accepted are picture, sound, silent, background",
        ),
    ):
        (tmp_path / "library.csv").write_text(text)
        with pytest.raises(CMACError, match=message):
            load_library(tmp_path, "train", progress=False)


def test_things_never_seen_may_be_missing(own_folder):
    assert [which for which, _ in libraries(own_folder, "validation")] == ["known"]
    with pytest.raises(NoThingsError, match="gives 0 new things"):
        load_library(own_folder, "validation", "new", progress=False)
