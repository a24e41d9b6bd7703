from dataclasses import replace

import numpy as np
import pytest

from cmac_hub.geometry import CENTERED
from cmac_hub.train.evaluate import choosing
from cmac_hub.train.evaluate.choosing import GradedMaps, choose_map, choose_weight, grade_maps, measure_strength
from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes, predict_scenes
from cmac_hub.train.scenes.library import Library


def graded(guidance, prediction, strength) -> GradedMaps:
    """One row of four cells, with the source in the first."""
    mask = np.zeros((8, 8), bool)
    mask[:, :2] = True
    heats = {"guidance": guidance, "prediction": prediction, "joint": strength}
    return GradedMaps({which: [np.array([row])] for which, row in heats.items()}, [mask], CENTERED)


def test_the_smallest_weight_that_points_best_is_chosen():
    # Guidance is for the second cell by 0.2, strength for the first by 1: from 1/6 on the joint map is right.
    helped = graded([0.5, 0.7, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0])
    assert choose_weight([helped]) == 0.2
    assert choose_map([helped], 0.2) == "joint"
    misled = graded([0.75, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])
    assert choose_weight([misled]) == 0.0
    assert choose_map([misled], 0.0) == "guidance", "of equals the map of the paper"


def test_each_set_counts_as_much():
    right, wrong = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]
    one, other = graded(right, wrong, wrong), graded(wrong, right, wrong)
    assert choose_map([one, other, other], 0.0) == "prediction"
    large = GradedMaps({k: v * 50 for k, v in one.heats.items()}, one.masks * 50, CENTERED)
    assert choose_map([large, other, other], 0.0) == "prediction"


def test_strength_holds_nearly_all_places(tiny):
    library = Library.of_drawings("validation", count=2)
    attention = measure_strength(tiny, library, count=30)
    found = predict_scenes(tiny, make_scenes(library, tiny.config, 30, 54324))
    for (low, high), lengths in (
        (attention.visual_strength, found.visual_strength_NHW),
        (attention.audio_strength, found.audio_strength_NFS),
    ):
        assert ((lengths >= low - 1e-3) & (lengths <= high + 1e-3)).mean() == pytest.approx(0.96, abs=0.02)


def test_joint_maps_of_any_weight_are_those_of_a_network_with_it(tiny, own_folder, monkeypatch):
    monkeypatch.setattr(choosing, "WEIGHTS", (0.4,))
    sets = grade_maps(tiny, own_folder, count=20)
    attention = replace(tiny.config.attention, joint_weight=0.4)
    network = type(tiny)(replace(tiny.config, attention=attention)).eval()
    network.load_state_dict(tiny.state_dict())
    for mixed, asked in zip(sets, grade_maps(network, own_folder, count=20), strict=True):
        guidance, strength = mixed.heats["guidance"], mixed.heats["joint"]
        np.testing.assert_allclose(asked.heats["joint"], strength, atol=1e-6)
        assert not np.allclose(guidance, strength)
        assert 0 <= mixed.pointing("joint", 0.4) <= 1
