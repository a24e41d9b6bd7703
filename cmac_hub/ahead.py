"""Work that is done ahead in a thread of its own, while its results are waited for one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

from cmac_hub.cores import SharedCores

Item = TypeVar("Item")

PATIENCE = 0.1
"""Seconds after which a thread that waits for room looks whether it is still wanted."""


def ahead(items: Iterator[Item], most: int, cores: SharedCores | None = None) -> Generator[Item, None, None]:
    """The same items in the same order, up to `most` of them made before they are asked for.

    An error comes where the item would have come. When the generator is closed, or not used to its end, the thread ends
    and the iterator is closed. The thread begins with the first item that is asked for.

    Args:
        items: used by the thread alone.
        most: items that may wait; 1 or more.
        cores: shared between the two threads; for items that PyTorch makes.
    """
    share = cores or SharedCores(1)
    waiting: Queue[tuple[bool, Item | BaseException | None]] = Queue(most)
    unwanted = Event()

    def give(one: tuple[bool, Item | BaseException | None]) -> bool:
        while not unwanted.is_set():
            with contextlib.suppress(Full):
                waiting.put(one, timeout=PATIENCE)
                return True
        return False

    def work() -> None:
        last: BaseException | None = None
        try:
            share.take()
            for item in items:
                if not give((True, item)):
                    break
                share.take()
        except BaseException as error:
            last = error
        finally:
            with contextlib.suppress(Exception):
                items.close()  # type: ignore[attr-defined]
        give((False, last))

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            with share.waiting():
                is_item, found = waiting.get()
            if not is_item:
                if isinstance(found, BaseException):
                    raise found
                return
            yield found  # type: ignore[misc]
    finally:
        unwanted.set()
        with contextlib.suppress(Empty):
            while True:
                waiting.get_nowait()
        thread.join()
