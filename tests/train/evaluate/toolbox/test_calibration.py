"""What a network is drawn with: limits by hand, and how far maps lie off that are known to."""

from dataclasses import replace

import numpy as np
import pytest

from cmac_hub.config import HEARING
from cmac_hub.train.evaluate.toolbox import calibration
from cmac_hub.train.evaluate.toolbox.calibration import best_shift, calibrate, measure_map_shift
from cmac_hub.train.evaluate.toolbox.scene_maps import ScenePredictions, make_absent, predict_scenes
from cmac_hub.train.scenes.library import Library


def test_nine_tenths_of_the_scenes_without_a_source_stay_dark(tiny):
    library = Library.of_drawings("validation", count=2)
    limits = calibrate(tiny, library, count=40)
    absent = predict_scenes(tiny, make_absent(library, tiny.config, 40, 54322))
    for which in HEARING:
        for name, maps in ((f"visual_{which}", absent.visual_NHW), (f"audio_{which}", absent.audio_NFS)):
            assert (maps[which].max((1, 2)) < limits[name][0] + 1e-3).mean() >= 0.9
    assert len(limits) == 6
    for low, high in limits.values():
        assert 0 <= low < high <= 1.02


def test_the_limits_equal_a_hand_computed_case(tiny, monkeypatch):
    """Eleven scenes of 2 x 2 cells: on the source, half on it, and two beside it; audio maps alike, half as high.

    Without their source, guidance's peaks are 0, 0.05, ..., 0.5: nine tenths are up to 0.45. On sources guidance is
    0.5, 0.51, ..., 0.6 and prediction 0.6, 0.62, ..., 0.8; beside them prediction is 0, 0.025, ..., 0.25. The nines lie
    where a map does not count, and prediction is not asked where there is no source.
    """
    k, nine = np.arange(11.0), np.full(11, 9.0)
    empty = np.zeros((11, 1))

    def cells(*columns):
        return np.stack(columns, 1).reshape(11, 2, 2)

    maps = {
        "scenes": (cells(0.5 + k / 100, nine, nine, nine), cells(0.6 + k / 50, nine, k / 40, k / 40)),
        "absent": (cells(k / 20, k / 20, k / 40, 0 * k), cells(nine, nine, nine, nine)),
    }
    monkeypatch.setattr(calibration, "make_scenes", lambda *_: "scenes")
    monkeypatch.setattr(calibration, "make_absent", lambda *_: "absent")

    def predict(_, name):
        guidance, prediction = maps[name]
        visual = {"guidance": guidance, "prediction": prediction, "joint": guidance / 4}
        audio = {which: one / 2 for which, one in visual.items()}
        return ScenePredictions(visual, audio, guidance, guidance, empty, empty, empty)

    monkeypatch.setattr(calibration, "predict_scenes", predict)
    shares = cells(k * 0 + 1, k * 0 + 0.1, k * 0, k * 0)
    monkeypatch.setattr(calibration, "source_shares", lambda *_: shares)
    monkeypatch.setattr(calibration, "dominated_shares", lambda *_: shares)
    found = calibrate(tiny, Library.of_drawings("validation", count=1))
    assert found["visual_guidance"] == pytest.approx((0.45, 0.55))
    assert found["visual_prediction"] == pytest.approx((0.225, 0.7))
    assert found["audio_guidance"] == pytest.approx((0.225, 0.275), abs=1e-3)
    assert found["audio_prediction"] == pytest.approx((0.1125, 0.35), abs=1e-3)
    assert found["visual_joint"] == pytest.approx((0.1125, 0.1375), abs=1e-3)
    # Of 21 shots twenty reach 0.3, which is 0.95 of them, and eleven 0.4.
    peaks = [np.full((2, 2), 0.1), *np.full((9, 2, 2), 0.3), *np.full((11, 2, 2), 0.4)]
    shots = dict.fromkeys(("guidance", "prediction", "joint"), peaks)
    real = calibrate(tiny, Library.of_drawings("validation", count=1), shots)
    # Strength is 64 of 255 at 0.3: 0.3 = low + (0.4 - low) * 64 / 255.
    assert real["visual_guidance"] == pytest.approx((0.266, 0.4), abs=1e-3), "lower, so that shots light up"
    assert real["visual_prediction"] == pytest.approx((0.225, 0.55)), "which hears nothing and is dark elsewhere"
    assert real["visual_joint"] == pytest.approx((0.1125, 0.4), abs=1e-3), "low enough already"
    alike = dict.fromkeys(shots, np.full((21, 2, 2), 0.3))
    low, high = calibrate(tiny, Library.of_drawings("validation", count=1), alike)["visual_guidance"]
    assert (0.3 - low) / (high - low) == pytest.approx(64 / 255, abs=0.03), "seen, where all peaks are alike, too"
    assert {k: v for k, v in real.items() if "audio" in k} == {k: v for k, v in found.items() if "audio" in k}


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.17, 0.5])
def test_maps_that_lie_off_are_measured(axis, shift):
    """Hills at random places of a picture and of its mirror image, both seen too far down and to the right."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:12, :14] + 0.5

    def hills(centers, size):
        return np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / size) for cy, cx in centers])

    centers = np.stack([rng.uniform(3, 9, 40), rng.uniform(3, 11, 40)], 1)
    offset = np.array([shift, 0]) if axis == 1 else np.array([0, shift])
    mirrored = centers.copy()
    mirrored[:, axis - 1] = (12, 14)[axis - 1] - mirrored[:, axis - 1]
    flipped = np.flip(hills(mirrored + offset, 3.0), axis)
    assert best_shift(hills(centers + offset, 3.0), flipped, axis) == pytest.approx(shift, abs=0.03)


def test_the_shift_of_a_network_is_that_of_its_maps(tiny, monkeypatch):
    """A stand-in whose maps are the brightness of the frames, seen 0.25 cell too low and 0.5 too far right."""
    library = Library.of_drawings("validation", count=2)

    def predict(_, scenes):
        frames = np.stack([scene.frames_THWC.mean((0, 3)) for scene in scenes]).astype(np.float32)
        rows = np.clip(np.arange(4, 32, 8)[:, None] - 1 + np.arange(-4, 4), 0, 31)
        columns = np.clip(np.arange(4, 32, 8)[:, None] - 2 + np.arange(-4, 4), 0, 31)
        maps = np.stack([[[one[np.ix_(r, c)].mean() for c in columns] for r in rows] for one in frames])
        # Maps of 4 x 4 are too small to leave their borders out: each cell is shown as four.
        maps = np.stack([np.kron(one, np.ones((4, 4))) for one in maps])
        return ScenePredictions({"guidance": maps, "prediction": maps}, {}, *[np.zeros((len(scenes), 1))] * 5)

    monkeypatch.setattr(calibration, "predict_scenes", predict)
    rows, columns = measure_map_shift(tiny, library, count=30)
    assert 0 < rows < columns


def test_scenes_without_their_source_have_none_to_light_up(tiny_config):
    library = replace(Library.of_drawings("test", count=2), distractors=())
    for scene in make_absent(library, tiny_config, 4, 0):
        assert not scene.masks_THW.any() and scene.distractors in (0, 1)
        assert np.abs(scene.waveform).max() > 0


@pytest.mark.parametrize("axis", [1, 2])
def test_maps_too_small_or_that_do_not_mirror_have_no_shift(axis, capsys):
    rng = np.random.default_rng(0)
    small = rng.random((20, 4, 4))
    assert best_shift(small, small, axis) == 0.0 and capsys.readouterr().err == ""
    # A slope and its opposite agree the better the further they are moved apart, whichever way.
    far = np.cumsum(rng.random((20, 12, 14)), axis)
    shifted = np.roll(far, 3, axis)
    assert best_shift(far, shifted, axis) == 0.0
    assert "do not mirror" in capsys.readouterr().err
