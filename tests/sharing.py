"""Work that processes of tests share; each imports it by this name."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable

from cmac_hub.errors import MediaError
from cmac_hub.media.find import Input


class UnsendableError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one + other)


def setup() -> Callable[[Input], None]:
    """Work that does what the file's name says."""
    print("ready")
    return work


def failing_setup() -> Callable[[Input], None]:
    raise MediaError("there is no such model")


def dying_setup() -> Callable[[Input], None]:
    os._exit(3)


def work(one: Input) -> None:
    name = one.path.name
    if name == "slow":
        time.sleep(0.5)
    if name == "media":
        raise MediaError("it is broken")
    if name == "bug":
        raise UnsendableError("no", "thing")
    if name == "warning":
        warnings.warn("a\nwarning", stacklevel=1)
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"{one.path} done")
    print(f"{one.path} said", file=sys.stderr)
