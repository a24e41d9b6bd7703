import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cmac_hub.train.augmentation import mask_spectrograms
from cmac_hub.train.data import PairStream, Shot, cut_shot, load_shots
from cmac_hub.train.recipe import Recipe

RECIPE = Recipe(batch=4, drawn_clips=8, easy_clips=16)


def take(stream, count, workers=0):
    loader = DataLoader(stream, 4, num_workers=workers)
    batches = iter(loader)
    return [next(batches) for _ in range(count)]


def test_pairs_do_not_depend_on_workers_and_resume_where_they_stood():
    whole = take(PairStream(RECIPE, None), 4)
    for other, offset in ((take(PairStream(RECIPE, None), 4, workers=2), 0), (take(PairStream(RECIPE, None, 8), 2), 2)):
        for one, two in zip(whole[offset:], other, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_shapes_types_and_video_numbers():
    frames, waveforms, video = take(PairStream(RECIPE, None), 1)[0]
    visual = RECIPE.config.visual
    assert frames.shape == (4, visual.frames, visual.size, visual.size, 3) and frames.dtype == torch.uint8
    assert waveforms.shape == (4, 16000) and waveforms.dtype == torch.float32
    assert video.tolist() == [0, 1, 2, 3]


def test_drawings_come_first_then_photographs(shared):
    recipe = dataclasses.replace(RECIPE, drawn_clips=20, real_share=0.0)
    stream = PairStream(recipe, shared)
    drawn = []
    original = stream._compose
    stream._compose = lambda level, rng, index: (drawn.append(level.drawn), original(level, rng, index))[1]
    for index in (0, 11, 12, 19, 20):
        stream.pair(index)
    assert drawn == [1.0, 1.0, 0.6, 0.6, stream.levels[0].drawn]


def test_a_shot_is_cut_to_one_second_of_both_streams():
    frames = np.zeros((48, 80, 100, 3), np.uint8)
    frames += np.arange(48, dtype=np.uint8)[:, None, None, None]
    shot = Shot(frames, np.repeat(np.arange(48), 1000).astype(np.float32) / 480)
    rng = np.random.default_rng(0)
    for _ in range(10):
        clip, sound = cut_shot(shot, rng, 64, 8)
        assert clip.shape == (8, 64, 64, 3) and sound.shape == (16000,)
        assert (np.diff(clip[:, 0, 0, 0].astype(int)) >= 0).all()
        assert (np.diff(sound) >= 0).all()


def test_real_shots_are_of_the_training_groups(shared, tmp_path):
    (tmp_path / "clips").symlink_to(shared / "clips")
    shots = load_shots(shared, 64, progress=False)
    assert len(shots) > 50
    assert all(len(shot.waveform) == len(shot.frames_THWC) * 1000 for shot in shots)


def test_masks_cover_at_most_their_share_and_fill_with_the_mean():
    spectrograms = torch.randn(6, 1, 40, 100)
    masked = mask_spectrograms(spectrograms, torch.Generator().manual_seed(0), share=0.25)
    for before, after in zip(spectrograms[:, 0], masked[:, 0], strict=True):
        changed = before != after
        assert changed.all(1).sum() <= 10 and changed.all(0).sum() <= 25
        assert torch.allclose(after[changed], before.mean().expand(int(changed.sum())))
    assert torch.equal(mask_spectrograms(spectrograms, torch.Generator(), share=0.0), spectrograms)


def test_masks_need_a_generator_to_be_random():
    with pytest.raises(TypeError):
        mask_spectrograms(torch.zeros(1, 1, 4, 4))
