"""Cores that PyTorch shares with a thread which uses its results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import torch

PERIOD = 1.0
"""Seconds for which both are watched before the cores are shared anew."""

MOSTLY = 0.5
"""Share of its time from which on the one that uses the results is said to wait most of it."""


class SharedCores:
    """Between a thread in which PyTorch works and another one that uses what it makes.

    PyTorch takes half of its threads: with more, threads of both wait for cores that the other one has. While the other
    one mostly waits it takes all. Results do not depend on it.

    Args:
        most: PyTorch's threads when it is alone; with one there is nothing to share.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = torch.get_num_threads() if most is None else most
        self._taken = 0
        self._decided = False
        self._since = time.perf_counter()
        self._waited = 0.0
        self._waits_since: float | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The other thread waits for a result."""
        self._waits_since = since = time.perf_counter()
        try:
            yield
        finally:
            self._waits_since = None
            self._waited += time.perf_counter() - since

    def take(self) -> None:
        """Sets the number of threads of PyTorch's thread, which calls this before each result."""
        if self._most == 1:
            return
        now, since = time.perf_counter(), self._waits_since
        waited = self._waited + (0.0 if since is None else now - since)
        half, total = max(1, self._most // 2), now - self._since
        if not self._taken:
            # Nobody can do anything before the first result is there.
            self._set(self._most)
        elif total >= PERIOD:
            self._set(self._most if waited > MOSTLY * total else half)
            self._since, self._waited, self._decided = now, 0.0, True
        elif not self._decided:
            self._set(half)

    def _set(self, threads: int) -> None:
        """PyTorch's number is each thread's own, but the last one set is also that of threads which begin later: one of
        those sets it back."""
        if threads == self._taken:
            return
        self._taken = threads
        torch.set_num_threads(threads)
        later = Thread(target=torch.set_num_threads, args=(self._most,))
        later.start()
        later.join()
