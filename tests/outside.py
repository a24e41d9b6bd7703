"""A child process in which the system itself fails under the commands: `python outside.py HOW INPUTS ROOT [...]`.

`limit SIZES...`: no file may be larger (RLIMIT_FSIZE), Python's, PyTorch's and FFmpeg's alike.
`shim STRIDE ERRORS...`: the preloaded shim.c lets every so many system calls fail; error 0 kills a child of it.
`full SIZES...`: ROOT is on a file system of its own, filled but for so many bytes.

Prints the number of points; an exception where one did harm.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from faulty import Tree, lay, tree_of
from scenarios import Scenario, errors, nothing_hidden, quietly, scenarios

COMMANDS = ("features", "localize", "index", "pretrain", "release")


def survives(scenario: Scenario, root: Path, code: int, told: str, usual: str, where: str) -> None:
    """What holds after every fault; then the command is run again."""
    lines = errors(told, usual)
    try:
        assert "Traceback" not in told, told
        if code == 0:
            scenario.complete()
        else:
            assert len(lines) == 1, told
        scenario.good()
        nothing_hidden(root)
    except Exception as error:
        raise AssertionError(f"{scenario.name}, {where}: exit code {code}, {told}") from error
    scenario.rerun()
    scenario.complete()
    nothing_hidden(root)


def limited(scenario: Scenario, root: Path, before: Tree, usual: str, sizes: list[int]) -> int:
    """No file may be larger than each of these sizes, in bytes."""
    for size in sizes:
        lay(before, root)
        highest = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, highest))
        try:
            code, told = quietly(scenario.command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (highest, highest))
        survives(scenario, root, code, told, usual, f"at most {size} bytes a file")
    return len(sizes)


def filled(scenario: Scenario, root: Path, before: Tree, usual: str, sizes: list[int]) -> int:
    """So many bytes are free on the file system."""
    ballast = root.parent / "ballast"
    for size in sizes:
        lay(before, root)
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.truncate(ballast, max(0, ballast.stat().st_size - size))
        code, told = quietly(scenario.command)
        ballast.unlink()
        survives(scenario, root, code, told, usual, f"{size} bytes free")
    return len(sizes)


def shimmed(scenario: Scenario, root: Path, before: Tree, usual: str, numbers: list[int]) -> int:
    """Every `numbers[0]`-th system call fails, with each of the errors behind it in turn."""
    shim = ctypes.CDLL(None)
    stride, *kinds = numbers
    lay(before, root)
    shim.fault_at(1_000_000_000, 1)
    code, told = quietly(scenario.command)
    calls = shim.fault_count()
    shim.fault_at(0, 0)
    assert code == 0 and calls > 10, told
    points = range(1, calls + 1, stride)
    for turn, number in enumerate(points):
        lay(before, root)
        kind = kinds[turn % len(kinds)]
        if kind:
            shim.fault_at(number, kind)
            code, told = quietly(scenario.command)
            shim.fault_at(0, 0)
            survives(scenario, root, code, told, usual, f"call {number} of {calls}, {os.strerror(kind)}")
        else:
            _in_a_child(scenario, lambda number=number: shim.fault_at(number, 0))
            scenario.good()
            scenario.rerun()
            scenario.complete()
            nothing_hidden(root)
    return len(points)


def _in_a_child(scenario: Scenario, begin: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        begin()
        quietly(scenario.command)
        os._exit(0)
    assert os.waitpid(child, 0)[1] in (0, signal.SIGKILL)


def main(how: str, inputs: Path, root: Path, only: list[str], numbers: list[int]) -> int:
    """Prints how many points there were."""
    torch.set_num_threads(1)
    work = {"limit": limited, "full": filled, "shim": shimmed}[how]
    count = 0
    root.mkdir(exist_ok=True)
    for name in only:
        scenario = scenarios(inputs, root)[name]
        lay({}, root)
        code, told = quietly(scenario.prepare)
        assert code == 0, told
        before = tree_of(root)
        code, usual = quietly(scenario.command)
        assert code == 0, usual
        count += work(scenario, root, before, usual, numbers)
    print(f"POINTS {count}")
    return 0


if __name__ == "__main__":
    words = sys.argv[4:]
    chosen = [word for word in words if not word.isdigit()] or list(COMMANDS)
    raise SystemExit(
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), chosen, [int(w) for w in words if w.isdigit()])
    )
