"""The standard streams of a command: they may be closed, narrow, full, or lose their reader, and no work is lost by it.

And the signals that end a command: it cleans up as after Ctrl-C.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO, cast


class Lasting:
    """A stream that takes everything: what its reader no longer wants, or its disk cannot hold, is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.error: OSError | ValueError | None = None
        """Why it is no longer written to."""

    def write(self, text: str) -> int:
        """As of any text stream; never fails."""
        try:
            self._try(lambda: self.stream.write(text))
        except UnicodeError:
            encoding = self.stream.encoding
            self._try(lambda: self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding)))
        return len(text)

    def flush(self) -> None:
        """As of any text stream; never fails."""
        self._try(self.stream.flush)

    def _try(self, work: Any) -> None:
        if self.error is not None:
            return
        try:
            work()
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:
            # A ValueError is that of a closed file.
            self.error = error
            _drop(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _drop(stream: TextIO) -> None:
    """What the stream still holds goes nowhere: Python would complain of it at the end of the process."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


@contextmanager
def lasting_streams() -> Iterator[Lasting]:
    """Stdout and stderr that take everything, whatever they are; the first of them is given.

    Characters that stdout's encoding does not have are written as escapes (`\\xe9`); bytes of file names that are no
    text, as they are where it is UTF-8.
    """
    if isinstance(sys.stdout, Lasting):
        yield sys.stdout
        return
    if sys.stdout is None or sys.stderr is None:
        _fill_closed()
    before, nowhere = (sys.stdout, sys.stderr), open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        wide = sys.stdout.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
        sys.stdout.reconfigure(errors="surrogateescape" if wide else "backslashreplace")
    # Without a stream `print` would write messages to stdout, and nothing could be asked whether it is a terminal.
    streams = [Lasting(stream or nowhere) for stream in before]
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
    try:
        yield streams[0]
    finally:
        for stream in streams:
            stream.flush()
        nowhere.close()
        sys.stdout, sys.stderr = before


def _fill_closed() -> None:
    """Opens the numbers 0 to 2 where they are free: a video would be written under them, and messages into it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


class EndedError(KeyboardInterrupt):
    """A signal that asks a command to end; cleaned up after as Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

TOGETHER = 1.0
"""Seconds in which signals count as one: `timeout` sends one to the process and one to its group."""


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that closes, raise EndedError once; a later one ends the process at once.

    Nothing is changed outside of the main thread, and of a signal that is ignored (nohup) or handled already.
    """
    process = os.getpid()
    asked: list[float] = []

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process and not asked:
            asked.append(time.monotonic())
            raise EndedError(number)
        # A forked worker has nothing to clean up.
        if os.getpid() != process or time.monotonic() - asked[0] > TOGETHER:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
