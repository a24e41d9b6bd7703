import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmac_hub.encoders import FrameNetworkConfig
from cmac_hub.errors import MediaError
from cmac_hub.geometry import CENTERED
from cmac_hub.joint import spread
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate import choosing
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.choosing import (
    MOST_UNHEARD,
    TEMPERATURES,
    GradedMaps,
    Mixture,
    Parts,
    Picture,
    choose_map,
    choose_mixture,
    grade_maps,
    measure_parts,
    mixtures,
)
from cmac_hub.train.evaluate.localization import by_distractors
from cmac_hub.train.evaluate.toolbox.metrics import box_mask
from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes, predict_scenes
from cmac_hub.train.scenes.library import Library
from cmac_hub.train.scenes.readers import libraries

UNLIKE = torch.eye(4)
"""An affinity of four places of which none looks like another: spread by it a map keeps its order."""


def graded(guidance, prediction, strength=(0.0,) * 4, motion=(0.0,) * 4, affinity=UNLIKE) -> GradedMaps:
    """One row of four cells, with the source in the first."""
    rows_13HW = torch.tensor([guidance, strength, motion]).view(1, 3, 1, 4)
    parts = {t: Parts(*(spread(rows_13HW, affinity[None], t) if t else rows_13HW)[0]) for t in TEMPERATURES}
    return GradedMaps([Picture(parts, torch.tensor([prediction]))], [box_mask([(0, 0, 0.25, 1)])], CENTERED)


FIRST, SECOND, LAST = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ["strength", "motion"])
def test_the_smallest_weight_that_points_best_is_chosen(name, monkeypatch):
    monkeypatch.setattr(choosing, "SMOOTHINGS", (0,))
    monkeypatch.setattr(choosing, "TEMPERATURES", (0.0,))
    # Guidance is for the second cell by 0.2, the other part for the first by 1: from 1/6 on the joint map is right.
    helped = graded([0.5, 0.7, 0.0, 0.0], LAST, **{name: FIRST})
    mixture = choose_mixture([helped])
    assert mixture == Mixture(**{f"{name}_weight": 0.2})
    assert choose_map([helped], mixture) == "joint"
    misled = graded([0.75, 0.5, 0.0, 0.0], FIRST, **{name: SECOND})
    assert choose_mixture([misled]) == Mixture()
    assert choose_map([misled], Mixture()) == "guidance", "of equals the map of the paper"


def test_smoothing_is_chosen_where_one_place_of_noise_is_higher_than_a_broad_rise():
    assert choose_mixture([graded([0.6, 0.6, 0.0, 0.7], LAST)]).joint_smoothing > 0


def test_spreading_is_chosen_where_what_is_highest_belongs_to_something_low(monkeypatch):
    monkeypatch.setattr(choosing, "SMOOTHINGS", (0,))
    two_things = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2))
    helped = graded([0.6, 0.6, 0.0, 0.7], LAST, affinity=two_things)
    assert choose_mixture([helped]) == Mixture(affinity_temperature=0.1)
    assert choose_map([helped], Mixture(affinity_temperature=0.1)) == "joint"
    assert choose_mixture([graded([0.8, 0.6, 0.0, 0.7], LAST, affinity=two_things)]) == Mixture(), "right before"


def test_seen_parts_never_count_for_more_than_what_is_heard():
    tried = mixtures()
    assert len(tried) == len(set(tried)) > 50
    assert max(one.strength_weight + one.motion_weight for one in tried) == MOST_UNHEARD == 0.5
    assert tried[0] == Mixture()


def test_each_set_counts_as_much():
    one, other = graded(FIRST, SECOND), graded(SECOND, FIRST)
    assert choose_map([one, other, other], Mixture()) == "prediction"
    large = GradedMaps(one.pictures * 50, one.masks * 50, CENTERED)
    assert choose_map([large, other, other], Mixture()) == "prediction"


def test_equals_are_equal_however_they_are_summed():
    # 0.3 and 0 beside 0.1 and 0.2: sums that floats tell apart.
    one, other = (GradedMaps([], [], CENTERED) for _ in range(2))
    scores = {"guidance": (0.3, 0.0), "prediction": (0.1, 0.2), "joint": (0.0, 0.0)}
    for at, graded_maps in enumerate((one, other)):
        object.__setattr__(graded_maps, "score", lambda which, _, at=at: scores[which][at])
    assert choose_map([one, other], Mixture()) == "guidance"


def test_real_shots_count_as_much_as_all_scenes_and_by_how_maps_fit_as_well():
    left, right = [1.0, 0.9, 0.1, 0.0], [0.0, 0.1, 0.9, 1.0]
    scenes, shots = graded(left, right), replace(graded(right, left), reachable=0.5)
    # The upper half of a map holds the first quarter of the picture, a cIoU of 0.5, or nothing of it.
    assert (shots.score("prediction", Mixture()), shots.score("guidance", Mixture())) == (pytest.approx(1.0), 0.0)
    worse = graded(right, right)
    assert choose_map([scenes, worse, shots], Mixture()) == "prediction", "0 and 1 beside 1 / 2 and 0"
    assert choose_map([scenes, worse, graded(right, left)], Mixture()) == "guidance", "of equals the map of the paper"
    # Both point at the first cell, but only one of the two halves is full of the source.
    wide = box_mask([(0, 0, 0.5, 1)])
    one = replace(graded([1.0, 0.0, 0.0, 0.9], [1.0, 0.9, 0.0, 0.0]), masks=[wide])
    assert one.score("guidance", Mixture()) == one.score("prediction", Mixture()) == 1.0
    one = replace(one, reachable=1.0)
    assert one.score("guidance", Mixture()) < 0.9 < one.score("prediction", Mixture())


def test_limits_hold_nearly_all_places(tiny):
    library = Library.of_drawings("validation", count=2)
    attention = measure_parts(tiny, library, count=30)
    found = predict_scenes(tiny, make_scenes(library, tiny.config, 30, 54324))
    for (low, high), lengths in (
        (attention.visual_strength, found.visual_strength_NHW),
        (attention.audio_strength, found.audio_strength_NFS),
        (attention.visual_motion, found.visual_speed_NHW),
    ):
        assert ((lengths >= low - 1e-3) & (lengths <= high + 1e-3)).mean() == pytest.approx(0.96, abs=0.02)


@pytest.fixture(scope="module")
def two_levels(tiny_config):
    """A network whose feature map is two maps side by side."""
    torch.manual_seed(5)
    visual = FrameNetworkConfig(frames=2, size=32, level="joined", temporal_layers=0)
    return CMAC(replace(tiny_config, visual=visual)).eval()


@pytest.mark.parametrize(("name", "fast"), [("tiny", 0.5), ("two_levels", 50.0)])
def test_joint_maps_of_any_mixture_are_those_of_a_network_with_it(name, fast, own_folder, request):
    tiny = copy.copy(request.getfixturevalue(name))
    mixture = Mixture(strength_weight=0.1, motion_weight=0.3, joint_smoothing=1, affinity_temperature=0.15)
    limits = {"visual_strength": (0.5, 2.0), "visual_motion": (0.0, fast)}
    tiny.config = replace(tiny.config, attention=replace(tiny.config.attention, **limits))
    network = type(tiny)(replace(tiny.config, attention=replace(tiny.config.attention, **mixture._asdict()))).eval()
    network.load_state_dict(tiny.state_dict())
    sets = grade_maps(tiny, own_folder, count=20)
    library = next(library for _, library in libraries(own_folder, "validation", tiny.config.visual.size))
    scenes = make_scenes(library, tiny.config, 20, 12345)
    rows = by_distractors(scenes)["1+"]
    asked = predict_scenes(network, [scenes[i] for i in rows]).visual_NHW
    np.testing.assert_allclose(np.stack(sets[0].joint(mixture)), asked["joint"], atol=1e-6)
    for which in ("guidance", "prediction"):
        heats = torch.stack([getattr(one, which) for one in sets[0].pictures])
        np.testing.assert_allclose(heats, asked[which], atol=1e-6)
    assert not np.allclose(asked["joint"], asked["guidance"])
    plain = np.stack(sets[0].joint(mixture._replace(affinity_temperature=0.0)))
    assert not np.allclose(asked["joint"], plain, atol=1e-5), "it was spread"
    assert all(one.parts[0.0].motion.std() > 0 for one in sets[0].pictures)
    assert 0 <= sets[0].score("joint", mixture) <= 1


def test_a_shot_that_cannot_be_read_costs_its_box_as_well(tiny, own_folder, monkeypatch):
    size, shots = tiny.config.visual.size // 8, []

    def encode_clip(model, clip):
        if clip.path.name == "broken":
            raise MediaError("broken")
        shots.append(clip)
        return torch.randn(1, tiny.channels("visual"), 2, size, size), torch.randn(1, tiny.channels("audio"), 8, 13)

    clips = [BoxedClip(Path(name), None, ((0.0, 0.0, side, 1.0),)) for name, side in (("broken", 0.2), ("whole", 0.5))]
    monkeypatch.setattr(choosing, "encode_clip", encode_clip)
    monkeypatch.setattr(choosing, "find_boxed", lambda data: clips)
    *scenes, real = grade_maps(tiny, own_folder, count=4)
    assert scenes and all(one.reachable is None for one in scenes)
    assert len(real.pictures) == len(real.masks) == len(shots) == 1
    assert np.array_equal(real.masks[0], box_mask([(0.0, 0.0, 0.5, 1.0)])), "of the shot that was read"
    assert real.reachable == pytest.approx(1.0), "the box is a half of the picture"
