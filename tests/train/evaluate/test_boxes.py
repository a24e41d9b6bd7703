import csv
import json
from importlib import resources

import numpy as np
import pytest
import torch
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.media import windows
from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.boxes import (
    BoxedClip,
    csv_boxes,
    evaluate_boxes,
    flickr_boxes,
    predict_clip,
    shot_boxes,
    vggss_boxes,
)
from cmac_hub.train.evaluate.toolbox.metrics import score_maps
from cmac_hub.train.scenes.splits import load_splits


def test_shot_boxes_are_whole_and_of_groups_that_training_never_sees(shared):
    clips = shot_boxes(shared)
    assert len(clips) >= 60
    groups = {row["file"]: row["group"] for row in csv.DictReader((shared / "clips" / "clips.csv").open())}
    for clip in clips:
        assert clip.path.is_file()
        assert load_splits().split_of("clip_group", groups[clip.path.name]) != "train"
        for x0, y0, x1, y1 in clip.boxes:
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_the_csv_of_boxes_names_no_path():
    text = (resources.files("cmac_hub.train.evaluate") / "real_boxes.csv").read_text()
    assert "/" not in text and len(text.splitlines()) > 60


def test_missing_videos_are_listed_and_not_counted(tiny, clip, silent_picture, tmp_path):
    boxes = ((0.0, 0.0, 1.0, 1.0),)
    clips = [BoxedClip(clip, 1.5, boxes), BoxedClip(tmp_path / "gone.mp4", None, boxes)]
    clips.append(BoxedClip(silent_picture, None, boxes))
    report = evaluate_boxes(tiny, clips, progress=False)
    assert report["missing"] == ["gone.mp4", "mute.mp4"]
    assert report["scores"]["guidance"].pictures == 1 and report["scores"]["guidance"].pointing == 1.0
    with pytest.raises(CMACError, match="none of the 1 videos could be read"):
        evaluate_boxes(tiny, clips[1:2], progress=False)


def test_the_map_is_of_the_window_around_the_time(tiny, clip):
    middle = predict_clip(tiny, BoxedClip(clip, None, ()))["guidance"]
    np.testing.assert_array_equal(middle, predict_clip(tiny, BoxedClip(clip, 1.5, ()))["guidance"])
    assert not np.array_equal(middle, predict_clip(tiny, BoxedClip(clip, 0.7, ()))["guidance"])
    assert score_maps([middle], [np.ones((224, 224), bool)]).pointing == 1.0


def test_both_maps_of_a_video_are_what_the_network_gives_for_its_window(tiny, clip):
    visual = tiny.config.visual
    sizes = {"frames": visual.frames, "size": visual.size, "multiple": visual.multiple, "sample_rate": 16000}
    window = next(windows(clip, **sizes, start=1.0, stop=2.0))
    batch = torch.from_numpy(window.frames)[None], torch.from_numpy(window.waveform)[None]
    maps, found = tiny.attend(*tiny.prepare(*batch)), predict_clip(tiny, BoxedClip(clip, 1.5, ()))
    np.testing.assert_allclose(found["guidance"], maps.visual_guidance[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(found["prediction"], maps.visual_prediction[0].mean(0), atol=1e-6)


def test_official_layouts(tmp_path):
    (tmp_path / "vggss.json").write_text(json.dumps([{"file": "abc_000030", "class": "dog", "bbox": [[0, 0, 0.5, 1]]}]))
    write_media(tmp_path / "abc_000030.mp4", times=np.arange(25) / 25, sound=tone(1.0))
    assert vggss_boxes(tmp_path / "vggss.json", tmp_path) == [
        BoxedClip(tmp_path / "abc_000030.mp4", None, ((0, 0, 0.5, 1),))
    ]
    (tmp_path / "flickr").mkdir()
    box = "<bbox><id>1</id><xmin>0</xmin><ymin>64</ymin><xmax>128</xmax><ymax>256</ymax></bbox>"
    (tmp_path / "flickr" / "abc_000030.xml").write_text(f"<annotation><object>{box}{box}</object></annotation>")
    assert flickr_boxes(tmp_path / "flickr", tmp_path)[0].boxes == ((0.0, 0.25, 0.5, 1.0),) * 2
    assert flickr_boxes(tmp_path / "flickr", tmp_path)[0].consensus, "two of the three people must agree"


def test_boxes_of_a_csv(tmp_path, clip):
    table = tmp_path / "boxes.csv"
    table.write_text(f"file,time,x0,y0,x1,y1\n{clip.name},1.5,0,0,0.5,1\n{clip.name},1.5,0.5,0,1,1\nother,,0,0,1,1\n")
    found = csv_boxes(table, clip.parent)
    assert found[0] == BoxedClip(clip, 1.5, ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)))
    assert found[1] == BoxedClip(clip.parent / "other.mp4", None, ((0.0, 0.0, 1.0, 1.0),))
    assert flickr_boxes(table, clip.parent) == found
    wrong = ("file,x,y\na,0,0\n", "file,x0,y0,x1,y1\na,10,20,200,210\n", "file,x0,y0,x1,y1\na,0.5,0,0.2,1\n")
    for text in wrong:
        table.write_text(text)
        with pytest.raises(CMACError, match="is no csv of file,x0,y0,x1,y1 in shares"):
            csv_boxes(table, clip.parent)


@pytest.mark.parametrize(
    ("on", "make", "message"),
    [
        ("clips", None, "has no folder 'clips'"),
        ("vggss", None, "say where they lie: --videos"),
        ("vggss", "{}", "is not VGG-SS's json"),
        ("csv", "{}", "is no csv of file,x0,y0,x1,y1"),
        ("flickr", None, "say where they lie: --videos"),
    ],
)
def test_wrong_calls_are_one_line(on, make, message, tmp_path, model_folder, capsys):
    data = tmp_path
    extra = []
    if make is not None:
        data = tmp_path / "boxes.json"
        data.write_text('[{"name": 1}]')
        extra = ["--videos", str(tmp_path)]
    assert main(["localize", "--model", str(model_folder), "--on", on, "--data", str(data), *extra]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
