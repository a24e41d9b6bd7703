import json
from pathlib import Path

import numpy as np
import pytest

from cmac_hub.geometry import CENTERED
from cmac_hub.train.evaluate.localization import (
    FILES_NOT_IN_TRAINING,
    as_table,
    by_distractors,
    error_over_things,
    evaluate,
    recall_at_1,
    score_group,
    square,
)
from cmac_hub.train.evaluate.toolbox.metrics import pointing_accuracy, points_at, rivals, score_maps
from cmac_hub.train.evaluate.toolbox.scene_maps import (
    DEAF,
    MAPS,
    MOVING,
    ScenePredictions,
    hits_at_1,
    predict_scenes,
    source_mask,
)
from cmac_hub.train.evaluate.toolbox.untrained import random_weights
from cmac_hub.train.scenes.library import Library


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
    assert recall_at_1(hits_at_1(vectors, vectors)) == 1.0
    assert recall_at_1(hits_at_1(vectors, np.roll(vectors, 1, 0))) == 0.0
    assert recall_at_1(hits_at_1(vectors[:50], vectors[:50])) is None
    hits = hits_at_1(vectors[:150], np.r_[vectors[:60], vectors[100:150], vectors[60:100]])
    assert hits[:60].tolist() == [1.0] * 60 and hits[60:100].max() == 0, "a group's share of galleries of all"
    assert np.isnan(hits[100:]).all(), "no gallery is left for them"


def test_the_error_from_thing_to_thing_equals_a_hand_computed_case():
    """Means 1, 0.5 and 0: deviation 0.5, over the root of three."""
    found = error_over_things([True, True, True, False, False], ["dog", "dog", "cat", "cat", "owl"])
    assert found == pytest.approx(0.5 / 3**0.5)
    assert error_over_things([True, False], ["dog", "dog"]) is None


def test_an_untrained_network_is_graded_near_chance(tiny, scenes):
    report = score_group(predict_scenes(tiny, scenes), predict_scenes(random_weights(tiny.config), scenes), scenes)
    assert report["scenes"] == 24 and 0 < report["chance"] < 0.3
    for name in ("guidance", "random weights (guidance)"):
        assert 0 <= report["scores"][name]["pointing"] <= 0.6
    assert report["scores"]["whole image"]["pointing"] is None, "NaN is no JSON"
    json.dumps(report, allow_nan=False)


COMPARED = [*MAPS, DEAF, MOVING, *(f"random weights ({which})" for which in MAPS[:2])]


@pytest.mark.parametrize("right", COMPARED)
def test_the_one_map_that_is_right_is_told_as_right(scenes, right):
    masks = np.stack([source_mask(scene).astype(float) for scene in scenes])
    heats, empty = [masks if name == right else -masks for name in COMPARED], np.zeros((len(scenes), 1))
    ours = ScenePredictions(dict(zip(MAPS, heats[:3], strict=True)), {}, heats[3], empty, heats[4], empty, empty)
    theirs = ScenePredictions(dict(zip(MAPS, heats[5:], strict=False)), {}, -masks, *[empty] * 4)
    scores = score_group(ours, theirs, scenes)["scores"]
    assert {name: scores[name]["pointing"] for name in COMPARED} == {name: float(name == right) for name in COMPARED}


def test_random_weights_are_graded_at_their_own_places(scenes):
    """Maps that are right where they lie: with the trained network's shift they would point beside the source."""
    masks, empty = np.stack([source_mask(scene).astype(float) for scene in scenes]), np.zeros((len(scenes), 1))
    maps = dict.fromkeys(MAPS, masks)
    side = float(masks.shape[1])
    values = maps, {}, masks, empty, masks, empty, empty
    ours, theirs = (ScenePredictions(*values, shift) for shift in ((side, side), CENTERED))
    scores = score_group(ours, theirs, scenes)["scores"]
    assert scores["random weights (guidance)"]["pointing"] == scores["random weights (prediction)"]["pointing"] == 1.0
    assert max(scores[name]["pointing"] for name in (*MAPS, DEAF, MOVING)) < 0.5


def test_scenes_are_graded_by_the_number_of_distractors(scenes):
    groups = by_distractors(scenes)
    assert groups["all"] == list(range(24)) and set(groups) <= {"all", "0", "1", "2", "3", "1+"}
    assert sorted(groups["0"] + groups["1+"]) == groups["all"]
    for name in ("0", "1"):
        assert all(scenes[i].distractors == int(name) for i in groups[name])


def test_a_perfect_map_of_scenes_gets_the_ceiling_of_boxes(scenes):
    """The source stands out of a graded rest, so the upper half of the map is the source and the best of the rest."""
    masks = [square(source_mask(scene)) for scene in scenes]
    slope = np.linspace(0, 0.5, masks[0].size).reshape(masks[0].shape)
    found = score_maps([mask + slope for mask in masks], masks)
    ceiling = rivals(masks)["ceiling"]
    assert found.pointing == 1.0
    assert found.mean_ciou == pytest.approx(ceiling.mean_ciou, abs=1e-3)
    assert found.auc == pytest.approx(ceiling.auc, abs=1e-3)


def test_the_released_weights_beat_their_baselines(shared):
    """On known things, the promise of the README; a tenth of the scenes that its figures come from."""
    from cmac_hub.model import CMAC

    report = evaluate(CMAC.from_pretrained("cmac-nano"), shared, "test", count=60)
    own = report["known"][FILES_NOT_IN_TRAINING]["scenes"]
    assert 0 < own < 60, "24 of the 74 known things have pictures and sounds that training has not"
    assert FILES_NOT_IN_TRAINING not in report["new"]
    known = report["known"]["all"]
    found = {name: one["pointing"] for name, one in known["scores"].items()}
    others = ("centered disc", "random weights (guidance)", "random weights (prediction)", "random map")
    assert found["guidance"] > max(*(found[name] for name in others), known["chance"]) + 0.1
    assert as_table(report).startswith("| things | distractors | guidance |")


def test_a_folder_without_new_things_is_graded_on_known_ones(tiny, monkeypatch):
    from cmac_hub.train.evaluate import localization
    from cmac_hub.train.evaluate.summary import summarize

    library = Library.of_drawings("test", count=2)
    monkeypatch.setattr(localization, "libraries", lambda *_: iter([("known", library)]))
    report = evaluate(tiny, None, "validation", 12)
    assert "new" not in report and "never seen" not in as_table(report)
    assert set(summarize(tiny, Path("/"), scenes=12)) == {"pointing, known"}
