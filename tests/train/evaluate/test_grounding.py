from dataclasses import replace

import numpy as np
import pytest

from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.grounding import (
    _frequencies,
    _nearness_to_the_middle,
    as_table,
    best_mask_iou,
    evaluate_grounding,
    frequency_precision,
    telling_apart,
)
from cmac_hub.train.evaluate.toolbox.scene_maps import MAPS, ScenePredictions, make_scenes
from cmac_hub.train.scenes.compose import compose
from cmac_hub.train.scenes.dominance import dominance, mel_power
from cmac_hub.train.scenes.library import Library
from cmac_hub.train.scenes.settings import EASY


@pytest.fixture(scope="module")
def library():
    return Library.of_drawings("test", count=2)


def tone_at(hertz, level=0.3):
    return (level * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)).astype(np.float32)


def test_the_source_dominates_where_its_tone_is(tiny_config, library):
    scene = compose(library, np.random.default_rng(0), EASY)
    low, high = tone_at(300), tone_at(4000)
    mixed = replace(scene, waveform=low + high, source_waveform=high)
    found = dominance(mixed, tiny_config.audio)
    bands = found.mean(1)
    power = mel_power(high, tiny_config.audio).mean(1)
    assert bands[int(power.argmax())] == 1.0
    assert bands[int(mel_power(low, tiny_config.audio).mean(1).argmax())] == 0.0


def test_average_precision_of_a_perfect_an_inverted_and_a_constant_map():
    truth = np.zeros((8, 10), bool)
    truth[2:4] = True
    assert frequency_precision([truth.astype(float)], [truth]) == pytest.approx(1.0)
    assert frequency_precision([1 - truth.astype(float)], [truth]) < 0.3
    assert frequency_precision([np.ones((8, 10))], [truth]) == pytest.approx(truth.mean())
    assert np.isnan(frequency_precision([truth.astype(float)], [np.ones((8, 10), bool)]))


def test_average_precision_equals_a_hand_computed_case():
    """Ranked: hit, miss, hit, miss -> (1/1 + 2/3) / 2."""
    truth = np.array([[True, False], [True, False]])
    heat = np.array([[0.9, 0.8], [0.7, 0.1]])
    assert frequency_precision([heat], [truth]) == pytest.approx((1 + 2 / 3) / 2)


COMPARED = [*MAPS, *(f"random weights ({which})" for which in MAPS)]


@pytest.mark.parametrize("right", COMPARED)
def test_the_one_audio_map_that_is_right_is_told_as_right(tiny_config, library, right):
    """Of random weights only guidance is told, and the others' being right helps none."""
    scenes = make_scenes(library, tiny_config, 6, seed=0)
    truths = np.stack([dominance(scene, tiny_config.audio) for scene in scenes]).astype(float)
    heats, empty = [truths if name == right else 1 - truths for name in COMPARED], np.zeros((len(scenes), 1))
    ours, theirs = (
        ScenePredictions({}, dict(zip(MAPS, some, strict=True)), *[empty] * 5) for some in (heats[:3], heats[3:])
    )
    found = _frequencies(ours, theirs, scenes, tiny_config)
    assert {name for name in COMPARED if found.get(name, 0) > 0.99} == {right} & found.keys()


def test_the_best_threshold_cuts_out_the_mask():
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    iou, threshold = best_mask_iou([mask.astype(float) + 0.1] * 2, [mask] * 2)
    assert iou == 1.0 and 0.1 < threshold < 1.2


def test_the_disc_in_the_middle_is_round_and_in_the_middle():
    """A rival that fits a disc perfectly, on a wide picture as well, and a source in the corner not at all."""
    disc = np.array([[(y - 16) ** 2 + (x - 24) ** 2 < 100 for x in np.arange(48) + 0.5] for y in np.arange(32) + 0.5])
    heat = _nearness_to_the_middle(32, 48)
    assert best_mask_iou([heat], [disc])[0] > 0.95
    corner = np.zeros((32, 48), bool)
    corner[:6, :6] = True
    assert best_mask_iou([heat], [corner])[0] < 0.05


def test_telling_apart():
    rng = np.random.default_rng(0)
    good = telling_apart(rng.normal(5, 1, 100), rng.normal(0, 1, 100))
    same = telling_apart(rng.normal(0, 1, 2000), rng.normal(0, 1, 2000))
    assert good["average_precision"] > 0.98 and good["max_f1"] > 0.95
    assert same["average_precision"] == pytest.approx(0.5, abs=0.05) and same["max_f1"] == pytest.approx(
        2 / 3, abs=0.02
    )


def test_the_report_is_whole(tiny, library):
    report = evaluate_grounding(tiny, library, count=8)
    assert set(report["frequency_average_precision"]) == {"5 to 25 dB below", "as loud"}
    frequency = report["frequency_average_precision"]["5 to 25 dB below"]
    assert 0 < frequency["chance"] < 1 and 0 <= frequency["guidance"] <= 1
    assert frequency["loudness"] > frequency["chance"], "louder cells are more often the source's"
    assert all(len(values) == 8 for values in report["peaks"].values())
    assert 0 <= report["offscreen"]["left_dark"] <= 1
    assert as_table(report).count("\n") == 6


def test_random_weights_are_graded_at_their_own_places(tiny, library):
    visual = replace(tiny.config.visual, map_shift=(0.4, -0.6))
    shifted = CMAC(replace(tiny.config, visual=visual)).eval()
    shifted.load_state_dict(tiny.state_dict())
    plain, moved = (evaluate_grounding(one, library, count=4)["best_mask_iou"] for one in (tiny, shifted))
    assert moved["random weights (guidance)"] == plain["random weights (guidance)"]
    assert moved["guidance"] != plain["guidance"]
