"""The work behind the page, without a browser."""

import dataclasses
import warnings

import pytest

from cmac_hub.demo import KINDS, make_scene
from cmac_hub.errors import ArgumentError, MediaError
from cmac_hub.media import probe
from cmac_hub.page import finding, limits
from cmac_hub.page.curve import draw_curve
from cmac_hub.page.finding import SCENES, Finder, draw_scene, surest_moment
from cmac_hub.page.visits import LeftError

CHOSEN = {"map": "joint", "layout": "overlay", "scale": "absolute"}


@pytest.fixture(scope="module")
def finder(model_folder):
    return Finder((str(model_folder),))


@pytest.fixture(scope="module")
def found(finder, clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found")
    return finder.find(clip, folder, network=finder.names[0], **CHOSEN)


def test_an_overlay_is_drawn_and_progress_told(finder, clip, tmp_path):
    told = []
    found = finder.find(clip, tmp_path, network=finder.names[0], **CHOSEN, progress=told.append)
    assert probe(found.video).has_audio and found.video.name == "clip_attention.mp4"
    assert len(told) == 75 and told == sorted(told) and told[0] == 0 and 0.95 < told[-1] <= 1
    assert (found.start, found.width, found.height, found.warnings) == (0.0, 96, 64, ())
    assert found.end == pytest.approx(3.0, abs=0.1) and len(found.peaks) == 11


def test_a_network_is_loaded_once_and_only_if_it_is_offered(finder, monkeypatch):
    assert finder.visualizer(finder.names[0]) is finder.visualizer(finder.names[0])
    monkeypatch.setattr(finding, "load", None)
    with pytest.raises(ArgumentError, match="network is '/etc'"):
        finder.visualizer("/etc")


def test_who_has_left_is_not_worked_for(finder, clip, tmp_path):
    folder, told = tmp_path / "mine", []
    folder.mkdir()

    def leave(share):
        told.append(share)
        for made in folder.iterdir():
            made.unlink()
        folder.rmdir()

    with pytest.raises(LeftError):
        finder.find(clip, folder, network=finder.names[0], **CHOSEN, progress=leave)
    assert len(told) == 1 and not folder.exists()


def test_frames_that_go_on_beyond_what_was_told_end_the_work(finder, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(finding, "check_clip", lambda path: dataclasses.replace(probe(path), duration=None))
    with pytest.raises(MediaError, match="lasts 2 s or more"):
        finder.find(clip, tmp_path, network=finder.names[0], **CHOSEN)
    assert not list(tmp_path.iterdir())


def test_a_warning_is_told_to_whom_it_concerns(finder, clip, tmp_path, monkeypatch):
    def warning(path):
        warnings.warn(f"the clock of {path} was mended", stacklevel=1)
        warnings.warn("the clock of other.mp4 was mended", stacklevel=1)
        return probe(path)

    monkeypatch.setattr(finding, "check_clip", warning)
    found = finder.find(clip, tmp_path, network=finder.names[0], **CHOSEN)
    assert found.warnings == (f"the clock of {clip} was mended",)


def test_a_moment_is_drawn_wherever_it_is_chosen(finder, found, tmp_path):
    for name, time in (("a", surest_moment(found)), ("b", -5.0), ("c", 99.0)):
        finder.draw_moment(found, time, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    best = max(found.peaks, key=lambda peak: peak.score)
    assert surest_moment(found) == best.time


def test_a_scene_is_drawn(tmp_path):
    info = probe(draw_scene("flute, car", tmp_path))
    assert info.has_audio and info.duration == pytest.approx(6.0, abs=0.1)
    with pytest.raises(ArgumentError, match="scene is 'cat'"):
        draw_scene("cat", tmp_path)


def test_scenes_are_those_of_their_names():
    drawn = {name: make_scene(seed, seconds=0.5) for name, seed in SCENES.items()}
    assert all(f"{scene.source}, {scene.distractor}" == name for name, scene in drawn.items())
    assert {scene.source for scene in drawn.values()} == set(KINDS)


def test_the_curve_has_every_window_and_marks_silence(found):
    drawn = draw_curve(found)
    points = drawn.split('class="score" points="')[1].split('"')[0].split()
    assert len(points) == len(found.peaks)
    xs = [float(point.split(",")[0]) for point in points]
    assert xs == [pytest.approx(1000 * p.time / found.end, abs=0.1) for p in found.peaks]
    assert "<rect" not in drawn and "<line" in drawn and drawn.count("<polyline") == 3
    quiet = tuple(dataclasses.replace(peak, audible=peak.time > 1) for peak in found.peaks)
    drawn = draw_curve(dataclasses.replace(found, peaks=quiet, lit_from=None))
    assert "gray: nothing to hear" in drawn and "<rect" in drawn and "<line" not in drawn
    assert "<rect" not in draw_curve(dataclasses.replace(found, peaks=quiet, map="prediction"))
