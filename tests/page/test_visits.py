"""Visitors do not meet, and nothing of theirs stays."""

from cmac_hub.page.visits import Visits


def test_folders_are_apart_and_the_former_one_goes(tmp_path):
    visits = Visits(tmp_path)
    first = visits.folder("a", "found")
    (first / "x.mp4").touch()
    scene, other = visits.folder("a", "scene"), visits.folder("b", "found")
    again = visits.folder("a", "found")
    assert len({first, scene, other, again}) == 4
    assert not first.exists() and scene.is_dir() and other.is_dir() and again.is_dir()


def test_a_visitor_leaves_with_all_that_is_theirs(tmp_path):
    visits = Visits(tmp_path)
    mine, theirs = visits.folder("a", "found"), visits.folder("b", "found")
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
    assert visits.folder("../../x", "found").resolve().is_relative_to(root)
    visits.keep("../../x", outside)
    visits.keep("../../x", root / ".." / "outside.mp4")
    visits.leave("../../x")
    assert outside.exists() and root.is_dir()
