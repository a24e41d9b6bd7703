"""Visitors do not meet, and nothing of theirs stays."""

import os

import pytest

from cmac_hub.page.visits import LeftError, Visits


def test_folders_are_apart_and_the_last_two_stay(tmp_path):
    visits = Visits(tmp_path)
    other, first = visits.folder("b"), visits.folder("a")
    os.utime(first, (1, 1))
    second = visits.folder("a")
    assert first.is_dir() and first.parent == second.parent == visits.home("a") != other.parent
    third = visits.folder("a")
    assert not first.exists() and len({other, first, second, third}) == 4
    assert all(folder.is_dir() for folder in (other, second, third))


def test_nothing_is_made_for_who_has_just_left(tmp_path, monkeypatch):
    visits = Visits(tmp_path)
    visits.leave("a")
    with pytest.raises(LeftError):
        visits.folder("a")
    visits.leave("b")
    monkeypatch.setattr("cmac_hub.page.visits.STALE", 0.0)
    assert visits.folder("a").is_dir(), "a computer that slept"


def test_a_visitor_leaves_with_all_that_is_theirs(tmp_path):
    visits = Visits(tmp_path)
    mine, theirs = visits.folder("a"), visits.folder("b")
    shared, alone = tmp_path / "hash1" / "clip.mp4", tmp_path / "hash2" / "clip.mp4"
    for path in (shared, alone):
        path.parent.mkdir()
        path.touch()
    visits.keep("a", shared)
    visits.keep("a", alone)
    visits.keep("b", shared)
    visits.leave("a")
    assert not mine.exists() and not alone.exists() and theirs.is_dir() and shared.exists()
    visits.leave("b")
    visits.leave("never came")
    assert not theirs.exists() and not shared.exists()


def test_a_name_from_the_browser_is_no_path_and_files_of_others_stay(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside.mp4"
    root.mkdir()
    outside.touch()
    visits = Visits(root)
    assert visits.folder("../../x").resolve().is_relative_to(root)
    visits.keep("../../x", outside)
    visits.keep("../../x", root / ".." / "outside.mp4")
    visits.leave("../../x")
    assert outside.exists() and root.is_dir()


def test_equal_files_of_other_names_and_what_is_no_upload_stay(tmp_path):
    visits = Visits(tmp_path)
    mine, theirs = (tmp_path / "hash" / name for name in ("mine.mp4", "theirs.mp4"))
    mine.parent.mkdir()
    for path in (mine, theirs, tmp_path / "page.html", visits.home("b") / "found.mp4"):
        path.touch()
    for path in (mine, tmp_path / "nothing.mp4", tmp_path / "page.html", tmp_path / "visits" / "x"):
        visits.keep("a", path)
    visits.leave("a")
    assert not mine.exists() and theirs.exists()
    assert (tmp_path / "page.html").exists() and (visits.home("b") / "found.mp4").exists()
