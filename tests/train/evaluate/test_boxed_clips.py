import dataclasses
from pathlib import Path

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.config import DisplayConfig
from cmac_hub.errors import CMACError
from cmac_hub.train.evaluate.boxed_clips import compare, evaluate_boxes, grade, measure_clips, measure_shots, score
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.clip_maps import ClipMaps


def test_missing_videos_are_listed_and_not_counted(tiny, clip, video_only, tmp_path):
    boxes = ((0.0, 0.0, 1.0, 1.0),)
    clips = [BoxedClip(clip, 1.5, boxes), BoxedClip(tmp_path / "gone.mp4", None, boxes)]
    clips.append(BoxedClip(video_only, None, boxes))
    report = evaluate_boxes(tiny, clips, progress=False)
    assert report["missing"] == ["gone.mp4", "mute.mp4"]
    assert report["scores"]["guidance"].pictures == 1 and report["scores"]["guidance"].pointing == 1.0
    with pytest.raises(CMACError, match="none of the 1 videos could be read"):
        evaluate_boxes(tiny, clips[1:2], progress=False)


def test_the_table_says_how_sure_the_distances_are(tiny, two):
    report, table = measure_clips(tiny, two)
    value, low, high = report["over_disc"]["guidance"]["pointing"]
    scores = report["scores"]
    assert value == pytest.approx(scores["guidance"]["pointing"] - scores["centered disc"]["pointing"])
    assert low <= value <= high
    value, low, high = report["over_wrong_sound"]["joint"]["mean_ciou"]
    assert value == pytest.approx(scores["joint"]["mean_ciou"] - scores["joint, wrong sound"]["mean_ciou"])
    assert low <= value <= high
    assert set(report["over_wrong_sound"]) == {"guidance", "joint"}, "prediction hears nothing"
    assert not measure_clips(tiny, two[:1])[0]["over_wrong_sound"], "there is no other sound"
    assert "guidance over the centered disc, points and 95 % interval: pointing" in table
    assert "joint over a wrong sound, points and 95 % interval: pointing" in table
    assert scores["whole image"]["pointing"] is None


def test_each_map_is_graded_as_it_is_drawn(tiny, two, monkeypatch):
    """Limits above every value that a map can have leave it dark, limits below do not."""
    limits = {"guidance": (1.5, 2.0), "prediction": (-2.0, -1.5)}
    display = {f"visual_{name}": pair for name, pair in limits.items()}
    monkeypatch.setattr(tiny, "config", dataclasses.replace(tiny.config, display=DisplayConfig(**display)))
    report, table = measure_clips(tiny, two)
    drawn = report["as_drawn"]
    assert list(drawn) == ["guidance", "prediction", "joint"]
    assert drawn["guidance"] == {"right": 0.0, "wrong": 0.0, "dark": 1.0, "area": 0.0}
    assert drawn["prediction"]["dark"] == 0.0 and drawn["prediction"]["area"] > 0.0
    assert drawn["prediction"]["right"] == report["scores"]["prediction"]["pointing"]
    assert "guidance as drawn, percent: right 0.0, wrong 0.0, dark 100.0; median lit area 0.0" in table


def test_folders_and_drumsticks_are_reported_apart(tiny, shots):
    report, table = measure_shots(tiny, shots)
    assert set(report) == {"all", "clips", "drumsticks"}
    assert report["all"]["scores"]["guidance"]["pictures"] == 2
    assert report["drumsticks"]["scores"] == report["clips"]["scores"]
    assert table.startswith("All:") and "Drumsticks:" in table
    with pytest.raises(CMACError, match="none of the 0 videos could be read"):
        measure_shots(tiny, shots, "validation")


def test_what_no_drumstick_sounds_is_reported_by_itself(tiny, tmp_path):
    names = ["014_drumstick-hitting-object-greates.mp4", "007_playing-tennis.mp4"]
    (tmp_path / "clips").mkdir()
    for name in names:
        write_media(tmp_path / "clips" / name, times=np.arange(100) / 10, sound=tone(10.0))
    (tmp_path / "clips" / "clips.csv").write_text("\n".join(["file,group", *(f"{name},1" for name in names)]))
    report, table = measure_shots(tiny, tmp_path)
    assert [report[part]["scores"]["joint"]["pictures"] for part in ("all", "drumsticks", "others")] == [2, 1, 1]
    assert table.index("All:") < table.index("Drumsticks:") < table.index("Others:")


def test_scores_of_wrong_sounds_are_means_over_the_sounds():
    """Two pictures, three wrong sounds: the peak lies on the source where the hot cell is the first."""
    truth = ((0.0, 0.0, 0.25, 1.0),)
    first, last = np.eye(4)[:1], np.eye(4)[3:]
    found = ClipMaps(
        [BoxedClip(Path("a.mp4"), None, truth), BoxedClip(Path("b.mp4"), None, truth)],
        {which: [first, first] for which in ("guidance", "prediction", "joint")},
        {"guidance": [[first, last], [last, last], [first, first]]},
    )
    grades = grade(found)
    assert score(grades)["guidance, wrong sound"].pointing == pytest.approx(3 / 6)
    assert score(grades)["guidance, wrong sound"].pictures == 2
    rows = compare(grades)["over_wrong_sound"]
    assert set(rows) == {"guidance"}
    value, low, high = rows["guidance"]["pointing"]
    # By picture, right in 2/3 and 1/3 of the wrong sounds: 1/3 and 2/3 are what the right one adds.
    assert (value, low, high) == pytest.approx((1 / 2, 1 / 3, 2 / 3))
    assert score(grade(found.part([1])))["guidance, wrong sound"].pointing == pytest.approx(1 / 3)


def test_each_map_is_graded_at_its_own_place():
    """The hot cell is the second; one map lies off by a cell, and describes the first."""
    found = ClipMaps(
        [BoxedClip(Path("a.mp4"), None, ((0.0, 0.0, 0.25, 1.0),))],
        {name: [np.eye(4)[1:2]] for name in ("guidance", "prediction", "joint", "random weights (guidance)")},
        {"guidance": [[np.eye(4)[1:2]]]},
        shifts={"guidance": (0.0, 1.0)},
    )
    for some in (found, found.part([0])):
        pointing = {name: one.pointing for name, one in score(grade(some)).items()}
        assert (pointing["guidance"], pointing["guidance, wrong sound"]) == (1.0, 1.0)
        assert (pointing["prediction"], pointing["random weights (guidance)"]) == (0.0, 0.0)
