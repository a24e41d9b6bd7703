"""Folders that are searched: links, circles, and what is reached twice."""

import os
import warnings

import pytest

from cmac_hub.errors import MediaError
from cmac_hub.media.find import find_inputs, walk


@pytest.fixture
def tree(tmp_path):
    """real/dog/a.mp4, and a set whose class folders are links or not."""
    (tmp_path / "real" / "dog").mkdir(parents=True)
    (tmp_path / "real" / "dog" / "a.mp4").write_bytes(b"a")
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat" / "b.mp4").write_bytes(b"b")
    return tmp_path


def names(folder, **how):
    return [one.relative.as_posix() for one in find_inputs([str(folder)], **how)]


def test_linked_folders_are_entered(tree):
    (tree / "set" / "dog").symlink_to("../real/dog")
    assert names(tree / "set") == ["cat/b.mp4", "dog/a.mp4"]
    (tree / "all").mkdir()
    (tree / "all" / "dog").symlink_to("../real/dog")
    assert names(tree / "all") == ["dog/a.mp4"], "links alone"
    (tree / "link").symlink_to("all")
    assert names(tree / "link") == ["dog/a.mp4"]


def test_circles_of_links_end(tree):
    (tree / "set" / "up").symlink_to("..")
    (tree / "set" / "cat" / "again").symlink_to("../cat")
    (tree / "set" / "self").symlink_to("self")
    (tree / "real" / "set").symlink_to("../set")
    assert names(tree / "set") == ["cat/b.mp4", "up/real/dog/a.mp4"]


def test_what_is_reached_twice_comes_once_under_its_own_name(tree):
    (tree / "set" / "a_first").symlink_to("cat")
    (tree / "set" / "all.mp4").symlink_to("cat/b.mp4")
    assert names(tree / "set") == ["cat/b.mp4"]
    for name in ("b_dog", "a_dog"):
        (tree / "set" / name).symlink_to("../real/dog")
    assert names(tree / "set") == ["a_dog/a.mp4", "cat/b.mp4"], "of links the first by name"


def test_hidden_folders_and_outputs_are_passed_over(tree):
    (tree / "set" / ".cache").symlink_to("../real/dog")
    (tree / "set" / "out").symlink_to("../real")
    assert names(tree / "set", output=tree / "set" / "out") == ["cat/b.mp4"]
    assert names(tree / "set", output=tree / "real") == ["cat/b.mp4"]
    with pytest.raises(MediaError, match="holds no media file"):
        names(tree / "real", output=tree / "real" / "dog")
    assert names(tree / "real" / "dog", output=tree / "real") == ["a.mp4"], "the other way round"


def test_a_folder_that_may_not_be_read_is_said(tree, monkeypatch):
    closed, iterdir = tree / "set" / "cat", type(tree).iterdir
    (tree / "set" / "c.mp4").touch()

    def denied(path):
        if path == closed:
            raise PermissionError(13, os.strerror(13))
        return iterdir(path)

    monkeypatch.setattr(type(tree), "iterdir", denied)
    with pytest.warns(UserWarning, match="set/cat is left out: Permission denied"):
        assert names(tree / "set") == ["c.mp4"]


def test_walk_has_every_file_in_order(tree):
    (tree / "set" / "a.txt").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [path.name for path in walk(tree / "set")] == ["a.txt", "b.mp4"]
