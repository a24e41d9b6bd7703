"""Maps that lie off are moved wherever they become places: a network whose maps do, beside the same one without."""

from dataclasses import replace

import numpy as np
import pytest

from cmac_hub import drawing
from cmac_hub.geometry import over_frame, peak
from cmac_hub.media import probe
from cmac_hub.media.yuv import ToYUV
from cmac_hub.model import CMAC
from cmac_hub.moments import observe
from cmac_hub.train.evaluate.boxed_clips import evaluate_boxes
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.toolbox.scene_maps import predict_scenes, source_shares
from cmac_hub.visualizer import Visualizer

SHIFT = (0.4, -0.6)


@pytest.fixture(scope="module")
def shifted(tiny) -> CMAC:
    visual = replace(tiny.config.visual, map_shift=SHIFT)
    network = CMAC(replace(tiny.config, visual=visual)).eval()
    network.load_state_dict(tiny.state_dict())
    return network


@pytest.fixture(scope="module")
def first_map(tiny, clip) -> np.ndarray:
    """(H, W): what both networks make of the clip's first window."""
    return next(observe(tiny, probe(clip), "guidance", hop=1.0)).visual_map_HW


def test_heatmaps_and_peaks(tiny, shifted, clip, first_map):
    info = probe(clip)
    _, heat = next(Visualizer(shifted).heatmaps(clip, map="guidance", hop=1.0))
    np.testing.assert_allclose(heat, np.clip(over_frame(first_map, info.width, info.height, SHIFT), 0, 1), atol=1e-6)
    found, plain = (next(Visualizer(one).locate(clip, map="guidance", hop=1.0)) for one in (shifted, tiny))
    x, y = peak(first_map, SHIFT)
    assert (found.x, found.y) == (pytest.approx(x * info.width), pytest.approx(y * info.height))
    assert (found.x, found.y) != (plain.x, plain.y)


def test_the_overlay(shifted, clip, first_map):
    from cmac_hub.canvas import Canvas

    info = probe(clip)
    moment = next(observe(shifted, info, "guidance", hop=1.0))
    black = ToYUV()(np.zeros((info.height, info.width, 3), np.uint8))
    canvas = Canvas(shifted.config, "guidance", "overlay", info, 1.0, "relative")
    drawn = canvas.draw(black, moment.time, moment, moment)
    strength = drawing.strength(first_map, drawing.NO_LIMITS, 1.0)
    np.testing.assert_array_equal(drawn.y, drawing.light(black, strength, SHIFT).y)
    assert not np.array_equal(drawn.y, drawing.light(black, strength).y)


def test_the_figure(tiny, shifted, clip):
    heats = [np.asarray(Visualizer(one).figure(clip, 1.0).axes[1].images[1].get_array()) for one in (tiny, shifted)]
    assert not np.array_equal(*heats)
    plain = np.asarray(Visualizer(tiny).figure(clip, 1.0).axes[5].images[1].get_array())
    np.testing.assert_array_equal(
        np.asarray(Visualizer(shifted).figure(clip, 1.0).axes[5].images[1].get_array()), plain
    )


def test_boxes(tiny, shifted, clip, first_map):
    """A small box around the moved peak of the clip's window: the one network points at it, the other beside it."""
    time = next(observe(tiny, probe(clip), "guidance", hop=1.0)).time
    (x, y), (px, py) = peak(first_map, SHIFT), peak(first_map, (0.0, 0.0))
    half = 0.4 * max(abs(x - px), abs(y - py))
    box = (max(0.0, x - half), max(0.0, y - half), min(1.0, x + half), min(1.0, y + half))
    hits = [
        evaluate_boxes(one, [BoxedClip(clip, time, (box,))], progress=False)["scores"]["guidance"].pointing
        for one in (shifted, tiny)
    ]
    assert hits == [1.0, 0.0]


def test_scenes_know_the_shift_and_cells_describe_what_it_says(shifted, scenes_of_one):
    assert predict_scenes(shifted, scenes_of_one).shift == SHIFT
    (scene,) = scenes_of_one
    mask = np.zeros_like(scene.masks_THW)
    side = mask.shape[1]
    mask[:, : side // 4, : side // 4] = True
    one = replace(scene, masks_THW=mask)
    # The corner's quarter is described by the cell that lies one further right.
    shares = source_shares((4, 4), [one], (0.0, 1.0))[0]
    assert shares[0, 1] == pytest.approx(1.0) and shares.sum() == pytest.approx(1.0)


@pytest.fixture
def scenes_of_one(tiny_config):
    from cmac_hub.train.evaluate.toolbox.scene_maps import make_scenes
    from cmac_hub.train.scenes.library import Library

    return make_scenes(Library.of_drawings("test", count=2), tiny_config, 1, seed=0)
