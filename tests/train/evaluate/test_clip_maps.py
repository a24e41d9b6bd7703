import dataclasses

import numpy as np
import pytest
import torch

from cmac_hub.errors import MediaError
from cmac_hub.media import windows
from cmac_hub.model import CMAC
from cmac_hub.train.evaluate.boxes import BoxedClip
from cmac_hub.train.evaluate.clip_maps import WRONG_SOUNDS, draw_maps, encode_clip, predict_clips, wrong_sounds
from cmac_hub.train.evaluate.toolbox.metrics import score_maps
from cmac_hub.train.evaluate.toolbox.scene_maps import DEAF, MOVING


def test_the_map_is_of_the_window_around_the_time(tiny, clip):
    def guidance(time):
        return draw_maps(tiny, *encode_clip(tiny, BoxedClip(clip, time, ())))["guidance"]

    middle = guidance(None)
    np.testing.assert_array_equal(middle, guidance(1.5))
    assert not np.array_equal(middle, guidance(0.7))
    for time in (-1.0, 100.0):
        with pytest.raises(MediaError, match="has no moment"):
            guidance(time)
    assert score_maps([middle], [np.ones((224, 224), bool)]).pointing == 1.0


def test_the_maps_of_a_video_are_what_the_network_gives_for_its_window(tiny, clip):
    visual = tiny.config.visual
    sizes = {"frames": visual.frames, "size": visual.size, "multiple": visual.multiple, "sample_rate": 16000}
    window = next(windows(clip, **sizes, start=1.0, stop=2.0))
    batch = torch.from_numpy(window.frames)[None], torch.from_numpy(window.waveform)[None]
    maps, found = tiny.attend(*tiny.prepare(*batch)), draw_maps(tiny, *encode_clip(tiny, BoxedClip(clip, 1.5, ())))
    np.testing.assert_allclose(found["guidance"], maps.visual_guidance[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(found["prediction"], maps.visual_prediction[0].mean(0), atol=1e-6)


def test_a_wrong_sound_is_that_of_the_other_clip_and_the_deaf_map_hears_none(tiny, two):
    found = predict_clips(tiny, two, progress=False)
    (visual, sound), (_, other_sound) = (encode_clip(tiny, clip) for clip in two)
    np.testing.assert_allclose(found.heats["guidance"][0], draw_maps(tiny, visual, sound)["guidance"], atol=1e-6)
    wrong = draw_maps(tiny, visual, other_sound)["guidance"]
    np.testing.assert_allclose(found.wrong["guidance"][0][0], wrong, atol=1e-6)
    assert not np.allclose(wrong, found.heats["guidance"][0])
    map_CTHW = visual[0].numpy()
    norms = [
        [np.sqrt((map_CTHW[:, :, y, x] ** 2).sum(0)).mean() for x in range(visual.shape[4])]
        for y in range(visual.shape[3])
    ]
    np.testing.assert_allclose(found.heats[DEAF][0], norms, atol=1e-5)
    assert not predict_clips(tiny, two[:1], progress=False).wrong, "there is no other"
    assert not predict_clips(tiny, two, controls=False, progress=False).wrong


def test_random_weights_do_not_lie_off_as_the_trained_encoder_does(tiny, two):
    visual = dataclasses.replace(tiny.config.visual, map_shift=(0.4, -0.6))
    shifted = CMAC(dataclasses.replace(tiny.config, visual=visual)).eval()
    found = predict_clips(shifted, two, progress=False)
    assert found.shifts == dict.fromkeys(["guidance", "prediction", "joint", DEAF, MOVING], (0.4, -0.6))
    assert {"random weights (guidance)", "random weights (prediction)"} <= found.heats.keys() - found.shifts.keys()


@pytest.mark.parametrize("clips", [0, 1, 2, 3, 10, 11, 12, 78, 5000])
def test_wrong_sounds_are_of_others_and_differ(clips):
    steps = wrong_sounds(clips)
    assert len(steps) == len(set(steps)) == max(0, min(WRONG_SOUNDS, clips - 1))
    assert all(0 < step < clips for step in steps)
