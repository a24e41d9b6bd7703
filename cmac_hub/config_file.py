"""Dictionaries of `config.json` -> frozen dataclasses, strictly, in every format that there was.

A key that came later has a default that gives the old behavior (`registry.since`), and older files may lack it; a key
that was renamed is read under its old name in files of the older format. Unknown keys are errors in all of them.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cmac_hub.errors import CheckpointError, short
from cmac_hub.registry import AudioConfig, VisualConfig, encoder_kind, known_kinds

MODALITIES: dict[str, type[VisualConfig] | type[AudioConfig]] = {"visual": VisualConfig, "audio": AudioConfig}
"""Sections whose class depends on the kind of encoder that they name."""

LARGEST = 10**9
"""Of all numbers outside of the summary of training; what is large and possible is refused by the classes below."""

RENAMED_IN_2 = {
    "audio": {"fft_size": "n_fft", "mel_bands": "n_mels", "mel_min_hz": "f_min", "mel_max_hz": "f_max"},
    "display": {"guidance": "visual_guidance", "prediction": "visual_prediction"},
}
"""Old name -> new name, by section."""


NEW_IN_2 = {
    "visual": {"map_shift"},
    "audio": {"kind", "win_length", "hop_length", "power", *RENAMED_IN_2["audio"].values()},
    "attention": {
        "strength_weight", "motion_weight", "joint_smoothing", "affinity_temperature", "visual_strength",
        "audio_strength", "visual_motion",
    },
    "display": {
        *RENAMED_IN_2["display"].values(), "audio_guidance", "audio_prediction", "visual_joint", "audio_joint",
    },
}  # fmt: skip
"""Keys that files of format 1 cannot have, by section."""


def from_version_1(values: dict[str, Any]) -> dict[str, Any]:
    """0.1.0 knew one encoder of each modality, gave lengths of the spectrogram in seconds, and drew audio maps with the
    limits of visual ones.

    Raises CheckpointError for keys of format 2.
    """
    for section, added in NEW_IN_2.items():
        if isinstance(part := values.get(section), dict) and (found := sorted(added & part.keys())):
            raise CheckpointError(f"unknown config keys in '{section}': {', '.join(found)} (of format 2, not of 1)")
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for section, names in RENAMED_IN_2.items():
        if isinstance(part := values.get(section), dict):
            values[section] = {names.get(key, key): value for key, value in part.items()}
    if isinstance(visual := values.get("visual"), dict):
        values["visual"] = {"kind": "r2plus1d", **visual}
    if isinstance(audio := values.get("audio"), dict):
        audio["kind"] = "resnet9"
        for old, new in (("window_seconds", "win_length"), ("hop_seconds", "hop_length")):
            seconds, rate = audio.pop(old, None), audio.get("sample_rate")
            if isinstance(seconds, int | float) and isinstance(rate, int) and 0 < seconds < LARGEST and rate < LARGEST:
                audio[new] = round(seconds * rate)
    if isinstance(display := values.get("display"), dict):
        for which in ("guidance", "prediction"):
            if f"visual_{which}" in display:
                display[f"audio_{which}"] = display[f"visual_{which}"]
        if "visual_guidance" in display:
            # Without a weight the joint map is guidance.
            display["visual_joint"] = display["audio_joint"] = display["visual_guidance"]
    return values


def build(kind: type, values: Any, where: str, version: int) -> Any:
    """One frozen dataclass from a dictionary, strictly: none unknown, none missing that its format had, each of its
    kind."""
    if not isinstance(values, dict):
        raise CheckpointError(f"config key '{where}' holds a {type(values).__name__}, not an object")
    known = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(map(str, values.keys() - known.keys())):
        names = ", ".join(short(name, 40) for name in unknown[:8]) + (", ..." if unknown[8:] else "")
        raise CheckpointError(f"unknown config keys in '{where or 'config'}': {names}")
    required = {name for name, f in known.items() if f.metadata.get("since", 1) <= version}
    if missing := sorted(required - values.keys()):
        raise CheckpointError(f"missing config keys in '{where or 'config'}': {', '.join(missing)}")
    hints = _hints(kind)
    try:
        return kind(
            **{
                name: _value(value, hints[name], f"{where}.{name}" if where else name, version)
                for name, value in values.items()
            }
        )
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"the config is not valid: {short(error, 400)}") from error


def _hints(kind: type) -> dict[str, Any]:
    """What each field of a dataclass may hold: its annotation, or, where that names what is not to be found (a class of
    a function), the type of its default."""
    try:
        return get_type_hints(kind)
    except (NameError, TypeError):
        default = kind()
        return {field.name: type(getattr(default, field.name)) for field in dataclasses.fields(kind)}


def _value(value: Any, hint: Any, where: str, version: int) -> Any:
    """One value, of the kind that an annotation names."""
    origin, parts = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return None if value is None and NoneType in parts else _one_of(value, parts, where, version)
    if where in MODALITIES and isinstance(value, dict):
        if not isinstance(kind := value.get("kind"), str):
            given = f"is {short(repr(kind))}" if "kind" in value else "is missing"
            raise CheckpointError(f"config key '{where}.kind' {given}; {known_kinds(MODALITIES[where])}")
        return build(encoder_kind(kind, MODALITIES[where]).config_class, value, where, version)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where, version)  # type: ignore[arg-type]
    if origin in (tuple, list) and isinstance(value, list | tuple):
        alike = origin is list or not parts or parts[-1] is ...
        kinds = (parts[:1] or (Any,)) * len(value) if alike else parts
        if len(kinds) == len(value):
            elements = zip(value, kinds, strict=True)
            return origin(_value(one, kind, f"{where}[{i}]", version) for i, (one, kind) in enumerate(elements))
    if type(value) in (int, float) and LARGEST < abs(value) < float("inf"):
        raise CheckpointError(f"config key '{where}' is larger than any setting is; accepted is at most {LARGEST:,}")
    if hint is float and type(value) is int:
        value = float(value)
    accepted = {type(part) for part in parts} if origin is Literal else {origin}
    if hint is not Any and type(value) not in accepted:
        raise CheckpointError(f"config key '{where}' is {short(repr(value))}; expected {_told(hint)}")
    return value


def _one_of(value: Any, hints: tuple[Any, ...], where: str, version: int) -> Any:
    """A value of the first of some kinds that it fits; the last one says what is wrong."""
    *others, last = (hint for hint in hints if hint is not NoneType)
    for hint in others:
        with suppress(CheckpointError):
            return _value(value, hint, where, version)
    return _value(value, last, where, version)


def _told(hint: Any) -> str:
    parts = get_args(hint)
    if get_origin(hint) is tuple and ... not in parts:
        return f"a tuple of {len(parts)}"
    return str(hint) if parts else f"{'an' if hint is int else 'a'} {hint.__name__}"
