"""Settings as frozen dataclasses whose fields say themselves what they accept and what a run may do with them.

    @dataclass(frozen=True)
    class Settings:
        batch: int = setting(128, low=1)
        optimizer: Literal["sgd", "adamw"] = setting("sgd")

A dataclass inside another one is flat outside of Python: in JSON files, on the command line and in checkpoints its keys
stand among the others (`flatten`, `unflatten`).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from cmac_hub.errors import CMACError

T = TypeVar("T")

KINDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}


class RecipeError(CMACError, ValueError):
    """An unknown recipe, or one with an unknown key or a wrong value."""


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    may_change: bool = False,
    length: bool = False,
    ablated: bool = False,
) -> Any:
    """One field. A field of a Literal type accepts its values alone.

    Args:
        default: its value where none is given.
        low: lowest accepted number.
        high: highest accepted number.
        above: accepted numbers are larger than this one.
        may_change: it may differ between the parts of one run.
        length: it tells how long a run is and how the learning rate goes; finished rows of an ablation agree in it.
        ablated: all rows of an ablation begin with the paper's value, whatever recipe they are laid over.
    """
    metadata = {"low": low, "high": high, "above": above}
    return dataclasses.field(
        default=default, metadata=metadata | {"may_change": may_change, "length": length, "ablated": ablated}
    )


def check(settings: Any) -> None:
    """Raises RecipeError for a number out of its range or infinite, or a value that is not among the accepted ones."""
    types = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value, limits = getattr(settings, field.name), field.metadata
        if get_origin(types[field.name]) is Literal and value not in (accepted := get_args(types[field.name])):
            raise RecipeError(f"recipe key {field.name!r} is {value!r}; accepted are {', '.join(accepted)}")
        low, high, above = (limits.get(name) for name in ("low", "high", "above"))
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"recipe key {field.name!r} is {value}; it must be a finite number")
        fits = (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)
        if not fits:
            wanted = f"more than {above}" if above is not None else f"at least {low}"
            wanted = f"from {low} to {high}" if high is not None else wanted
            raise RecipeError(f"recipe key {field.name!r} is {value}; it must be {wanted}")


def flat_fields(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """Flat key -> its field."""
    found: dict[str, dataclasses.Field[Any]] = {}
    for field in dataclasses.fields(kind):
        inner = field.default_factory
        found |= flat_fields(inner) if isinstance(inner, type) else {field.name: field}
    return found


def flatten(settings: Any) -> dict[str, Any]:
    """Flat key -> value."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        flat |= flatten(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return flat


def unflatten(kind: type[T], values: dict[str, Any]) -> T:
    """The inverse of `flatten`; a key that is missing keeps its default.

    Raises:
        RecipeError: an unknown key (the nearest is named), a value of another kind than the default's, or one that is
            not accepted.
    """
    known = flat_fields(kind)
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise RecipeError(f"unknown recipe key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        like = type(known[key].default)
        if type(value) is not like and not (like is float and type(value) is int):
            raise RecipeError(f"recipe key {key!r} is {value!r}; expected {KINDS[like]}")
    return _build(kind, values)


def _build(kind: type[T], values: dict[str, Any]) -> T:
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if isinstance(field.default_factory, type):
            arguments[field.name] = _build(field.default_factory, values)
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return kind(**arguments)
