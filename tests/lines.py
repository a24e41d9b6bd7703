"""What commands print, line by line."""

from __future__ import annotations


def one_error(err: str) -> str:
    """The one line that a command has written to stderr."""
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert line.startswith("cmac: ")
    return line
