"""Reading what people wrote: tables, lists and JSON, from whatever editor or spreadsheet they come.

A mark at the beginning (BOM) tells UTF-8, UTF-16 or UTF-32; UTF-16 is known without one too, as it holds zero bytes.
Everything else is UTF-8. Bytes that are none are kept, because a file may be named by them (`named_file`); in a label
they are read as Windows-1252, which holds Latin-1 (`legible`).
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmac_hub.errors import CMACError

AS_BYTES = "surrogateescape"
"""Error handler of all text that holds file names: old ones may be no UTF-8, and Python keeps their bytes so."""

MOST_JSON = 16 * 2**20
"""Bytes of the largest JSON that is read; VGG-SS's boxes have about one million."""

DEEPEST = 100
"""Objects and lists inside each other in JSON; our own have a few."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose mark is the beginning of this one.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_text(path: Path) -> str:
    """All of a text file, line ends as they are. Raises OSError."""
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Bytes of any of the encodings above -> text; nothing is refused."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, AS_BYTES if encoding == "utf-8" else "replace")
    start = data[:256]
    for place, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Every other byte of mostly Western text is zero.
        if start[place::2].count(0) > len(start) // 4 and not start[1 - place :: 2].count(0):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", AS_BYTES)


def legible(text: str) -> str:
    """Text that may hold bytes which are no UTF-8, for people: they are read as Windows-1252."""
    return "".join(_windows(ord(one) - 0xDC00) if "\udc80" <= one <= "\udcff" else one for one in text)


def _windows(byte: int) -> str:
    # Latin-1 has a character for the five bytes that Windows left free.
    return bytes([byte]).decode("cp1252", "ignore") or chr(byte)


def named_file(path: Path) -> Path:
    """The file that a table names: by the very bytes that it holds; where there is none, by the text that they mean."""
    text = str(path)
    meant = legible(text)
    return Path(meant) if meant != text and not path.exists() and Path(meant).exists() else path


def lines_of(path: Path) -> list[str]:
    """The lines of a list that are not empty, without blanks around them. Raises OSError."""
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    return [line.strip() for line in text.split("\n") if line.strip()]


class Table:
    """The rows of a csv with a header, in commas, semicolons or tabs, whichever the header has most of.

    Raises:
        CMACError: no csv, as an unfinished quotation.
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, text = path, read_text(path)
        header = text.lstrip("\r\n").partition("\n")[0].partition("\r")[0]
        self._reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))

    @property
    def columns(self) -> list[str]:
        """The header; empty where there is none."""
        try:
            return list(self._reader.fieldnames or [])
        except csv.Error as error:
            raise CMACError(f"{self.path} is no csv ({error})") from error

    @property
    def line(self) -> int:
        """The number of the last line that was read, from 1."""
        return self._reader.line_num

    def __iter__(self) -> Iterator[dict[str, str]]:
        try:
            yield from self._reader
        except csv.Error as error:
            raise CMACError(f"{self.path}, line {self.line + 1} is no csv ({error})") from error


def read_json(path: Path, most: int = MOST_JSON) -> Any:
    """The value of a JSON file of at most so many bytes.

    Raises:
        ValueError: it is no JSON, too large, or too deep.
        OSError: the file cannot be read.
    """
    if (size := path.stat().st_size) > most:
        raise ValueError(f"it has {size:,} bytes; at most {most:,} are read")
    try:
        value = json.loads(read_text(path))
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    check_depth(value)
    return value


TOO_DEEP = f"more than {DEEPEST} objects or lists lie inside each other"


def check_depth(value: Any) -> None:
    """Raises ValueError for objects and lists that lie deeper inside each other than `DEEPEST`."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list | tuple)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError(TOO_DEEP)
