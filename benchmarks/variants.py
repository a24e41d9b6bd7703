"""The ways to compute a training step that `pretrain.py --variants` compares."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any


@dataclass(frozen=True)
class Variant:
    """One row."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the recipe."""
    tries: bool = True
    """cuDNN tries its algorithms, as in training."""


PLAIN = {"fused_norms": False, "padded_planes": 1}
PADDED = {"fused_norms": False, "padded_planes": 16}
FUSED = {"fused_norms": True, "padded_planes": 16}

VARIANTS = [
    Variant("planes by 16, fused norms", FUSED),
    Variant("no setting, cuDNN does not try", PLAIN, tries=False),
    Variant("+ cuDNN tries", PLAIN),
    Variant("+ planes by 16, pixels as channels", PADDED),
    Variant("+ fused norms, checkpointing", FUSED | {"checkpointing": True}),
    Variant("+ fused norms, half a batch twice", FUSED | {"accumulate": 2}),
    Variant("planes by 16, compiled", PADDED | {"compile": True}),
    Variant("planes by 16, compiled, checkpointing", PADDED | {"compile": True, "checkpointing": True}),
]
"""The most telling first; what the time does not reach is said."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the main thread when the time is over."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("no time left")

    if seconds <= 1:
        stop(0, None)
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
