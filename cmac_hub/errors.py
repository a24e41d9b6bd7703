"""The errors a user can meet: each message is one line that says what was given, what is accepted, and what to do."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """What the command line says of an error; its type too where nobody wrote the message for users."""
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {text}" if type(error) is RuntimeError else text


class CMACError(Exception):
    """Base of every error this package raises on purpose; the command line prints it without a traceback."""


class ArgumentError(CMACError, ValueError):
    """An argument of a public function that is none of what is accepted."""


class MediaError(CMACError, ValueError):
    """A file that cannot be opened, decoded, or has no stream of the kind that was asked for."""


class OutputError(CMACError, OSError):
    """An output that may not be written: it exists, equals the input, or its folder is missing or full."""


class CheckpointError(CMACError, ValueError):
    """A checkpoint that is unknown, unsafe, incomplete, misshapen, or from a newer format."""


class MissingPartError(CMACError, ValueError):
    """A network that lacks what was asked of it: an encoder, or the attention."""
