import csv

import av
import numpy as np
import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.__main__ import main
from cmac_hub.train.scenes.write import box_of, settings_of


def test_files_truth_and_table_agree(tmp_path):
    command = ["scenes", "--count", "3", "--size", "96", "--seconds", "1.5", "--frame-rate", "10", "--level", "hard"]
    assert main([*command, "-o", str(tmp_path)]) == 0
    with (tmp_path / "scenes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"scene_{i:05d}.mp4" for i in range(3)]
    for row in rows:
        truth = np.load((tmp_path / row["file"]).with_suffix(".npz"))
        assert truth["masks"].shape == (15, 96, 96) and truth["dominance"].shape == (64, 150)
        assert truth["boxes"].shape == (15, 4)
        for mask, corners in zip(truth["masks"], truth["boxes"], strict=True):
            assert (box_of(mask) is None) == np.isnan(corners).all()
            if not np.isnan(corners).any():
                left, top, right, bottom = (corners * 96).round().astype(int)
                assert mask[top:bottom, left:right].sum() == mask.sum() > 0
        box = box_of(truth["masks"][7])
        if box is not None:
            assert [float(row[name]) for name in ("x0", "y0", "x1", "y1")] == pytest.approx(box, abs=1e-4)
        with av.open(str(tmp_path / row["file"])) as container:
            assert sum(1 for _ in container.decode(video=0)) == 15
            assert container.streams.audio[0].duration is not None


def test_the_same_seed_gives_the_same_scenes_and_a_second_call_keeps_them(tmp_path):
    for name, seed in (("a", "4"), ("b", "4"), ("c", "5")):
        main(["scenes", "--count", "1", "--size", "64", "--seconds", "1", "--seed", seed, "-o", str(tmp_path / name)])
    masks = [np.load(tmp_path / name / "scene_00000.npz")["masks"] for name in "abc"]
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[0], masks[2])
    written = (tmp_path / "a" / "scene_00000.mp4").stat().st_mtime_ns
    main(["scenes", "--count", "2", "--size", "64", "--seconds", "1", "--seed", "4", "-o", str(tmp_path / "a")])
    assert (tmp_path / "a" / "scene_00000.mp4").stat().st_mtime_ns == written


def test_a_folder_of_other_scenes_is_not_mixed(tmp_path, capsys):
    command = ["scenes", "--count", "1", "--size", "64", "--seconds", "1", "-o", str(tmp_path)]
    assert main(command) == 0
    assert main([*command, "--seed", "1"]) == 1
    assert main([*command, "--split", "validation"]) == 1
    assert "holds scenes of other settings, pictures or sounds" in capsys.readouterr().err


def test_a_source_outside_of_the_picture_has_no_box(tmp_path):
    main(["scenes", "--count", "1", "--seconds", "1", "--offscreen", "1", "--blur", "1", "-o", str(tmp_path)])
    with (tmp_path / "scenes.csv").open() as file:
        assert next(csv.DictReader(file))["x0"] == ""


def test_what_is_no_scene():
    for arguments in (("huge", 64, 1.0, 8.0), ("easy", 4, 1.0, 8.0), ("easy", 64, 0.0, 8.0), ("easy", 64, 1.0, -1.0)):
        with pytest.raises(CMACError, match="accepted are"):
            settings_of(*arguments, 0.0, 0.0)


def test_ranges_of_silent_things_and_unseen_sound():
    given = settings_of("easy", 64, 1.0, 8.0, 0.0, 0.0, (2, 4), (-3.0, 3.0))
    assert given.distractors == (2, 4) and given.background_level == (-3.0, 3.0) and given.background_sound == 1.0
    for silent, level, message in (
        ((3, 1), None, "the first not the larger"),
        ((-1, 2), None, "accepted are 0 to 8"),
        ((9, 130), None, "accepted are 0 to 8"),
        (None, (3.0, -3.0), "the first not the larger"),
    ):
        with pytest.raises(CMACError, match=message):
            settings_of("easy", 64, 1.0, 8.0, 0.0, 0.0, silent, level)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--offscreen", "2"], "offscreen is 2; it must be a share"),
        (["--offscreen", "nan"], "offscreen is nan"),
        (["--blur", "-1"], "blur is -1; it must be a share"),
        (["--seconds", "nan"], "0.1 to 60 seconds"),
        (["--frame-rate", "nan"], "more than 0 to 240 hertz"),
        (["--frame-rate", "inf"], "more than 0 to 240 hertz"),
        (["--background-level", "nan", "0"], "they must be numbers"),
        (["--background-level", "0", "-5"], "the first not the larger"),
    ],
)
def test_impossible_numbers_are_one_line(options, says, tmp_path, capsys):
    assert main(["scenes", "-o", str(tmp_path / "out"), *options]) == 1
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1 and not (tmp_path / "out").exists()
