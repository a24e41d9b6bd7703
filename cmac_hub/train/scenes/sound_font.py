"""Instruments played by a General MIDI sound font: phrases for the few instruments of training, each of which has but
one or two recordings.

Only things of training are played, so validation and test have recordings alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.library import SAMPLE_RATE, Library, Sound, Thing, pick

if TYPE_CHECKING:
    from tinysoundfont import Synth

SECONDS = 3.0
"""Of one phrase."""


class Instrument(NamedTuple):
    """What plays a thing: General MIDI programs with the range of their keys, or keys of the drum kit."""

    programs: tuple[int, ...]
    """Counted from 0; empty for the drum kit."""
    keys: tuple[int, ...]
    """MIDI keys; 60 is middle C."""


INSTRUMENTS: dict[str, Instrument] = {
    "bassoon": Instrument((70,), tuple(range(36, 68))),
    "cello": Instrument((42,), tuple(range(36, 72))),
    "clarinet": Instrument((71,), tuple(range(50, 85))),
    "flute_traversiere": Instrument((73,), tuple(range(60, 92))),
    "guitar": Instrument((24, 25, 26, 27, 29), tuple(range(40, 77))),
    "harmonica": Instrument((22,), tuple(range(60, 89))),
    "horn": Instrument((60,), tuple(range(41, 73))),
    "organ": Instrument((16, 19, 20), tuple(range(36, 85))),
    "timpani": Instrument((47,), tuple(range(40, 56))),
    "trombone": Instrument((57,), tuple(range(40, 70))),
    "tuba": Instrument((58,), tuple(range(28, 54))),
    "cymbal": Instrument((), (49, 51, 52, 55, 57, 59)),
    "drum_kit": Instrument((), (35, 36, 38, 40, 41, 43, 45, 46, 47, 48, 50)),
    "maracas": Instrument((), (70,)),
}
"""By thing of `splits.csv`."""


def find_font(data: Path) -> Path:
    """The one sound font in the folder's `scenes`. Raises CMACError if there is none, or more."""
    fonts = sorted((data / "scenes").glob("*.sf2"))
    if len(fonts) != 1:
        found = f"{len(fonts)} sound fonts" if fonts else "no sound font"
        raise CMACError(
            f"{data / 'scenes'} has {found} (.sf2), the recipe's notes need one; put it there, or --set notes=0"
        )
    return fonts[0]


def with_notes(library: Library, font: Path, count: int, seed: int = 0) -> Library:
    """The library with `count` phrases more for each of its instruments; its recordings come as often as its phrases.

    Args:
        library: whose things are looked up in `INSTRUMENTS`.
        font: an .sf2 file.
        count: phrases of one instrument.
        seed: the same seed plays the same phrases.

    Raises:
        CMACError: the file is no sound font, or the package that plays it is missing.
    """
    synth, number = _open(font)
    things = []
    for place, thing in enumerate(library.things):
        if count and (instrument := INSTRUMENTS.get(thing.name)):
            rng = np.random.default_rng([seed, place])
            phrases = tuple(Sound.of(_play(synth, number, instrument, rng)) for _ in range(count))
            often = -(-count // len(thing.sounds))
            thing = Thing(thing.name, thing.pictures, (thing.sounds * often)[: max(count, len(thing.sounds))] + phrases)
        things.append(thing)
    return replace(library, things=tuple(things))


def _open(font: Path) -> tuple[Synth, int]:
    try:
        import tinysoundfont
    except ImportError as error:
        # Its loudspeaker library must be compiled, and is not needed here.
        hint = "pip install --no-deps tinysoundfont, or --set notes=0"
        raise CMACError(f"the recipe's notes need the package tinysoundfont: {hint}") from error
    # Louder would clip where many notes sound together.
    synth = tinysoundfont.Synth(gain=-6, samplerate=SAMPLE_RATE)
    try:
        return synth, synth.sfload(str(font))
    except Exception as error:
        raise CMACError(f"{font} is no sound font that can be played ({error})") from error


def _play(synth: Synth, number: int, instrument: Instrument, rng: np.random.Generator) -> np.ndarray:
    """(n,) float32 with a peak of 0.9: notes at random moments of a phrase, the first at once."""
    drums = not instrument.programs
    synth.program_select(0, number, 128 if drums else 0, 0 if drums else pick(rng, instrument.programs), drums)
    length, notes = round(SECONDS * SAMPLE_RATE), int(rng.integers(2, 11))
    starts = np.sort(np.r_[0, rng.integers(length - SAMPLE_RATE // 10, size=notes - 1)])
    # One hand: a phrase stays within an octave or so.
    low = int(rng.integers(max(1, len(instrument.keys) - 12)))
    near = instrument.keys[low : low + 13]
    parts, key = [], -1
    for start, end in zip(starts, [*starts[1:], length], strict=True):
        if key >= 0:
            synth.noteoff(0, key)
        key = pick(rng, near)
        synth.noteon(0, key, int(rng.integers(50, 121)))
        if end > start:
            stereo = np.frombuffer(bytes(synth.generate(int(end - start))), np.float32)
            parts.append(stereo.reshape(-1, 2).mean(1))
    synth.sounds_off(0)
    # What still fades would sound in the next phrase.
    synth.generate(SAMPLE_RATE)
    waveform = np.concatenate(parts)
    return waveform * (0.9 / max(1e-6, float(np.abs(waveform).max())))
