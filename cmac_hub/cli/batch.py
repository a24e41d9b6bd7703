"""Works on many files: one that fails costs nothing else, and all failures are listed again at the end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from cmac_hub.errors import is_expected, one_line
from cmac_hub.media.find import Input

TWICE = "give the folder that holds both, whose order is kept, or rename one"
"""What to do about two inputs of one name."""


def run_all(
    inputs: list[Input],
    work: Callable[[Input], None],
    debug: bool = False,
    on_failure: Callable[[Input, str], None] | None = None,
) -> int:
    """Works on every file; one that fails is reported at once and again at the end, and does not stop the others.

    Args:
        inputs: the files; the error of a single one is raised.
        work: what is done with each.
        debug: show the traceback of each error; that of an error which is none of ours is always shown.
        on_failure: is told of each that fails, and why in one line.

    Returns:
        the exit code.
    """
    failed: list[str] = []
    for one in inputs:
        try:
            work(one)
        except Exception as error:
            if len(inputs) == 1:
                raise
            if debug or not is_expected(error):
                traceback.print_exc()
            line = one_line(error)
            failed.append(f"{one.path}: {line}" if str(one.path) not in line else line)
            print(f"cmac: {failed[-1]}", file=sys.stderr)
            if on_failure is not None:
                on_failure(one, line)
    if failed:
        others = "" if len(failed) == len(inputs) else ", the others are done"
        print(f"cmac: {len(failed)} of {len(inputs)} files failed{others}:", file=sys.stderr)
        for line in failed:
            print(f"  {line}", file=sys.stderr)
    return 1 if failed else 0
