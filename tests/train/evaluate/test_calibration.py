from dataclasses import replace

import numpy as np

from cmac_hub.train.evaluate import calibration
from cmac_hub.train.evaluate.calibration import calibrate
from cmac_hub.train.evaluate.localization import Graded, look, make_absent
from cmac_hub.train.library import Library


def test_nine_tenths_of_the_scenes_without_a_source_stay_dark(tiny, monkeypatch):
    library = Library.of_drawings("validation", count=2)
    monkeypatch.setattr(calibration, "load_library", lambda *_: library)
    limits = calibrate(tiny, None, count=40)
    peaks = look(tiny, make_absent(library, tiny.config, 40, 54322)).guidance_NHW.max((1, 2))
    assert (peaks < limits["guidance"][0] + 1e-3).mean() >= 0.9
    for low, high in limits.values():
        assert 0 <= low < high <= 1.02


def test_the_limits_equal_a_hand_computed_case(tiny, monkeypatch):
    """Eleven scenes of 2 x 2 cells: on the source, half on it, and two beside it.

    Without their source, guidance's peaks are 0, 0.05, ..., 0.5: nine tenths are up to 0.45. On sources guidance is
    0.5, 0.51, ..., 0.6 and prediction 0.6, 0.62, ..., 0.8; beside them prediction is 0, 0.025, ..., 0.25. The nines lie
    where a map does not count, and prediction is not asked where there is no source.
    """
    k, nine = np.arange(11.0), np.full(11, 9.0)
    empty = np.zeros((11, 1))

    def cells(*columns):
        return np.stack(columns, 1).reshape(11, 2, 2)

    looks = {
        "scenes": (cells(0.5 + k / 100, nine, nine, nine), cells(0.6 + k / 50, nine, k / 40, k / 40)),
        "absent": (cells(k / 20, k / 20, k / 40, 0 * k), cells(nine, nine, nine, nine)),
    }
    monkeypatch.setattr(calibration, "load_library", lambda *_: None)
    monkeypatch.setattr(calibration, "make_scenes", lambda *_: "scenes")
    monkeypatch.setattr(calibration, "make_absent", lambda *_: "absent")
    monkeypatch.setattr(calibration, "look", lambda _, which: Graded(*looks[which], empty, empty, empty, empty))
    monkeypatch.setattr(calibration, "source_shares", lambda *_: cells(k * 0 + 1, k * 0 + 0.1, k * 0, k * 0))
    assert calibrate(tiny, None) == {"guidance": (0.45, 0.55), "prediction": (0.225, 0.7)}


def test_scenes_without_their_source_have_none_to_light_up(tiny_config):
    library = replace(Library.of_drawings("test", count=2), silent=())
    for scene in make_absent(library, tiny_config, 4, 0):
        assert not scene.masks_THW.any() and scene.distractors in (0, 1)
        assert np.abs(scene.waveform).max() > 0
