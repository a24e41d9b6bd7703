from dataclasses import replace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from cmac_hub.train.scenes.actors import envelope
from cmac_hub.train.scenes.collected_library import load_collected
from cmac_hub.train.scenes.compose import Scenes, compose
from cmac_hub.train.scenes.library import SAMPLE_RATE, Library, Sound, Thing
from cmac_hub.train.scenes.settings import HARD, SceneSettings


@pytest.fixture(scope="module")
def library():
    return Library.of_drawings("train", count=3)


def scenes(library, settings, count=40, seed=0):
    return [compose(library, np.random.default_rng([seed, i]), settings) for i in range(count)]


def test_shapes_ranges_and_determinism(library):
    one, two = (compose(library, np.random.default_rng(5), HARD) for _ in range(2))
    assert one.frames_THWC.shape == (8, 64, 64, 3) and one.frames_THWC.dtype == np.uint8
    assert one.masks_THW.shape == (8, 64, 64) and one.masks_THW.dtype == bool
    assert one.waveform.shape == (SAMPLE_RATE,) and np.abs(one.waveform).max() <= 1
    assert HARD.distractors[0] <= one.distractors <= HARD.distractors[1]
    np.testing.assert_array_equal(one.frames_THWC, two.frames_THWC)
    np.testing.assert_array_equal(one.waveform, two.waveform)


def test_the_source_is_visible_and_its_sound_dominates(library):
    for scene in scenes(library, HARD):
        assert scene.masks_THW.mean() >= 0.02
        rest = scene.waveform - scene.source_waveform
        assert np.square(scene.source_waveform).mean() > 3 * np.square(rest).mean()


COLORS = {"red": (250, 0, 0), "green": (0, 250, 0)}


def square(red, green, blue):
    return (np.ones((40, 40, 4)) * (red, green, blue, 255)).astype(np.uint8)


def test_the_mask_is_where_the_picture_shows_the_source(library):
    """One red square sounds among green ones on black, so the color tells the truth."""
    red = Thing("red", (square(250, 0, 0),), library.things[0].sounds)
    green = Thing("green", (square(0, 250, 0),), library.things[1].sounds)
    black = (np.zeros((128, 128, 3), np.uint8),)
    world = Library((red, green), (), (square(0, 250, 0),), black)
    seen = 0
    for scene in scenes(world, replace(HARD, two_sources=0.0), 20):
        picture = scene.frames_THWC.astype(int)
        if scene.thing == "green" or np.ptp(picture, 3).max() == 0:
            continue
        shown = picture[..., 0] - picture[..., 1] > 0.3 * picture.max()
        union = (shown | scene.masks_THW).sum()
        assert (shown & scene.masks_THW).sum() / union > 0.85
        seen += 1
    assert seen >= 5


def test_neither_size_nor_occlusion_tells_what_sounds():
    """Red and green squares alike; over many scenes what sounds is as large, as visible and as central as what does
    not."""
    library = Library.of_drawings("train", count=2)
    red, green = (Thing(name, (square(*color),), library.things[0].sounds) for name, color in COLORS.items())
    world = Library((red, green), (), (), (np.zeros((128, 128, 3), np.uint8),))
    areas, distances = {True: [], False: []}, {True: [], False: []}
    for scene in scenes(world, replace(HARD, two_sources=0.0, distractors=(1, 1)), 250):
        picture = scene.frames_THWC.astype(int)
        if np.ptp(picture, 3).max() < 50:
            continue
        for name, channel in (("red", 0), ("green", 1)):
            seen = (picture[..., channel] - picture[..., 1 - channel] > 0.3 * picture.max()).mean(0) > 0.5
            y, x = np.nonzero(seen) if seen.any() else ([32], [32])
            areas[scene.thing == name].append(seen.mean())
            distances[scene.thing == name].append(np.hypot(np.mean(y) - 31.5, np.mean(x) - 31.5))
    for found in (areas, distances):
        error = np.sqrt(sum(np.var(values) / len(values) for values in found.values()))
        assert abs(np.mean(found[True]) - np.mean(found[False])) < 3 * error


def test_a_source_outside_of_the_picture_has_an_empty_mask(library):
    for scene in scenes(library, replace(HARD, offscreen=1.0), 5):
        assert not scene.masks_THW.any()
        assert np.abs(scene.waveform).max() > 0


def test_counting_things_does_not_tell_that_the_source_is_missing():
    """Things without sound in red, others in green, on black: as many of each with and without the source."""
    sounds = Library.of_drawings("train", count=1).things[0].sounds
    able = tuple(Thing(f"thing{i}", (square(0, 250, 0),), sounds) for i in range(3))
    world = Library(able, (), (square(250, 0, 0),), (np.zeros((128, 128, 3), np.uint8),))
    settings = SceneSettings(distractors=(0, 1), thing_size=(0.2, 0.21), moving=0.0)
    areas = []
    for offscreen in (0.0, 1.0):
        made = scenes(world, replace(settings, offscreen=offscreen), 150)
        channels = np.stack([s.frames_THWC[0, ..., :2].astype(int) for s in made])
        lit = channels.argmax(3), channels.max(3) > 40
        areas.append([np.mean((lit[0] == color) & lit[1]) for color in (0, 1)])
    assert areas[0] == pytest.approx(areas[1], rel=0.2)


def test_two_sources_sound_together_and_both_are_in_the_mask(library):
    """A red and a green square on black both sound, so the mask covers all that is lit."""
    things = tuple(Thing(name, (square(*color),), library.things[0].sounds) for name, color in COLORS.items())
    world = Library(things, (), (), (np.zeros((128, 128, 3), np.uint8),))
    seen = 0
    for scene in scenes(world, SceneSettings(two_sources=1.0, thing_size=(0.2, 0.3), background_sound=0.0), 10):
        picture = scene.frames_THWC.astype(int)
        if np.ptp(picture, 3).max() < 50:
            continue
        for channel in (0, 1):
            shown = picture[..., channel] - picture[..., 1 - channel] > 0.3 * picture.max()
            assert shown.any() and (shown & scene.masks_THW).sum() / shown.sum() > 0.9
        seen += 1
    assert seen >= 5


def test_place_tells_nothing_a_constant_map_is_at_its_area(library):
    """The best single cell of a 4 x 4 grid, chosen in hindsight, stays near what area alone gives in the middle."""
    hits = np.zeros((64, 64))
    made = scenes(library, HARD, 150)
    for scene in made:
        hits += scene.masks_THW.mean(0) >= 0.5
    hits /= len(made)
    assert hits.max() < 0.35
    assert np.mean([scene.masks_THW.mean() for scene in made]) < 0.15


def test_splits_share_no_drawing():
    train, test = (Library.of_drawings(split, count=2) for split in ("train", "test"))
    for one, two in zip(train.things, test.things, strict=True):
        assert one.name == two.name
        for picture in one.pictures:
            assert not any(np.array_equal(picture, other) for other in two.pictures)


def test_a_library_of_the_shared_data_keeps_its_splits(shared):
    validation = load_collected(shared, "validation", "new", progress=False)
    known = {thing.name for thing in load_collected(shared, "validation", "known", progress=False).things}
    names = {thing.name for thing in validation.things}
    assert len(names) >= 5 and not names & known
    assert validation.backgrounds and validation.distractors
    scene = compose(validation, np.random.default_rng(0), replace(HARD, drawn=0.0))
    assert scene.thing in names


def test_scenes_are_a_dataset_that_stores_nothing(library):
    made = Scenes(library, [SceneSettings(), HARD], 5, seed=3)
    loader = DataLoader(made, batch_size=2, collate_fn=list, num_workers=1)
    found = [scene for batch in loader for scene in batch]
    assert len(made) == len(found) == 5
    for one, two in zip(made, found, strict=True):
        np.testing.assert_array_equal(one.frames_THWC, two.frames_THWC)
    assert [scene.distractors > 0 for scene in made] == [False, True, False, True, False]
    with pytest.raises(IndexError, match="there is no scene 5"):
        made[5]


def test_an_unseen_sound_has_the_level_that_was_asked_for(library):
    quiet = replace(SceneSettings(), background_sound=1.0, noise_level=(-80.0, -80.0))
    for level in (-20.0, 0.0):
        for scene in scenes(library, replace(quiet, background_level=(level, level)), 5):
            rest = scene.waveform - scene.source_waveform
            ratio = np.square(rest).mean() / np.square(scene.source_waveform).mean()
            assert 10 * np.log10(ratio) == pytest.approx(level, abs=0.5)


def test_a_source_follows_its_sound_and_a_silent_thing_another():
    """Pulsing squares: the area of what is seen goes with the envelope of what is heard, of a silent one not."""
    rng = np.random.default_rng(0)
    sounds = tuple(
        Sound.of((rng.normal(0, 0.2, 24000) * np.repeat(rng.random(15) ** 3, 1600)).astype(np.float32))
        for _ in range(8)
    )
    red, green = (
        Thing(name, (square(*color),), sounds) for name, color in (("red", (250, 0, 0)), ("green", (0, 250, 0)))
    )
    world = Library((red, green), (), (), (np.zeros((128, 128, 3), np.uint8),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmac_hub.train.scenes.actors.MOTIONS", ("pulse",))
        settings = SceneSettings(distractors=(1, 1), thing_size=(0.2, 0.3), moving=1.0, background_sound=0.0)
        own, other = [], []
        for scene in scenes(world, settings, 60, seed=4):
            picture = scene.frames_THWC.astype(int)
            if np.ptp(picture, 3).max() < 50:
                continue
            loudness = envelope(scene.source_waveform, 8)
            areas = [(picture[..., c] - picture[..., 1 - c] > 40).sum((1, 2)) for c in (0, 1)]
            if any(np.ptp(area) < 20 for area in areas):
                continue
            sounding = 0 if scene.thing == "red" else 1
            own.append(np.corrcoef(areas[sounding], loudness)[0, 1])
            other.append(np.corrcoef(areas[1 - sounding], loudness)[0, 1])
    assert len(own) > 15 and np.mean(own) > 0.8 and abs(np.mean(other)) < 0.4


def test_drawing_again_changes_no_share(library):
    """Scenes in which something is hidden are drawn again; that must not favor scenes with few things."""
    settings = replace(HARD, distractors=(0, 3), offscreen=0.5, thing_size=(0.35, 0.6))
    made = scenes(library, settings, 240)
    counts = np.bincount([scene.distractors for scene in made], minlength=4) / len(made)
    assert np.abs(counts - 0.25).max() < 0.1
    assert np.mean([not scene.masks_THW.any() for scene in made]) == pytest.approx(0.5, abs=0.1)
