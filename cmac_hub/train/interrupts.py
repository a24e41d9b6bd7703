"""What may break into a run, and how the run ends then: signals after a whole step, a full memory with one line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from cmac_hub.errors import CMACError


class StoppedError(CMACError):
    """A run that SIGTERM or Ctrl-C ended early, after it saved a checkpoint."""


def is_killed_worker(error: RuntimeError) -> bool:
    """Whether PyTorch says that a data worker is gone; an error of the worker's own code ("Caught ... in DataLoader
    worker") is none."""
    return str(error).startswith("DataLoader worker (pid")


@contextmanager
def out_of_memory_hint() -> Iterator[None]:
    """A full GPU, or a data worker that the system killed, ends the run with one line that says what to change.

    PyTorch raises for a killed worker wherever the run just is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CMACError(
            "the GPU's memory is full; share a step out over more micro-batches, --set accumulate=2 or more (--dry-run "
            "tells how much a clip takes), or over more GPUs"
        ) from error
    except RuntimeError as error:
        if not is_killed_worker(error):
            raise
        if "shared memory" in str(error):
            raise CMACError(
                "the shared memory of this machine (/dev/shm) is too small for the data workers; give a "
                "container more, docker run --shm-size=16g, or use fewer, --set workers=1; then go on with --resume"
            ) from error
        raise CMACError(
            "a data worker was killed, perhaps because the memory was full; go on with --resume, and fewer workers"
        ) from error


@contextmanager
def compiling(wished: bool) -> Iterator[None]:
    """While a network is compiled and runs so: a compiler that is missing or fails ends the run with one line.

    Args:
        wished: False does nothing.
    """
    if not wished:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        reason = " ".join(str(error).strip().splitlines()[:2])
        raise CMACError(f"torch.compile failed ({reason}); go on without it: --set compile=false") from error


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
