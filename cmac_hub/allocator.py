"""Freed memory stays with the process: a network on the CPU asks for the same large blocks again and again."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Options of glibc's `mallopt`."""


def keep_freed_memory() -> bool:
    """Stops the C library from giving large freed blocks back to the system, which would hand them out anew, page by
    zeroed page, at every step. A step of `nano` on two threads was 1.3 times faster with the same options given as
    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 (without the work of composing scenes); `cmac localize`
    was 1.1 times faster with cmac-nano and 1.25 times with cmac-lite.

    It holds for the whole process and what it forks, so commands call it, not the functions of the package.

    Returns:
        whether it could be done: on Linux with glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1))
