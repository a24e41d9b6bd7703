from dataclasses import replace

import numpy as np

from cmac_hub.train.evaluate import calibration
from cmac_hub.train.evaluate.calibration import calibrate
from cmac_hub.train.evaluate.localization import look, make_absent
from cmac_hub.train.library import Library


def test_nine_tenths_of_the_scenes_without_a_source_stay_dark(tiny, monkeypatch):
    library = Library.of_drawings("validation", count=2)
    monkeypatch.setattr(calibration, "load_library", lambda *_: library)
    limits = calibrate(tiny, None, count=40)
    peaks = look(tiny, make_absent(library, tiny.config, 40, 54322)).guidance_NHW.max((1, 2))
    assert (peaks < limits["guidance"][0] + 1e-3).mean() >= 0.9
    for low, high in limits.values():
        assert 0 <= low < high <= 1.02


def test_scenes_without_their_source_have_none_to_light_up(tiny_config):
    library = replace(Library.of_drawings("test", count=2), silent=())
    for scene in make_absent(library, tiny_config, 4, 0):
        assert not scene.masks_THW.any() and scene.distractors in (0, 1)
        assert np.abs(scene.waveform).max() > 0
