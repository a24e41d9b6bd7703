import numpy as np
import pytest

from cmac_hub.train.evaluate.localization import (
    as_table,
    calibrate,
    evaluate,
    grade,
    look,
    make_scenes,
    random_weights,
    recall_at_1,
    source_mask,
)
from cmac_hub.train.evaluate.metrics import pointing_accuracy, points_at
from cmac_hub.train.library import Library


@pytest.fixture(scope="module")
def scenes(tiny_config):
    return make_scenes(Library.of_drawings("test", count=2), tiny_config, 24, seed=0)


def test_pointing_equals_a_loop_over_cells():
    rng = np.random.default_rng(0)
    for _ in range(50):
        heat, mask = rng.random((4, 6)), rng.random((32, 48)) > 0.5
        best, found = -1.0, None
        for row in range(4):
            for column in range(6):
                if heat[row, column] > best:
                    best, found = heat[row, column], mask[row * 8 + 4, column * 8 + 4]
        assert points_at(heat, mask) == found


def test_a_perfect_map_points_always_and_a_wrong_one_never(scenes):
    masks = [source_mask(scene) for scene in scenes]
    assert pointing_accuracy([mask.astype(float) for mask in masks], masks) == 1.0
    assert pointing_accuracy([-mask.astype(float) for mask in masks], masks) == 0.0


def test_recall_of_the_same_embeddings_is_one_and_of_noise_near_chance():
    vectors = np.random.default_rng(0).normal(size=(200, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert recall_at_1(vectors, vectors) == 1.0
    assert recall_at_1(vectors, np.roll(vectors, 1, 0)) == 0.0
    assert np.isnan(recall_at_1(vectors[:50], vectors[:50]))


def test_an_untrained_network_is_graded_near_chance(tiny, scenes):
    report = grade(look(tiny, scenes), look(random_weights(tiny.config), scenes), scenes)
    assert report["scenes"] == 24
    assert 0 <= report["guidance"] <= 0.6 and 0 < report["chance"] < 0.3
    assert report["random_weights_guidance"] <= 0.6


def test_the_released_weights_beat_their_baselines(shared):
    """On known things, the promise of the README; a tenth of the scenes that its figures come from."""
    from cmac_hub.hub import load_model

    report = evaluate(load_model("cmac-nano"), shared, "test", count=60)
    known = report["known"]["all"]
    rivals = ("centre_prior", "random_weights_guidance", "random_weights_prediction", "chance")
    assert known["guidance"] > max(known[name] for name in rivals) + 0.1
    assert as_table(report).count("\n") == 9


def test_drawing_limits_lie_between_background_and_sources(shared, tiny):
    for low, high in calibrate(tiny, shared, count=6).values():
        assert 0 <= low < high <= 1.02


def test_the_size_of_a_batch_changes_nothing(tiny, scenes, monkeypatch):
    from cmac_hub.train.evaluate import localization

    whole = localization.look(tiny, scenes)
    monkeypatch.setattr(localization, "BATCH", 5)
    parts = localization.look(tiny, scenes)
    np.testing.assert_allclose(parts.guidance_NHW, whole.guidance_NHW, atol=1e-5)
    np.testing.assert_allclose(parts.audio_ND, whole.audio_ND, atol=1e-5)
