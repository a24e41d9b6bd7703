import dataclasses

import numpy as np
import pytest
import torch

from cmac_hub.errors import CMACError
from cmac_hub.train.recipe import Recipe
from cmac_hub.train.scenes.compose import compose
from cmac_hub.train.scenes.footage import Shot, cut_shot, load_shots
from cmac_hub.train.scenes.library import Library, Thing, at_rate
from cmac_hub.train.scenes.pairs import ScenePairs
from cmac_hub.train.scenes.settings import SceneSettings

RECIPE = Recipe(architecture="cmac-nano", drawn_clips=8, easy_clips=16)


def test_a_pair_depends_on_its_number_alone():
    one, two = ScenePairs(RECIPE, None), ScenePairs(RECIPE, None)
    for index in (5, 40, 5):
        for a, b in zip(one.pair(index), two.pair(index), strict=True):
            assert torch.equal(torch.as_tensor(a), torch.as_tensor(b))
    assert not torch.equal(one.pair(5).frames, one.pair(6).frames)


def test_shapes_types_and_video_numbers():
    pair = ScenePairs(RECIPE, None).pair(3)
    visual = RECIPE.config.visual
    assert pair.frames.shape == (visual.frames, visual.size, visual.size, 3) and pair.frames.dtype == torch.uint8
    assert pair.waveform.shape == (16000,) and pair.waveform.dtype == torch.float32
    assert pair.video == 3 and pair.replaced == 0


def test_two_views_are_two_seconds_or_two_looks_of_one_scene():
    later = ScenePairs(RECIPE.replace(within_positives=True), None)
    one, two = later.pair(3, 0), later.pair(3, 1)
    assert one.video == two.video and one.frames.shape == two.frames.shape == (8, 64, 64, 3)
    assert one.waveform.shape == two.waveform.shape == (16000,)
    assert not torch.equal(one.waveform, two.waveform)
    looks = ScenePairs(RECIPE.replace(cross_modal=False), None)
    one, two = looks.pair(3, 0), looks.pair(3, 1)
    assert one.video == two.video and not torch.equal(one.frames, two.frames)
    cosine = torch.nn.functional.cosine_similarity(one.waveform, two.waveform, dim=0)
    assert cosine > 0.9, "the same second"


def test_drawings_come_first_then_photographs(monkeypatch):
    source = ScenePairs(RECIPE.replace(drawn_clips=20), None)
    drawn = []
    original = source._compose
    monkeypatch.setattr(source, "_compose", lambda level, *rest: (drawn.append(level.drawn), original(level, *rest))[1])
    for index in (0, 11, 12, 19, 20):
        source.pair(index)
    assert drawn == [1.0, 1.0, 0.6, 0.6, source.levels[0].drawn]


def test_a_shot_is_cut_to_one_second_of_both_streams():
    frames = np.zeros((48, 80, 100, 3), np.uint8)
    frames += np.arange(48, dtype=np.uint8)[:, None, None, None]
    shot = Shot(frames, np.repeat(np.arange(48), 16000 // Shot.RATE).astype(np.float32) / 480)
    rng = np.random.default_rng(0)
    for _ in range(10):
        clip, sound = cut_shot(shot, rng, SceneSettings(size=64, frames=8))
        assert clip.shape == (8, 64, 64, 3) and sound.shape == (16000,)
        assert (np.diff(clip[:, 0, 0, 0].astype(int)) >= 0).all()
        assert (np.diff(sound) >= 0).all()


def test_real_shots_hold_as_much_sound_as_picture(shared):
    shots = load_shots(shared, 64, progress=False)
    assert len(shots) > 50
    assert all(len(shot.waveform) == len(shot.frames_THWC) * 16000 // Shot.RATE for shot in shots)


def test_twins_share_picture_and_recording_but_no_second(monkeypatch):
    recipe = RECIPE.replace(drawn_clips=0, easy_clips=1, twin_share=1.0)
    source = ScenePairs(recipe, None)
    assert source._source(7) == source._source(7) and len(source._source(7).pictures) == 1
    composed = []
    monkeypatch.setattr(
        "cmac_hub.train.scenes.pairs.compose", lambda *given: composed.append(given[3]) or compose(*given)
    )
    one, two = source.pair(14), source.pair(15)
    assert composed == [source._source(7)] * 2
    assert one.video != two.video, "twins are negatives of each other"
    assert not torch.equal(one.frames, two.frames) and not torch.equal(one.waveform, two.waveform)
    source.recipe = recipe.replace(twin_share=0.0)
    assert not any(source._is_twin(i) for i in range(50))


def test_films_lie_behind_scenes():
    library = dataclasses.replace(
        ScenePairs(RECIPE, None).library, films=(np.full((20, 80, 90, 3), (255, 0, 255), np.uint8),), things=()
    )
    settings = SceneSettings(filmed=1.0, drawn=1.0, thing_size=(0.3, 0.4))
    scene = compose(library, np.random.default_rng(0), settings)
    outside = scene.frames_THWC[~scene.masks_THW]
    red, green, blue = np.median(outside, 0)
    assert min(red, blue) > 100 and green < 30, "magenta, which no drawing and no drawn background is"


def test_a_source_that_is_too_thin_gives_way_and_an_impossible_library_is_refused():
    library = Library.of_drawings("train", count=1)
    line = np.zeros((90, 90, 4), np.uint8)
    line[45] = 255
    thin = Thing("line", (line,), library.things[0].sounds)
    scene = compose(library, np.random.default_rng(0), SceneSettings(), thin)
    assert scene.thing != "line"
    lonely = dataclasses.replace(library, things=library.things[:1], drawn=())
    with pytest.raises(CMACError, match="a scene needs another thing than drawn_"):
        compose(lonely, np.random.default_rng(0), SceneSettings(background_sound=1.0))
    with pytest.raises(CMACError, match="things could not be seen well enough"):
        compose(dataclasses.replace(library, things=(thin,), drawn=()), np.random.default_rng(0), SceneSettings())


@pytest.mark.parametrize("views", [{}, {"within_positives": True}, {"cross_modal": False}])
def test_sound_comes_at_the_rate_and_length_that_the_network_hears(tmp_path, views):
    config = dataclasses.replace(RECIPE.config, window=1.5)
    audio = dataclasses.replace(config.audio, sample_rate=24000)
    dataclasses.replace(config, audio=audio).save(tmp_path / "other.json")
    recipe = RECIPE.replace(architecture=str(tmp_path / "other.json"), **views)
    waveform = ScenePairs(recipe, None).pair(30).waveform
    assert waveform.shape == (36000,) and waveform.dtype == torch.float32


def test_a_scene_sounds_as_high_at_another_rate():
    audio = dataclasses.replace(RECIPE.config.audio, sample_rate=24000)
    wave = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32) / 2
    heard = at_rate(wave, audio)
    expected = np.sin(2 * np.pi * 1000 * np.arange(24000) / 24000) / 2
    assert np.abs(heard.numpy() - expected)[500:-500].max() < 0.01
    assert at_rate(wave, RECIPE.config.audio).data_ptr() == torch.from_numpy(wave).data_ptr()
