"""Sounding scenes: clips composed so that it is known what sounds, where, and how loud.

A scene is a photograph with a drifting camera, one or two sources and some distractors. All things obey the same law
of size, place, path and looks, so neither tells what sounds. What tells: a thing's looks agree with the sound, and a
source moves in time with its own sound, while a distractor moves in time with a sound that is not in the mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from cmac_hub.errors import CMACError
from cmac_hub.train.scenes.actors import act, paint
from cmac_hub.train.scenes.backdrops import background, blur, grade
from cmac_hub.train.scenes.library import BLOCK, FEWEST, SAMPLE_RATE, Library, Thing, pick
from cmac_hub.train.scenes.settings import SceneSettings

TRIES = 1000
SMALLEST = 0.02
"""Smallest visible share of the picture of a thing."""
PATIENCE = 20
"""How often a given source is tried before another takes its place: some pictures are too thin to be seen."""


@dataclass(frozen=True)
class Scene:
    """One composed clip with its ground truth."""

    frames_THWC: np.ndarray
    """uint8 RGB."""
    waveform: np.ndarray
    """(n,) float32 in [-1, 1] at 16 kHz."""
    masks_THW: np.ndarray
    """bool: the visible part of what sounds; all False if that is not in the picture."""
    thing: str
    """What sounds (for evaluation; training never sees it)."""
    source_waveform: np.ndarray
    """(n,) float32: the sources' share of `waveform`; the rest is background sound and noise."""
    distractors: int
    """Things beside the source, or beside what stands in its place, that make no sound."""


class Scenes(Dataset[Scene]):
    """So many scenes, made when they are asked for and never stored. Scene i depends on seed and i alone.

    A `DataLoader` needs `collate_fn=list`.

    Args:
        library: what they are composed of.
        levels: how; scene i follows level i modulo their number.
        count: how many there are.
        seed: of all of them.
    """

    def __init__(self, library: Library, levels: Sequence[SceneSettings], count: int, seed: int = 0) -> None:
        self.library, self.levels, self.count, self.seed = library, tuple(levels), count, seed

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Scene]:
        return map(self.__getitem__, range(self.count))

    def __getitem__(self, index: int) -> Scene:
        if not 0 <= index < self.count:
            raise IndexError(f"there is no scene {index}; there are {self.count}")
        rng = np.random.default_rng([self.seed, index])
        return compose(self.library, rng, self.levels[index % len(self.levels)])


def compose(library: Library, rng: np.random.Generator, settings: SceneSettings, source: Thing | None = None) -> Scene:
    """One scene; the same library, settings and state of `rng` give the same scene.

    Args:
        library: what it is composed of.
        rng: all randomness.
        settings: how.
        source: the first thing that sounds; None picks one, as does a source that cannot be seen well enough.

    Every thing, source or distractor, is visible on at least 2 % of the picture and by at least half of its
    own area, else all is drawn again.

    Raises:
        CMACError: that never happens with these pictures and settings, or the library has too few things.
    """
    cast = _cast(rng, settings)
    for attempt in range(TRIES):
        scene = _try_compose(library, rng, settings, cast, source if attempt < PATIENCE else None)
        if scene is not None:
            return scene
    raise CMACError(
        f"things could not be seen well enough in {TRIES} scenes; give broader pictures, larger things or fewer of them"
    )


class _Cast(NamedTuple):
    """Chosen once a scene: a scene that is drawn again must not change how often each of these comes."""

    sources: int
    offscreen: bool
    distractors: int
    drawn: bool


def _cast(rng: np.random.Generator, settings: SceneSettings) -> _Cast:
    return _Cast(
        1 + (rng.random() < settings.two_sources),
        bool(rng.random() < settings.offscreen),
        int(rng.integers(settings.distractors[0], settings.distractors[1] + 1)),
        bool(rng.random() < settings.drawn),
    )


def _try_compose(
    library: Library, rng: np.random.Generator, settings: SceneSettings, cast: _Cast, source: Thing | None
) -> Scene | None:
    sources = [source or pick(rng, library.drawn if library.drawn and cast.drawn else library.things)]
    while len(sources) < cast.sources:
        sources.append(_other_thing(library, rng, sources))
    parts = [_cut_sound(rng, thing, settings.seconds) for thing in sources]
    for part in parts[1:]:
        part *= 10 ** (rng.uniform(-6, 0) / 20)
    actors = []
    for thing, part in zip(sources, parts, strict=True):
        if cast.offscreen:
            # Another thing in its place, which could sound as well: only the sound tells that the source is not there.
            other = _other_thing(library, rng, sources)
            rhythm = _cut_sound(rng, other, settings.seconds)
            actors.append(act(rng, pick(rng, other.pictures), rhythm, False, settings))
        else:
            actors.append(act(rng, pick(rng, thing.pictures), part, True, settings))
    for _ in range(cast.distractors):
        other = _other_thing(library, rng, sources)
        rhythm = _cut_sound(rng, other, settings.seconds)
        # Half of the distractors are known to sound elsewhere: to be able to sound is no clue.
        never_sounds = library.distractors and rng.random() < 0.5
        picture = pick(rng, library.distractors) if never_sounds else pick(rng, other.pictures)
        actors.append(act(rng, picture, rhythm, False, settings))
    actors = [actors[i] for i in rng.permutation(len(actors))]
    frames_THWC = background(library, rng, settings)
    owner_THW, whole_A = painted = paint(frames_THWC, actors)
    # One law for all: were only a source sure to be seen, size and occlusion would tell the distractors.
    if (painted.visible_A < np.maximum(SMALLEST * owner_THW.size, 0.5 * whole_A)).any():
        return None
    masks_THW = np.isin(owner_THW, [number for number, actor in enumerate(actors) if actor.sounding])
    waveform, source_waveform = _mix(library, rng, sources, parts, settings)
    graded = grade(frames_THWC, rng)
    if settings.blur > 0 and rng.random() < settings.blur:
        graded = blur(graded, float(rng.uniform(0.5, 1.5)) * settings.size / 64)
    return Scene(graded, waveform, masks_THW, sources[0].name, source_waveform, cast.distractors)


def _other_thing(library: Library, rng: np.random.Generator, taken: list[Thing]) -> Thing:
    names = {thing.name for thing in taken}
    pool = library.drawn if library.drawn and taken[0].name.startswith("drawn_") else library.things
    if len(pool) <= len(names):
        raise CMACError(f"a scene needs another thing than {', '.join(names)}; give at least {FEWEST} things")
    while (thing := pick(rng, pool)).name in names:
        pass
    return thing


def _cut_sound(rng: np.random.Generator, thing: Thing, seconds: float) -> np.ndarray:
    """(n,) float32 with an RMS of 1: a loud stretch of one of the thing's sounds, a short sound at a random moment."""
    sound, length = pick(rng, thing.sounds), round(seconds * SAMPLE_RATE)
    samples = sound.samples
    if len(samples) <= length:
        cut = np.zeros(length, np.float32)
        start = int(rng.integers(length - len(samples) + 1))
        cut[start : start + len(samples)] = samples
    else:
        span = min(len(sound.energy), length // BLOCK)
        energy = np.convolve(sound.energy, np.ones(span, np.float32), "valid")
        starts = np.flatnonzero(energy >= 0.2 * energy.max())
        start = min(int(rng.choice(starts)) * BLOCK, len(samples) - length)
        cut = samples[start : start + length].astype(np.float32)
    return cut / max(1.0, float(np.sqrt(np.mean(cut**2))))


def _mix(
    library: Library, rng: np.random.Generator, sources: list[Thing], parts: list[np.ndarray], settings: SceneSettings
) -> tuple[np.ndarray, np.ndarray]:
    """(mixture, sources alone), float32 within [-1, 1]."""
    source = np.sum(parts, 0)
    rest = rng.normal(0, 10 ** (rng.uniform(*settings.noise_level) / 20), len(source))
    if rng.random() < settings.background_sound:
        second = _cut_sound(rng, _other_thing(library, rng, sources), settings.seconds)
        rest = rest + second * 10 ** (rng.uniform(*settings.background_level) / 20)
    level = 10 ** (rng.uniform(-30, -12) / 20)
    level = min(level, 0.99 / float(np.abs(source + rest).max()))
    return ((source + rest) * level).astype(np.float32), (source * level).astype(np.float32)
