"""What arguments and settings must be: one line for each kind of value, by the name that it was given under."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from cmac_hub.errors import ArgumentError, short


def check_choice(name: str, value: object, accepted: tuple[object, ...]) -> None:
    """Raises ArgumentError for a value that is none of those accepted."""
    if value not in accepted:
        raise ArgumentError(f"{name} is {value!r}; accepted are {', '.join(map(str, accepted))}")


def check_most(**values: tuple[float, float]) -> None:
    """Raises ArgumentError, by name, for a (value, limit) whose value is above the limit: numbers that no network has,
    of which one is enough to fill a memory."""
    for name, (value, most) in values.items():
        if value > most:
            raise ArgumentError(f"{name} is {value}; it must be at most {most:,}")


def check_positive(**values: float | tuple[float, ...]) -> None:
    """Raises ArgumentError, by name, for a value that is not a positive number, or not a tuple of such."""
    for name, value in values.items():
        if not _all(lambda one: one > 0 and math.isfinite(one), value):
            raise ArgumentError(f"{name} is {_told(value)}; it must be a positive number")


def check_whole(lowest: int = 1, /, **values: int | tuple[int, ...]) -> None:
    """Raises ArgumentError, by name, for a value that is not a whole number from `lowest` on, or a tuple of such."""
    for name, value in values.items():
        if not _all(lambda one: one >= lowest and one % 1 == 0, value):
            raise ArgumentError(f"{name} is {_told(value)}; it must be a whole number from {lowest} on")


def check_number(**values: float) -> None:
    """Raises ArgumentError, by name, for a value that is no finite number."""
    for name, value in values.items():
        if not _all(math.isfinite, value):
            raise ArgumentError(f"{name} is {_told(value)}; it must be a finite number")


def check_finite(settings: Any) -> None:
    """Raises ArgumentError, by name, for a field of a dataclass that is NaN or infinite, or holds such an element."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if any(isinstance(one, float) and not math.isfinite(one) for one in _elements(value)):
            raise ArgumentError(f"{field.name} is {value}; it must be a finite number")


def check_rising(**values: tuple[float, float]) -> None:
    """Raises ArgumentError, by name, for a pair whose second number is not the larger one."""
    for name, (low, high) in values.items():
        if not low < high:
            raise ArgumentError(f"{name} is {low:g}, {high:g}; the second must be larger")


def _all(test: Callable[[Any], bool], value: Any) -> bool:
    """Whether each number passes; texts and arrays are no numbers."""
    try:
        return all(test(one) for one in _elements(value))
    except (TypeError, ValueError, RuntimeError):
        return False


def _told(value: object) -> str:
    return short(repr(value)) if isinstance(value, str) or hasattr(value, "shape") else str(value)


def _elements(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
