import json
from importlib import resources
from typing import get_args

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import main
from cmac_hub.train.evaluate.boxes import (
    BoxedClip,
    csv_boxes,
    flickr_boxes,
    shot_boxes,
    vggss_boxes,
)
from cmac_hub.train.scenes.splits import Split


def test_shot_boxes_are_whole_and_of_groups_that_training_never_sees(shared):
    sizes = {
        split: {part: len(found) for part, found in shot_boxes(shared, split).items()} for split in get_args(Split)
    }
    assert sizes["train"] == {}
    assert sizes["test"]["clips"] == 49 and sizes["validation"]["clips"] == 12
    for clip in (clip for split in get_args(Split) for found in shot_boxes(shared, split).values() for clip in found):
        assert clip.path.is_file()
        for x0, y0, x1, y1 in clip.boxes:
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_the_csv_of_boxes_names_no_path():
    text = (resources.files("cmac_hub.train.evaluate") / "real_boxes.csv").read_text()
    assert "/" not in text and len(text.splitlines()) > 60


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
    wrong = (
        "file,time,x0,y0,x1,y1\na,nan,0,0,1,1\n",
        "file,x,y\na,0,0\n",
        "file,x0,y0,x1,y1\na,10,20,200,210\n",
        "file,x0,y0,x1,y1\na,0.5,0,0.2,1\n",
    )
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
