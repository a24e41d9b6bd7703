import shutil

import numpy as np
import pytest
import torch
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.media import windows
from cmac_hub.train.evaluate.boxed_clips import (
    DEAF,
    draw_maps,
    encode_clip,
    evaluate_boxes,
    measure_clips,
    measure_shots,
    predict_clips,
)
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.toolbox.metrics import score_maps


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
    def guidance(time):
        return draw_maps(tiny, *encode_clip(tiny, BoxedClip(clip, time, ())))["guidance"]

    middle = guidance(None)
    np.testing.assert_array_equal(middle, guidance(1.5))
    assert not np.array_equal(middle, guidance(0.7))
    assert score_maps([middle], [np.ones((224, 224), bool)]).pointing == 1.0


def test_the_maps_of_a_video_are_what_the_network_gives_for_its_window(tiny, clip):
    visual = tiny.config.visual
    sizes = {"frames": visual.frames, "size": visual.size, "multiple": visual.multiple, "sample_rate": 16000}
    window = next(windows(clip, **sizes, start=1.0, stop=2.0))
    batch = torch.from_numpy(window.frames)[None], torch.from_numpy(window.waveform)[None]
    maps, found = tiny.attend(*tiny.prepare(*batch)), draw_maps(tiny, *encode_clip(tiny, BoxedClip(clip, 1.5, ())))
    np.testing.assert_allclose(found["guidance"], maps.visual_guidance[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(found["prediction"], maps.visual_prediction[0].mean(0), atol=1e-6)


@pytest.fixture
def two(tmp_path, clip):
    other = write_media(tmp_path / "other.mp4", times=np.arange(75) / 25, size=(96, 64), sound=tone(3.0, hertz=3000))
    return [BoxedClip(clip, 1.5, ((0.0, 0.0, 0.5, 1.0),)), BoxedClip(other, 1.5, ((0.5, 0.0, 1.0, 1.0),))]


def test_a_wrong_sound_is_that_of_the_other_clip_and_the_deaf_map_hears_none(tiny, two):
    found = predict_clips(tiny, two, progress=False)
    (visual, sound), (_, other_sound) = (encode_clip(tiny, clip) for clip in two)
    np.testing.assert_allclose(found.heats["guidance"][0], draw_maps(tiny, visual, sound)["guidance"], atol=1e-6)
    wrong = draw_maps(tiny, visual, other_sound)["guidance"]
    np.testing.assert_allclose(found.heats["guidance, wrong sound"][0], wrong, atol=1e-6)
    assert not np.allclose(wrong, found.heats["guidance"][0])
    map_CTHW = visual[0].numpy()
    norms = [
        [np.sqrt((map_CTHW[:, :, y, x] ** 2).sum(0)).mean() for x in range(visual.shape[4])]
        for y in range(visual.shape[3])
    ]
    np.testing.assert_allclose(found.heats[DEAF][0], norms, atol=1e-5)
    assert "guidance, wrong sound" not in predict_clips(tiny, two[:1], progress=False).heats


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


def test_folders_and_drumsticks_are_reported_apart(tiny, shots):
    report, table = measure_shots(tiny, shots)
    assert set(report) == {"all", "clips", "drumsticks"}
    assert report["all"]["scores"]["guidance"]["pictures"] == 2
    assert report["drumsticks"]["scores"] == report["clips"]["scores"]
    assert table.startswith("All:") and "Drumsticks:" in table
    with pytest.raises(CMACError, match="none of the 0 videos could be read"):
        measure_shots(tiny, shots, "validation")


def test_what_no_drumstick_sounds_is_reported_by_itself(tiny, shots, tmp_path):
    names = ["014_drumstick-hitting-object-greates.mp4", "007_playing-tennis.mp4"]
    (tmp_path / "clips").mkdir()
    for name in names:
        shutil.copy(shots / "clips" / "014_drumstick-hitting-object-greates.mp4", tmp_path / "clips" / name)
    (tmp_path / "clips" / "clips.csv").write_text("\n".join(["file,group", *(f"{name},1" for name in names)]))
    report, table = measure_shots(tiny, tmp_path)
    assert [report[part]["scores"]["joint"]["pictures"] for part in ("all", "drumsticks", "others")] == [2, 1, 1]
    assert table.index("All:") < table.index("Drumsticks:") < table.index("Others:")
