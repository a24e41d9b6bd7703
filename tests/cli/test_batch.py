"""Many files: one that fails costs nothing else, and a bug shows where it is."""

from pathlib import Path

import pytest

from cmac_hub.cli.batch import run_all
from cmac_hub.errors import MediaError
from cmac_hub.media.find import Input

INPUTS = [Input(Path(name), Path(name)) for name in ("a.mp4", "b.mp4", "c.mp4")]


def failing(error, done):
    """Work that fails on the second file."""

    def work(one):
        if one.path.name == "b.mp4":
            raise error
        done.append(one.path.name)

    return work


def test_a_bug_shows_its_traceback_and_the_other_files_are_done(capsys):
    done = []
    assert run_all(INPUTS, failing(IndexError("out of range"), done)) == 1
    err = capsys.readouterr().err
    assert done == ["a.mp4", "c.mp4"]
    assert err.count("Traceback (most recent call last)") == 1 and "in work" in err
    assert "cmac: b.mp4: out of range\n" in err and "1 of 3 files failed, the others are done:" in err


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_of_ours_shows_its_traceback_on_demand(debug, capsys):
    done = []
    assert run_all(INPUTS, failing(MediaError("b.mp4 is empty"), done), debug) == 1
    err = capsys.readouterr().err
    assert done == ["a.mp4", "c.mp4"] and ("Traceback" in err) == debug
    assert err.count("cmac: b.mp4 is empty\n") == 1, "the file is named once"


def test_the_error_of_a_single_file_is_raised():
    with pytest.raises(IndexError):
        run_all(INPUTS[1:2], failing(IndexError(), []))
    assert run_all(INPUTS, lambda one: None) == 0
