"""The errors a user can meet: each message is one line that says what was given, what is accepted, and what to do."""

from __future__ import annotations

import errno
import os
import sys


def short(text: object, most: int = 200) -> str:
    """A text for a message, cut where it is longer than so many characters: files of others may hold a book."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[:most]}... ({len(whole):,} characters)"


def is_expected(error: BaseException) -> bool:
    """Whether an error is no bug: one of ours, of the file system, or a full GPU's."""
    return isinstance(error, CMACError | OSError) or _is_out_of_memory(error)


def _is_out_of_memory(error: BaseException) -> bool:
    # Importing PyTorch takes seconds; without it there is no such error.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def one_line(error: BaseException) -> str:
    """What the command line says of an error; its type too where nobody wrote the message for users."""
    if _is_out_of_memory(error):
        return "the GPU's memory is full; end what else runs there, or take another device: --device cpu"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG and error.filename:
        return too_long(error.filename)
    text = " ".join(str(error).split()) or type(error).__name__
    # A terminal obeys control characters, and a message may quote a file.
    text = "".join(f"\\x{ord(one):02x}" if one < " " or "\x7f" <= one <= "\x9f" else one for one in text)
    return f"{type(error).__name__}: {text}" if type(error) is RuntimeError else text


def too_long(path: str | bytes | os.PathLike[str]) -> str:
    """What is said of a path that the file system does not take."""
    whole = os.fsencode(path)
    name = max(whole.split(os.fsencode(os.sep)), key=len)
    if len(name) <= 255:
        return f"the path {short(os.fsdecode(whole), 60)} has {len(whole)} bytes, too long for this system; shorten it"
    return (
        f"the name {short(os.fsdecode(name), 60)} has {len(name)} bytes, and file systems take 255; shorten it, "
        "or rename the input that it is made from"
    )


class CMACError(Exception):
    """Base of every error this package raises on purpose; the command line prints it without a traceback."""


class ArgumentError(CMACError, ValueError):
    """An argument of a public function that is none of what is accepted."""


class MediaError(CMACError, ValueError):
    """A file that cannot be opened, decoded, or has no stream of the kind that was asked for."""


class UndecodableError(MediaError):
    """A stream that is there, and of which nothing can be decoded: it is broken, encrypted, or in an unknown format."""


class OutputError(CMACError, OSError):
    """An output that may not be written: it exists, equals the input, or its folder is missing or full."""


class CheckpointError(CMACError, ValueError):
    """A checkpoint that is unknown, unsafe, incomplete, misshapen, or from a newer format."""


class MissingPartError(CMACError, ValueError):
    """A network that lacks what was asked of it: an encoder, or the attention."""
