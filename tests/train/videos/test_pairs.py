import subprocess
import sys

import numpy as np
import pytest
import torch
from making import tone, write_media

from cmac_hub.errors import CMACError
from cmac_hub.train.pretrain import pretrain
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.videos.manifest import Manifest
from cmac_hub.train.videos.pairs import VideoPairs

RECIPE = Recipe(architecture="cmac-nano", batch=4)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    paths = [folder / f"{i}.mp4" for i in range(4)]
    for i, path in enumerate(paths):
        write_media(path, times=np.arange(75) / 25, size=(96, 72), sound=tone(3.0, hertz=300 * (i + 1)))
    return paths


def manifest_of(paths):
    return Manifest([(str(path), 0.0, 3.0, "", "") for path in paths])


def test_a_pair_depends_on_its_number_alone(videos):
    one, two = (VideoPairs(RECIPE, manifest_of(videos)) for _ in range(2))
    for index in (0, 9, 3, 0):
        for a, b in zip(one.pair(index), two.pair(index), strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))


def test_an_epoch_has_each_video_once_in_an_order_of_its_own(videos):
    source = VideoPairs(RECIPE, manifest_of(videos))
    orders = [[int(source.pair(epoch * 4 + i).video) for i in range(4)] for epoch in range(6)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_picture_and_sound_are_of_the_same_second(tmp_path):
    """Brightness rises with time, and so does the tone's level."""
    rise = np.linspace(0, 1, 16000 * 4, dtype=np.float32)
    path = write_media(
        tmp_path / "rise.mp4", times=np.arange(100) / 25, size=(96, 72), sound=rise * tone(4.0, level=0.9)
    )
    source = VideoPairs(RECIPE, Manifest([(str(path), 0.0, 4.0, "", "")]))
    for index in range(6):
        pair = source.pair(index)
        brightness = (float(pair.frames.float().mean()) - 20) / 200
        loudness = float(pair.waveform.abs().max())
        assert loudness == pytest.approx(0.9 * (brightness + 0.125), abs=0.08)


def test_two_views_are_two_seconds_of_one_video_or_one_second_twice(videos):
    later = VideoPairs(RECIPE.replace(within_positives=True), manifest_of(videos))
    one, two = later.pair(5, 0), later.pair(5, 1)
    assert one.video == two.video and not torch.equal(one.waveform, two.waveform)
    looks = VideoPairs(RECIPE.replace(cross_modal=False, color_jitter=True), manifest_of(videos))
    one, two = looks.pair(5, 0), looks.pair(5, 1)
    assert torch.equal(one.waveform, two.waveform) and not torch.equal(one.frames, two.frames)


def test_a_video_is_probed_once_for_a_pair(videos, monkeypatch):
    from cmac_hub.media import info

    probed, probe = [], info._probe
    monkeypatch.setattr(info, "_probe", lambda *asked: probed.append(asked) or probe(*asked))
    VideoPairs(RECIPE.replace(within_positives=True), manifest_of(videos)).pair(5)
    assert len(probed) == 1, "both of its seconds are looked at"


def test_without_crops_the_middle_is_kept(videos):
    source = VideoPairs(RECIPE.replace(crop=False), manifest_of(videos))
    assert source.pair(0).frames.shape == (8, 64, 64, 3)


def test_broken_and_missing_videos_are_replaced_and_counted_silent_seconds_are_replaced(videos, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    silent = write_media(tmp_path / "silent.mp4", times=np.arange(75) / 25, sound=np.zeros(48000, np.float32))
    bad = [tmp_path / "broken.mp4", silent, tmp_path / "missing.mp4"]
    source = VideoPairs(RECIPE, manifest_of([videos[0], *bad]))
    pairs = [source.pair(index) for index in range(4)]
    assert {int(pair.video) for pair in pairs} == {0}
    counts = [int(pair.replaced) for pair in pairs]
    assert sum(count > 0 for count in counts) >= 2 and min(counts) == 0
    quiet = VideoPairs(RECIPE, manifest_of([videos[0], silent]))
    assert [int(quiet.pair(index).replaced) for index in range(8)] == [0] * 8, "a silent second is no broken video"
    with pytest.raises(CMACError, match="20 videos in a row could not be read"):
        VideoPairs(RECIPE, manifest_of(bad)).pair(0)


def test_training_on_videos_and_its_end_when_too_many_are_broken(videos, tmp_path, tiny_file, monkeypatch):

    lines = ["path,start,end", *(f"{path},0,3" for path in videos)]
    (tmp_path / "good.csv").write_text("\n".join(lines))
    (tmp_path / "bad.csv").write_text("\n".join([*lines, "gone.mp4,0,3"]))
    recipe = Recipe(architecture=tiny_file, batch=4, bank=8, workers=0, epochs=3, steps=0, color_jitter=True)
    pretrain(recipe, tmp_path / "good.csv", tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "checkpoints" / "step_00000003.pt").exists(), "three epochs of one step"
    (tmp_path / "fewer.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(CMACError, match="began with other data than"):
        pretrain(recipe, tmp_path / "fewer.csv", tmp_path / "run", resume=True, progress=False)
    with pytest.raises(CMACError, match=r"videos could not be read, more than the recipe's broken_share of 0\.05"):
        pretrain(recipe.replace(steps=30), tmp_path / "bad.csv", tmp_path / "bad", progress=False)


def test_a_worker_that_gives_up_ends_the_run_with_one_line(tmp_path):
    """And leaves no process behind that the run would wait for."""
    (tmp_path / "bad.csv").write_text("path,start,end\ngone.mp4,0,3\n")
    command = [sys.executable, "-m", "cmac_hub.train", "pretrain", "--recipe", "nano", "--set", "workers=1", "batch=4"]
    command += ["--data", str(tmp_path / "bad.csv"), "-o", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "20 videos in a row could not be read" in last and "Traceback" not in done.stderr
