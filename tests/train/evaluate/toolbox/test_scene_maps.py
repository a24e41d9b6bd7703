import numpy as np
import pytest
import torch

from cmac_hub.train.evaluate.toolbox import scene_maps
from cmac_hub.train.evaluate.toolbox.scene_maps import (
    hits_at_1,
    on_source,
    predict_scenes,
    source_shares,
)


def test_the_shares_of_cells_equal_a_loop(scenes):
    for scene, shares in zip(scenes, source_shares((4, 4), scenes), strict=True):
        step = scene.masks_THW.shape[1] // 4
        for row in range(4):
            for column in range(4):
                cell = scene.masks_THW[:, row * step : (row + 1) * step, column * step : (column + 1) * step]
                assert shares[row, column] == pytest.approx(cell.mean())


def test_a_source_has_cells_even_where_it_covers_none_well():
    shares = np.array([[[0.9, 0.3], [0.29, 0.0]], [[0.1, 0.2], [0.2, 0.0]]])
    assert on_source(shares).tolist() == [[[True, True], [False, False]], [[False, True], [True, False]]]


def test_predictions_of_scenes_are_what_the_network_gives_for_them(tiny, scenes):
    frames, sounds = (np.stack([getattr(scene, name) for scene in scenes]) for name in ("frames_THWC", "waveform"))
    clips, spectrograms = tiny.prepare(torch.from_numpy(frames), torch.from_numpy(sounds))
    maps, found = tiny.attend(clips, spectrograms), predict_scenes(tiny, scenes)
    with torch.inference_mode():
        visual, audio = tiny.visual_stream(clips).embedding, tiny.audio_stream(spectrograms).embedding
        lengths = (
            (tiny.encoder("visual")(clips) ** 2).sum(1).sqrt(),
            (tiny.encoder("audio")(spectrograms) ** 2).sum(1).sqrt(),
        )
        steps = tiny.encoder("visual")(clips).diff(dim=2)
        assert steps.shape[2] == 1, "two moments"
    for got, expected in (
        (found.visual_NHW["guidance"], maps.visual_guidance.mean(1)),
        (found.visual_NHW["prediction"], maps.visual_prediction.mean(1)),
        (found.visual_NHW["joint"], maps.visual_joint.mean(1)),
        (found.visual_strength_NHW, lengths[0].mean(1)),
        (found.audio_strength_NFS, lengths[1]),
        (found.visual_speed_NHW, (steps**2).sum(1).sqrt()[:, 0]),
        (found.visual_ND, visual),
        (found.audio_ND, audio),
        (found.audio_NFS["guidance"], maps.audio_guidance),
        (found.audio_NFS["prediction"], maps.audio_prediction),
        (found.audio_NFS["joint"], maps.audio_joint),
    ):
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)


def test_the_size_of_a_batch_changes_nothing(tiny, scenes, monkeypatch):
    whole = predict_scenes(tiny, scenes)
    monkeypatch.setattr(scene_maps, "BATCH", 5)
    parts = predict_scenes(tiny, scenes)
    for which, maps in whole.visual_NHW.items():
        np.testing.assert_allclose(parts.visual_NHW[which], maps, atol=1e-5)
    np.testing.assert_allclose(parts.audio_ND, whole.audio_ND, atol=1e-5)


def test_a_part_of_the_scenes_is_what_is_predicted_for_them(tiny, scenes):
    part, some = predict_scenes(tiny, scenes).part([3, 1]), predict_scenes(tiny, [scenes[3], scenes[1]])
    for name in ("visual_NHW", "audio_NFS"):
        for which, maps in getattr(some, name).items():
            np.testing.assert_allclose(getattr(part, name)[which], maps, atol=1e-5)
    for name in ("visual_strength_NHW", "audio_strength_NFS", "visual_speed_NHW", "visual_ND", "audio_ND"):
        np.testing.assert_allclose(getattr(part, name), getattr(some, name), atol=1e-5)
    assert part.shift == some.shift


def test_hits_count_both_ways_the_same():
    """Every picture is nearest to its own sound, and the sounds are all nearest to the first picture."""
    visual, audio = 0.5 * np.eye(100), np.eye(100)
    visual[0] = 0.9
    visual[0, 0] = 1
    expected = [1.0] + [0.5] * 99
    assert hits_at_1(visual, audio).tolist() == hits_at_1(audio, visual).tolist() == expected
