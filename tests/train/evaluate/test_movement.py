import numpy as np
import pytest

from cmac_hub.train.evaluate import movement
from cmac_hub.train.evaluate.movement import as_table, evaluate_movement, make_twins, show_moments, told_apart
from cmac_hub.train.evaluate.toolbox.scene_maps import ScenePredictions
from cmac_hub.train.scenes.library import Library


@pytest.fixture(scope="module")
def library():
    return Library.of_drawings("test", count=2)


def predicted(visual, audio):
    empty = np.zeros((len(visual), 1, 1), np.float32)
    visual_ND, audio_ND = np.array(visual, float), np.array(audio, float)
    return ScenePredictions(empty, empty, empty, empty, empty, visual_ND, audio_ND)


def test_twins_are_told_apart_by_the_sum_of_cosines(tiny, monkeypatch):
    """Row 0 right, row 1 crossed, row 2 a tie."""
    predictions = iter(
        [
            predicted([[1, 0], [1, 0], [1, 0]], [[1, 0], [0, 1], [1, 0]]),
            predicted([[0, 1], [0, 1], [1, 0]], [[0, 1], [1, 0], [1, 0]]),
        ]
    )
    monkeypatch.setattr(movement, "predict_scenes", lambda *_: next(predictions))
    assert told_apart(tiny, [], []) == pytest.approx(1.5 / 3)


def test_twins_show_one_thing_and_differ(tiny, library):
    first, second = make_twins(library, tiny, 4, 0, 1.0)
    for one, two in zip(first, second, strict=True):
        assert one.thing == two.thing and not np.array_equal(one.waveform, two.waveform)


def test_fewer_moments_are_held(tiny, library):
    scene = make_twins(library, tiny, 1, 0, 1.0)[0][0]
    shown = show_moments(scene, 2).frames_THWC
    for t in range(8):
        np.testing.assert_array_equal(shown[t], scene.frames_THWC[0 if t < 4 else 4])
    np.testing.assert_array_equal(show_moments(scene, 8).frames_THWC, scene.frames_THWC)


def test_the_report_is_whole(tiny, library):
    found = evaluate_movement(tiny, library, count=6)
    assert list(found) == ["all moments", "4 moments", "2 moments", "1 moment", "nothing moves"]
    assert all(0 <= value <= 1 for value in found.values())
    assert as_table({"known": found}).startswith("| twins matched | all moments | 4 moments |")
