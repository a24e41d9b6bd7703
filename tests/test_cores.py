"""PyTorch's threads beside a thread that uses what they make."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cmac_hub import cores
from cmac_hub.ahead import ahead
from cmac_hub.cores import SharedCores


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(cores.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def six():
    """Six threads, as many as PyTorch takes; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    yield
    torch.set_num_threads(before)


def wait(share, clock, seconds):
    with share.waiting():
        clock[0] += seconds


def threads_after_taking(share):
    """In a thread of its own, as PyTorch's number is each thread's own."""
    share.take()
    return torch.get_num_threads()


def test_all_for_the_first_result_half_beside_work_all_beside_one_who_waits(clock, six):
    share = SharedCores()
    with ThreadPoolExecutor(1) as worker:
        taken = []
        # (seconds that the other one waits, seconds that it works) before each result.
        for waits, works in [(0, 0), (0.1, 0), (0.2, 0.4), (0, 0.9), (0.9, 0.1), (0.1, 0), (3, 0), (0, 1.1)]:
            wait(share, clock, waits)
            clock[0] += works
            taken.append(worker.submit(threads_after_taking, share).result())
    assert taken == [6, 3, 3, 3, 6, 6, 6, 3]
    assert torch.get_num_threads() == 6, "another thread's number is its own"


def test_one_who_still_waits_is_counted(clock, six):
    share = SharedCores()
    with ThreadPoolExecutor(1) as worker:
        worker.submit(share.take).result()
        with share.waiting():
            clock[0] += 5
            assert worker.submit(threads_after_taking, share).result() == 6


def test_threads_that_begin_later_have_all(six):
    found = list(ahead((torch.get_num_threads() for _ in range(3)), 1, SharedCores()))
    assert found == [6, 3, 3]
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 6


def test_a_single_thread_stays_one(clock):
    share = SharedCores(1)
    before = torch.get_num_threads()
    assert threads_after_taking(share) == before
