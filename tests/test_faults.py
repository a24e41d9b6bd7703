"""After a fault at any file operation of a command there is one line of error, the earlier output is as good as it was,
nothing half-written is left, and the same command completes.

A few operations of each command here; `make faults` lets all of them fail, in every way.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty import Operations, Tree, lay, tree_of
from scenarios import Scenario, errors, make_inputs, nothing_hidden, quietly, scenarios

COMMANDS = ("features", "localize", "index", "pretrain", "release")

KINDS = (errno.ENOSPC, errno.EACCES, errno.EINTR, errno.EIO, KeyboardInterrupt)

STRIDE = {"features": 2, "localize": 7, "index": 3, "pretrain": 15, "release": 5}
"""Every how many operations one fails in the tests of every day."""

COUNTED: dict[str, int] = {}
"""Injected points by test."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "inputs"
    make_inputs(folder)
    return folder


class Stage:
    """One command on a folder that is laid anew for every fault."""

    def __init__(self, name: str, inputs: Path, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.scenario: Scenario = scenarios(inputs, root)[name]
        assert quietly(self.scenario.prepare)[0] == 0
        self.scenario.good()
        self.before = tree_of(root)
        self.completed: set[str] = set()
        operations = Operations(root)
        with operations.patched():
            code, self.usual = quietly(self.scenario.command)
        assert code == 0, self.usual
        self.scenario.complete()
        nothing_hidden(root)
        self.operations = operations.seen

    def rerun(self) -> None:
        """The same command completes; what was laid already in the same way is not tried again."""
        digest = hashlib.sha256(repr(sorted(tree_of(self.root).items())).encode()).hexdigest()
        if digest not in self.completed:
            self.scenario.rerun()
            self.scenario.complete()
            nothing_hidden(self.root)
            self.completed.add(digest)

    def fail(self, number: int, error: int | type[BaseException]) -> None:
        """Operation `number` of the command fails."""
        lay(self.before, self.root)
        operations = Operations(self.root, number, error)
        with operations.patched():
            code, told = quietly(self.scenario.command)
        what = f"{self.operations[number - 1]} {number}, {error}: exit code {code}, {told}"
        assert operations.failed, what
        assert "Traceback" not in told, what
        lines = errors(told, self.usual)
        if code == 0:
            # What was lost was no output: a lock, say.
            self.scenario.complete()
        else:
            assert len(lines) == 1, what
        try:
            self.scenario.good()
            nothing_hidden(self.root)
        except Exception as problem:
            raise AssertionError(what) from problem
        self.rerun()

    def moments(self) -> Iterator[tuple[str, Tree]]:
        """What a killed process, and what a power cut, leaves at each operation and at the end."""
        lay(self.before, self.root)
        found: list[tuple[str, Tree]] = []

        def look(name: str) -> None:
            where = f"{name} {len(operations.seen) + 1}"
            found.append((f"killed before {where}", tree_of(self.root)))
            found.extend((f"power cut before {where}", tree) for tree in synced.trees())

        operations = Operations(self.root, look=look)
        synced = operations.synced
        with operations.patched():
            code, told = quietly(self.scenario.command)
        assert code == 0, told
        look("the end")
        return iter(found)


@pytest.fixture
def stage(inputs, tmp_path, request) -> Stage:
    return Stage(request.param, inputs, tmp_path / "root")


@pytest.mark.parametrize("stage", COMMANDS, indirect=True)
def test_an_operation_that_fails(stage, request):
    stride = STRIDE[stage.scenario.name]
    numbers = range(1, len(stage.operations) + 1, stride)
    for turn, number in enumerate(numbers):
        stage.fail(number, KINDS[turn % len(KINDS)])
    COUNTED[request.node.name] = len(numbers)


@pytest.mark.parametrize("stage", COMMANDS, indirect=True)
def test_a_process_that_is_killed_and_a_power_cut(stage, request):
    checked(stage, request, every=STRIDE[stage.scenario.name])


def checked(stage: Stage, request: pytest.FixtureRequest, every: int) -> None:
    """The earlier output, or the new one, is there at every moment; every so many of them the command is run again."""
    seen: set[str] = set()
    moments = list(stage.moments())
    for where, tree in moments:
        digest = hashlib.sha256(repr(sorted(tree.items())).encode()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        lay(tree, stage.root)
        cut = where.startswith("power")
        try:
            if not (cut and stage.scenario.made_again):
                stage.scenario.good()
            if cut and "the end" in where and not stage.scenario.made_again:
                stage.scenario.complete()
            if len(seen) % every == 0:
                stage.rerun()
        except Exception as problem:
            raise AssertionError(f"{stage.scenario.name}, {where}: {sorted(tree)}") from problem
    COUNTED[request.node.name] = len(moments)


def test_that_was_many():
    """Runs last: what the tests above let fail; on their own they are fewer."""
    if len(COUNTED) >= 2 * len(COMMANDS):
        assert sum(COUNTED.values()) >= 200, COUNTED


@pytest.mark.extras
@pytest.mark.parametrize("error", KINDS, ids=str)
@pytest.mark.parametrize("stage", COMMANDS, indirect=True)
def test_every_operation_fails_in_every_way(stage, request, error):
    for number in range(1, len(stage.operations) + 1):
        stage.fail(number, error)
    COUNTED[request.node.name] = len(stage.operations)


@pytest.mark.extras
@pytest.mark.parametrize("stage", COMMANDS, indirect=True)
def test_every_moment_of_a_kill_and_a_power_cut_is_gone_on_from(stage, request):
    checked(stage, request, every=1)
