"""Processes that share files: the order of one process, and deaths that cost one file each."""

from __future__ import annotations

from pathlib import Path

import pytest
import sharing

from cmac_hub.cli.workers import Crew, cores
from cmac_hub.errors import CMACError, MediaError, one_line
from cmac_hub.media.find import Input


def inputs(*names: str) -> list[Input]:
    return [Input(Path(name), Path(name)) for name in names]


def test_outcomes_come_in_order_and_the_dead_are_replaced(capsys):
    names = ["slow", "1", "killed", "media", "2", "bug", "killed", "warning", "3"]
    with Crew(sharing.setup, inputs(*names), 2) as crew:
        assert capsys.readouterr() == ("ready\n", ""), "what the setup says comes once"
        found = list(crew.outcomes())
    assert len(found) == len(names)
    for name, outcome in zip(names, found, strict=True):
        if outcome.error is None:
            assert outcome.out == f"{name} done\n"
            assert outcome.err == ("cmac: a warning\n" if name == "warning" else "") + f"{name} said\n"
    errors = {name: outcome.error for name, outcome in zip(names, found, strict=True) if outcome.error}
    assert set(errors) == {"killed", "media", "bug"}
    assert "SIGKILL" in str(errors["killed"])
    assert isinstance(errors["media"], MediaError) and str(errors["media"]) == "it is broken"
    assert "sharing.py" in str(errors["media"].__cause__), "the traceback, for --debug"
    assert one_line(errors["bug"]) == "RuntimeError: UnsendableError: nothing"


def test_what_no_process_can_begin_is_raised_once():
    with pytest.raises(MediaError, match="no such model"), Crew(sharing.failing_setup, inputs("1", "2"), 2):
        pass
    with pytest.raises(CMACError, match="ended with exit code 3; where memory is short"):  # noqa: SIM117
        with Crew(sharing.dying_setup, inputs("1", "2"), 2):
            pass


def test_nothing_stays_after_an_interruption():
    crew = Crew(sharing.setup, inputs(*["slow"] * 20), 2)
    with pytest.raises(KeyboardInterrupt), crew:
        next(crew.outcomes())
        processes = [worker.process for worker in crew._workers]
        raise KeyboardInterrupt
    assert len(processes) == 2 and all(process.exitcode is not None for process in processes)


def test_cores():
    assert cores() >= 1
