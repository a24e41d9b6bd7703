"""Sounds the package makes itself: one voice for each drawn thing, as short events with rests between."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from cmac_hub.errors import ArgumentError

Voice = Callable[[np.random.Generator, np.ndarray, float], np.ndarray]
"""(rng, seconds since the event began (n,), pitch factor) -> (n,) samples of one event."""


def _phase(frequency: np.ndarray, times: np.ndarray) -> np.ndarray:
    step = times[1] - times[0] if len(times) > 1 else 0.0
    return 2 * np.pi * np.cumsum(frequency) * step


def _bell(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    partials = ((0.56, 0.4, 1.4), (1.0, 1.0, 2.2), (1.19, 0.5, 2.8), (2.0, 0.6, 3.5), (2.74, 0.4, 5.0), (4.1, 0.2, 8.0))
    return sum((a * np.exp(-d * t) * np.sin(2 * np.pi * 700 * pitch * f * t) for f, a, d in partials), np.zeros_like(t))


def _drum(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    thump = np.sin(_phase(90 * pitch * (1 + 0.8 * np.exp(-25 * t)), t)) * np.exp(-9 * t)
    return thump + 0.5 * rng.normal(0, 1, len(t)) * np.exp(-28 * t)


def _bird(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    trill = 3200 * pitch + 900 * np.sin(2 * np.pi * rng.uniform(9, 15) * t)
    return np.sin(_phase(trill, t)) * np.sin(np.pi * np.clip(t / 0.45, 0, 1)) ** 2


def _siren(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    sweep = 650 * pitch * 2 ** (0.7 * np.sin(2 * np.pi * 1.1 * t - np.pi / 2))
    phase = _phase(sweep, t)
    tone = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)
    return tone * np.sin(np.pi * np.clip(t / 1.8, 0, 1)) ** 0.7


def _bee(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    phase = _phase(190 * pitch * (1 + 0.06 * np.sin(2 * np.pi * 5 * t)), t)
    buzz = sum((np.sin(k * phase) / k for k in range(1, 16)), np.zeros_like(t))
    return buzz * np.sin(np.pi * np.clip(t / 1.0, 0, 1)) * (0.8 + 0.2 * np.sin(2 * np.pi * 31 * t))


def _flute(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    phase = _phase(620 * pitch * (1 + 0.008 * np.sin(2 * np.pi * 5.5 * t)), t)
    tone = np.sin(phase) + 0.25 * np.sin(2 * phase) + 0.08 * np.sin(3 * phase) + 0.05 * rng.normal(0, 1, len(t))
    return tone * np.clip(t / 0.06, 0, 1) * np.clip((0.7 - t) / 0.15, 0, 1)


def _rattle(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    noise = np.diff(rng.normal(0, 1, len(t) + 1))
    return noise * np.exp(-((t - 0.05) ** 2) / 0.0008)


def _car(rng: np.random.Generator, t: np.ndarray, pitch: float) -> np.ndarray:
    rate = 38 * pitch * (1 + 0.9 * np.sin(np.pi * np.clip(t / 1.6, 0, 1)))
    phase = _phase(rate, t)
    growl = sum((np.sin(k * phase + k * k) / k**0.7 for k in range(1, 14)), np.zeros_like(t))
    return (growl + 0.3 * rng.normal(0, 1, len(t))) * np.sin(np.pi * np.clip(t / 1.6, 0, 1))


VOICES: dict[str, tuple[Voice, float, tuple[float, float]]] = {
    "bell": (_bell, 1.6, (0.6, 1.3)),
    "drum": (_drum, 0.5, (0.25, 0.7)),
    "bird": (_bird, 0.45, (0.5, 1.1)),
    "siren": (_siren, 1.8, (1.9, 2.4)),
    "bee": (_bee, 1.0, (1.0, 1.6)),
    "flute": (_flute, 0.7, (0.65, 1.1)),
    "rattle": (_rattle, 0.12, (0.16, 0.5)),
    "car": (_car, 1.6, (1.6, 2.3)),
}
"""Voice, seconds of one event, shortest and longest seconds from one event to the next."""


def synthesize(kind: str, rng: np.random.Generator, seconds: float, sample_rate: int) -> np.ndarray:
    """The sound of a drawn thing: events of its voice at irregular times, pitch and timbre vary with `rng`.

    Returns:
        (n,) fp32, loudest sample 0.7.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in VOICES:
        raise ArgumentError(f"kind is {kind!r}; accepted are {', '.join(VOICES)}")
    voice, length, (shortest, longest) = VOICES[kind]
    total = round(seconds * sample_rate)
    mix = np.zeros(total + round(length * sample_rate) + 1)
    pitch, start = 2 ** rng.uniform(-0.35, 0.35), rng.uniform(0, min(0.3, seconds / 4))
    while start < seconds:
        times = np.arange(round(length * sample_rate)) / sample_rate
        first = round(start * sample_rate)
        event = voice(rng, times, pitch * 2 ** rng.uniform(-0.08, 0.08))
        mix[first : first + len(event)] += event * rng.uniform(0.5, 1)
        start += rng.uniform(shortest, longest)
    mix = mix[:total]
    return (0.7 * mix / max(1e-9, float(np.abs(mix).max(initial=0)))).astype(np.float32)


def envelope(waveform: np.ndarray, sample_rate: int, rate: float, release: float = 0.15) -> np.ndarray:
    """Loudness in [0, 1], `rate` times a second: rises at once, falls with a time constant of `release` seconds."""
    count = max(1, int(len(waveform) / sample_rate * rate))
    edges = (np.arange(count + 1) * sample_rate / rate).astype(int)
    loudness = np.array([np.sqrt(np.mean(waveform[a:b] ** 2)) if b > a else 0.0 for a, b in pairwise(edges)])
    fall = np.exp(-1 / (rate * release))
    for i in range(1, count):
        loudness[i] = max(loudness[i], loudness[i - 1] * fall)
    return loudness / max(1e-9, float(loudness.max(initial=0)))
