"""A queue between two threads: order, errors, and an end whoever ends first."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmac_hub.ahead import ahead


class Numbers:
    """Counts up, fails or ends at `end`, and remembers how far it came and whether it was closed."""

    def __init__(self, end: int, fails: bool = False) -> None:
        self.end, self.fails, self.given, self.closed = end, fails, 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.end:
            if self.fails:
                raise OSError("broken")
            raise StopIteration
        self.given += 1
        return self.given - 1

    def close(self):
        self.closed = True


@settings(deadline=None, max_examples=40)
@given(end=st.integers(0, 20), most=st.integers(1, 5), used=st.integers(0, 25), fails=st.booleans())
def test_the_same_items_and_one_end(end, most, used, fails):
    threads = threading.active_count()
    source = Numbers(end, fails)
    items = ahead(source, most)
    taken, error = [], None
    try:
        for _ in range(used):
            taken.append(next(items))
    except StopIteration:
        pass
    except OSError as found:
        error = found
    assert taken == list(range(min(used, end)))
    assert (error is not None) == (fails and used > end)
    items.close()
    assert threading.active_count() == threads
    if used:
        assert source.closed and source.given <= len(taken) + most + 1


def test_no_more_is_made_than_may_wait():
    source = Numbers(1000)
    items = ahead(source, 3)
    assert next(items) == 0
    time.sleep(0.3)
    assert source.given <= 5
    items.close()


def test_work_goes_on_while_the_last_item_is_used():
    made = threading.Event()

    def two():
        yield 0
        made.set()
        yield 1

    items = ahead(two(), 1)
    assert next(items) == 0 and made.wait(5)
    assert list(items) == [1]


def test_an_interrupt_is_an_error_like_others():
    def interrupted():
        yield 1
        raise KeyboardInterrupt

    items = ahead(interrupted(), 1)
    assert next(items) == 1
    with pytest.raises(KeyboardInterrupt):
        next(items)
