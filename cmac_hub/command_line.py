"""What both command lines share: an error or a warning is one line, `--debug` shows where it came from, and `--import`
brings encoders of your own.

What is not one of our own errors, the file system's or a full GPU's is a bug and shows its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from cmac_hub.allocator import keep_freed_memory
from cmac_hub.errors import ArgumentError, is_expected, one_line
from cmac_hub.streams import EndedError, ending_by_signals, lasting_streams


def add_debug(parser: argparse.ArgumentParser) -> None:
    """`--debug`, which every command has."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_imports(parser: argparse.ArgumentParser) -> None:
    """`--import`, of commands that make or load a network."""
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that registers encoders of your own (register_encoder); may be repeated",
    )


def run(program: str, work: Callable[[argparse.Namespace], int | None], options: argparse.Namespace) -> int:
    """Runs one command.

    Args:
        program: what lines on stderr begin with.
        work: the command.
        options: its arguments; `debug` and `imports` are read here.

    Returns:
        the exit code: 0 when all went well, 1 when something failed, 130 when interrupted, 128 and the number of
        another signal (143: SIGTERM). A reader that has gone (`| head`) is no failure, a full disk below stdout is one.
    """
    with lasting_streams() as stdout:
        code = _run(program, work, options)
        stdout.flush()
        if stdout.error is None or isinstance(stdout.error, BrokenPipeError):
            return code
        print(f"{program}: stdout could not be written: {one_line(stdout.error)}; the files are done", file=sys.stderr)
        return code or 1


@contextmanager
def warnings_in_one_line(program: str) -> Iterator[None]:
    """Warnings are lines on stderr that begin with the program's name."""

    def show(message: Warning | str, *_: object) -> None:
        print(f"{program}: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _run(program: str, work: Callable[[argparse.Namespace], int | None], options: argparse.Namespace) -> int:
    keep_freed_memory()
    try:
        with ending_by_signals(), warnings_in_one_line(program):
            import_modules(getattr(options, "imports", []))
            return int(work(options) or 0)
    except Exception as error:
        if options.debug or not is_expected(error):
            raise
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        if options.debug:
            raise
        how, code = (f"ended by {error}", 128 + error.number) if isinstance(error, EndedError) else ("interrupted", 130)
        print(f"{program}: {how}; what was finished is kept", file=sys.stderr)
        return code


def import_modules(names: list[str]) -> None:
    """Imports modules by name, from the working folder as well. Raises ArgumentError for one that cannot be."""
    if names and os.getcwd() not in sys.path:
        # `python -m` looks there by itself, an installed command does not.
        sys.path.append(os.getcwd())
    for name in names:
        try:
            import_module(name)
        except Exception as error:
            raise ArgumentError(
                f"the module {name!r} could not be imported ({type(error).__name__}: {one_line(error)}); give one "
                "that is installed or lies in this folder, by its name without .py"
            ) from error


def seconds(text: str) -> float:
    """A positive number of seconds, as an argument."""
    value = moment(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no positive number of seconds")
    return value


def moment(text: str) -> float:
    """Seconds on a clock, as an argument: any number but NaN and infinities."""
    value = float(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value
