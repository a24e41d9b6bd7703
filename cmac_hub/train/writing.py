"""Files of training and evaluation, each written whole or not at all (`cmac_hub.files.replacing`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import torch

from cmac_hub.files import replacing


@contextmanager
def writing(path: Path, *, overwrite: bool = True, errors: str | None = None) -> Iterator[TextIO]:
    """A text file to write to, for `csv.writer` too; at its place when all went well.

    Args:
        path: of the file.
        overwrite: whether an existing file may be replaced.
        errors: how characters that are no UTF-8 are written, see `open`.

    Raises:
        OutputError: the file may not or could not be written; one that was there before is as it was.
    """
    with (
        replacing(path, overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=errors) as file,
    ):
        yield file


def write_json(path: Path, values: dict[str, Any]) -> None:
    """An indented JSON file. Raises OutputError as `writing` does."""
    with writing(path) as file:
        file.write(json.dumps(values, indent=2) + "\n")


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    """What `torch.load(weights_only=True)` reads again. Raises OutputError as `writing` does."""
    with replacing(path) as temporary:
        try:
            torch.save(values, temporary)
        except RuntimeError as error:
            # PyTorch's own error of a full disk.
            raise OSError(str(error).splitlines()[0]) from error
