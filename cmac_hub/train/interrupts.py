"""What may break into a run, and how the run ends then: signals after a whole step, a killed worker with one line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cmac_hub.errors import CMACError


@contextmanager
def naming_killed_workers() -> Iterator[None]:
    """A data worker that the system killed ends the run with one line; PyTorch raises wherever the run just is."""
    try:
        yield
    except RuntimeError as error:
        # An error of the worker's own code ("Caught ... in DataLoader worker") keeps its traceback.
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise CMACError(
            "a data worker was killed, perhaps for want of memory; go on with --resume from the last checkpoint"
        ) from error


@contextmanager
def catching_signals() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM or SIGINT comes, so that a step is finished and saved before the end.

    Outside of the main thread, where signals cannot be caught, it stays empty.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
