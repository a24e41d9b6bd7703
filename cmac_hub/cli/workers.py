"""Processes that share a list of files; what each says and prints comes in the order of the list, as from one process.

A process that dies, killed for want of memory or by a broken file, costs the file that it worked on, and another one
takes its place.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.pool import ExceptionWithTraceback  # type: ignore[attr-defined]

from cmac_hub.allocator import keep_freed_memory
from cmac_hub.command_line import warnings_in_one_line
from cmac_hub.errors import CMACError, one_line
from cmac_hub.media.find import Input
from cmac_hub.streams import ending_by_signals

Work = Callable[[Input], None]

GRACE = 20
"""Seconds that a process has to clean up before it is killed."""


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Outcome:
    """How the work on one file went."""

    out: str = ""
    """What it printed to stdout."""
    err: str = ""
    """What it printed to stderr."""
    error: Exception | None = None
    """Its cause is the traceback as text."""

    def tell(self) -> None:
        """Prints what was printed, and raises the error."""
        sys.stderr.write(self.err)
        sys.stdout.write(self.out)
        if self.error is not None:
            raise self.error


class Crew:
    """Processes that work on files. A context manager: it begins when one is ready, and ends with all of them.

    Args:
        setup: makes the work; it can be pickled, and runs once in every process.
        inputs: the files.
        count: processes.

    Raises:
        Exception: what `setup` raised in the first of them, when the context is entered.
    """

    def __init__(self, setup: Callable[[], Work], inputs: list[Input], count: int) -> None:
        self._setup, self._count = setup, count
        self._waiting = deque(enumerate(inputs))
        self._places = range(len(inputs))
        self._done: dict[int, Outcome] = {}
        self._workers: list[_Worker] = []
        self._begun = False

    def __enter__(self) -> Crew:
        try:
            self._workers += [_Worker(self._setup) for _ in range(self._count)]
            while not self._begun:
                self._listen()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()

    def outcomes(self) -> Iterator[Outcome]:
        """How the work on each file went, in order."""
        for place in self._places:
            while place not in self._done:
                self._listen()
            yield self._done.pop(place)

    def _listen(self) -> None:
        """Waits until a process has something to say or has died, and hands out the next files."""
        ready = wait([worker.connection for worker in self._workers])
        for worker in [one for one in self._workers if one.connection in ready]:
            place = worker.place
            outcome, alive = worker.receive()
            if place is not None:
                self._done[place] = outcome
            elif outcome.error is not None:
                alive = False
                self._fail(outcome, worker)
            elif not self._begun:
                self._begun = True
                outcome.tell()
            if alive and self._waiting:
                worker.give(*self._waiting.popleft())
                continue
            self._workers.remove(worker)
            worker.end()
            if not alive and place is not None and self._waiting:
                self._workers.append(_Worker(self._setup))

    def _fail(self, outcome: Outcome, worker: _Worker) -> None:
        """A process could not begin: the first one's failure is that of all, later ones leave fewer."""
        if not self._begun:
            outcome.tell()
        elif self._workers == [worker]:
            self._done |= {place: Outcome(error=outcome.error) for place, _ in self._waiting}
            self._waiting.clear()
        elif outcome.error is not None:
            warnings.warn(f"one process fewer shares the work: {one_line(outcome.error)}", stacklevel=2)


class _Worker:
    """One process, seen from outside."""

    def __init__(self, setup: Callable[[], Work]) -> None:
        # Forked threads of FFmpeg or PyTorch would hang; a process of its own start has none.
        context = get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, setup), daemon=True)
        self.place: int | None = None
        """Of the file that it works on; None until it is ready."""
        # Ctrl-C reaches the whole group of processes; this one hears it, and ends the others. What tracks processes is
        # started first, as its start would let Ctrl-C through.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        other.close()

    def give(self, place: int, one: Input) -> None:
        """Has it work on a file."""
        self.place = place
        with contextlib.suppress(OSError):  # It has died; `receive` says so.
            self.connection.send(one)

    def receive(self) -> tuple[Outcome, bool]:
        """What it sent, and whether it lives."""
        try:
            return self.connection.recv(), True
        except (EOFError, OSError):
            what = "a process that was to share the work" if self.place is None else "the process that worked on it"
            text = f"{what} {self.end()}; where memory is short, take fewer --workers"
            return Outcome(error=CMACError(text)), False

    def end(self) -> str:
        """Tells it that there is no more, waits for its end, and says how it ended."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(GRACE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _serve(connection: Connection, setup: Callable[[], Work]) -> None:
    """What the process does: it answers the setup, and then every file, with an outcome."""
    keep_freed_memory()
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError), ending_by_signals():
        works: list[Work] = []
        connection.send(_attempt(lambda: works.append(setup())))
        while (one := connection.recv()) is not None:
            connection.send(_attempt(lambda one=one: works[0](one)))  # type: ignore[misc]


def _attempt(work: Callable[[], object]) -> Outcome:
    out, err, error = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings_in_one_line("cmac"):
        try:
            work()
        except Exception as caught:
            error = _portable(caught)
    return Outcome(out.getvalue(), err.getvalue(), error)


def _portable(error: Exception) -> Exception:
    """The error with its traceback, or one that says the same where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return ExceptionWithTraceback(RuntimeError(f"{type(error).__name__}: {one_line(error)}"), error.__traceback__)
    return ExceptionWithTraceback(error, error.__traceback__)
