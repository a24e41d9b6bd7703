import platform
import subprocess
import sys

import pytest

from cmac_hub.allocator import keep_freed_memory

MEASURE = """
import resource
import sys
import torch
from cmac_hub.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.set_num_threads(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(30):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an option of glibc")
def test_large_blocks_are_not_fetched_anew_page_by_page():
    faults = {
        mode: int(
            subprocess.run([sys.executable, "-c", MEASURE, mode], capture_output=True, check=True, text=True).stdout
        )
        for mode in ("keep", "leave")
    }
    assert 2 * faults["keep"] < faults["leave"]


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_freed_memory() is False
