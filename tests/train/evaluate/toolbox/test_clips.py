import os
import signal

import numpy as np
import pytest
import torch
from making import write_media

from cmac_hub.errors import CMACError
from cmac_hub.train.evaluate.toolbox.clips import RandomClips, UniformClips, read_ahead, read_clips


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A video that brightens, a broken one, and one that darkens; 1.6 seconds each."""
    folder = tmp_path_factory.mktemp("clips")
    for name, level in (("rise", np.linspace(20, 220, 40)), ("fall", np.linspace(220, 20, 40))):
        images = np.repeat(level.astype(np.uint8)[:, None, None, None], 48, 1).repeat(64, 2).repeat(3, 3)
        write_media(folder / f"{name}.mp4", times=np.arange(40) / 25, images=images)
    (folder / "broken.avi").write_bytes(b"RIFF")
    return [folder / "rise.mp4", folder / "broken.avi", folder / "fall.mp4"]


def test_clips_lie_between_the_first_and_the_last_second(paths, tiny_config):
    clips = read_clips(paths[0], tiny_config.visual, 1.0, np.array([0.0, 1.0]))
    assert clips.shape == (2, 8, 32, 40, 3)
    brightness = clips.float().mean((1, 2, 3, 4))
    assert brightness[0] < brightness[1] - 30


def test_clips_are_the_same_whoever_decodes_them_and_a_broken_file_is_none(paths, tiny_config):
    turns = np.array([2, 0, 1, 2])
    random = RandomClips(paths, turns, tiny_config.visual, 1.0, color_jitter=True, seed=(3, 1))
    for clips, videos in ((UniformClips(paths, tiny_config.visual, 1.0, 2), [0, 1, 2]), (random, turns)):
        alone, shared = (list(read_ahead(clips, "test", workers)) for workers in (1, 2))
        assert [item is None for item in alone] == [video == 1 for video in videos]
        for one, two in zip(alone, shared, strict=True):
            assert (one is None and two is None) or torch.equal(one, two)
    first, *_, last = alone
    assert first.shape == last.shape == (8, 32, 32, 3) and not torch.equal(first, last), "two draws of one video"


def test_a_killed_process_that_decodes_is_one_line(paths, tiny_config, monkeypatch):
    monkeypatch.setattr(UniformClips, "__getitem__", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(CMACError, match="was killed, perhaps because the memory was full; use fewer, --workers 1"):
        list(read_ahead(UniformClips(paths, tiny_config.visual, 1.0, 2), "test", 1))
