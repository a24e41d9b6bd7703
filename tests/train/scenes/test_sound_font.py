"""Phrases of a sound font for the instruments of training."""

import sys

import numpy as np
import pytest

from cmac_hub.errors import CMACError
from cmac_hub.train.recipe import Recipe, RecipeError
from cmac_hub.train.scenes import sound_font
from cmac_hub.train.scenes.library import SAMPLE_RATE, Library, Sound, Thing
from cmac_hub.train.scenes.sound_font import INSTRUMENTS, SECONDS, find_font, with_notes
from cmac_hub.train.scenes.splits import load_splits


@pytest.fixture
def font(shared):
    return find_font(shared)


def library(*names):
    recording = Sound.of(np.zeros(SAMPLE_RATE, np.float32))
    return Library(tuple(Thing(name, (), (recording,)) for name in names), (), (), ())


def test_only_things_of_training_are_played():
    splits = load_splits()
    assert {splits.split_of("thing", name) for name in INSTRUMENTS} == {"train"}
    assert all(0 <= key < 128 for instrument in INSTRUMENTS.values() for key in instrument.keys)
    assert all(0 <= program < 128 for instrument in INSTRUMENTS.values() for program in instrument.programs)


@pytest.mark.extras
def test_every_instrument_gets_its_phrases_and_its_recording_is_heard_as_often(font):
    played = with_notes(library("dog", *INSTRUMENTS), font, 4).things
    assert len(played[0].sounds) == 1
    for thing in played[1:]:
        recordings, phrases = thing.sounds[:4], thing.sounds[4:]
        assert len(phrases) == 4 and all(sound is recordings[0] for sound in recordings)
        for phrase in phrases:
            assert len(phrase.samples) == round(SECONDS * SAMPLE_RATE)
            assert abs(int(np.abs(phrase.samples.astype(int)).max()) - 0.9 * 32767) < 2, thing.name
            assert phrase.energy.max() > 1e-4, thing.name


@pytest.mark.extras
def test_the_pitch_is_the_key_that_was_played(font, monkeypatch):
    """The flute at A of 440 hertz: nothing below its fundamental, which stands out at 440 or an octave above."""
    monkeypatch.setitem(sound_font.INSTRUMENTS, "flute_traversiere", sound_font.Instrument((73,), (69,)))
    (thing,) = with_notes(library("flute_traversiere"), font, 1).things
    samples = thing.sounds[-1].samples.astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = float(np.argmax(spectrum) / SECONDS)
    assert min(abs(hertz / 440 - 1), abs(hertz / 880 - 1)) < 0.02


@pytest.mark.extras
def test_a_seed_decides_every_phrase(font):
    first, again, other = (with_notes(library("cello"), font, 2, seed).things[0].sounds[-2:] for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.samples, b.samples) and not np.array_equal(a.samples, c.samples)
    assert not np.array_equal(first[0].samples, first[1].samples)


def test_what_is_missing_or_broken_is_named(tmp_path, monkeypatch):
    with pytest.raises(CMACError, match=r"has no sound font \(.sf2\), .*--set notes=0"):
        find_font(tmp_path)
    (tmp_path / "scenes").mkdir()
    for name in ("a.sf2", "b.sf2"):
        (tmp_path / "scenes" / name).write_bytes(b"garbage")
    with pytest.raises(CMACError, match="has 2 sound fonts"):
        find_font(tmp_path)
    with pytest.raises(RecipeError, match="'notes' is -1"):
        Recipe(notes=-1)
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(CMACError, match="pip install --no-deps tinysoundfont, or --set notes=0"):
        with_notes(library("cello"), tmp_path / "scenes" / "a.sf2", 1)


@pytest.mark.extras
def test_a_broken_font_is_named(font, tmp_path):
    (tmp_path / "font.sf2").write_bytes(b"garbage")
    with pytest.raises(CMACError, match=r"font.sf2 is no sound font that can be played"):
        with_notes(library("cello"), tmp_path / "font.sf2", 1)
