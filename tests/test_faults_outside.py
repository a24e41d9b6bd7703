"""The system itself fails under the commands, in a child process (`outside.py`): files that may not grow, system calls
that a preloaded shim lets fail, a small file system that is full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scenarios import make_inputs

TESTS = Path(__file__).parent

COMPILER = shutil.which("cc")

ALL = [str(kind) for kind in (errno.ENOSPC, errno.EACCES, errno.EINTR, errno.EIO, 0)]
"""0 kills."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside") / "inputs"
    make_inputs(folder)
    return folder


def points(*command: object, **environment: str) -> int:
    """How many points a child survived."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout.split("POINTS ")[1])


@pytest.fixture
def shim(tmp_path) -> dict[str, str]:
    """What a child needs to be run with the shim, on outputs in `tmp_path / "root"`."""
    library = tmp_path / "shim.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, TESTS / "data" / "shim.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "FAULT_ROOT": f"{tmp_path / 'root'}/"}


def test_files_that_may_not_grow(inputs, tmp_path):
    """Without a header FFmpeg crashed at the next packet; PyTorch and safetensors have errors of their own."""
    command = [sys.executable, TESTS / "outside.py", "limit", inputs, tmp_path / "root", "localize", "pretrain"]
    assert points(*command, 0, 9000) == 4


@(lambda test: test if COMPILER else pytest.mark.extras(test))
def test_system_calls_that_fail(inputs, tmp_path, shim):
    command = [sys.executable, TESTS / "outside.py", "shim", inputs, tmp_path / "root", "features", "localize", "index"]
    assert points(*command, 7, *ALL, **shim) >= 5


@pytest.mark.extras
def test_every_size_of_file(inputs, tmp_path):
    command = [sys.executable, TESTS / "outside.py", "limit", inputs, tmp_path / "root"]
    sizes = [0, 1, 50, 100, 700, 1000, 2000, 5000, 9000, 12000, 100_000, 300_000, 1_000_000]
    assert points(*command, *sizes) == 5 * len(sizes)


@pytest.mark.extras
@pytest.mark.parametrize("kind", ALL)
def test_every_system_call_fails(inputs, tmp_path, shim, kind):
    assert points(sys.executable, TESTS / "outside.py", "shim", inputs, tmp_path / "root", 1, kind, **shim) >= 100


@pytest.mark.extras
def test_a_small_file_system_that_is_full(inputs, tmp_path):
    """A real one of 8 MB, mounted in a name space of the child's own."""
    work = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
    (tmp_path / "disk").mkdir()
    child = [sys.executable, TESTS / "outside.py", "full", inputs, tmp_path / "disk" / "root"]
    sizes = [0, 4096, 8192, 12288, 16384, 32768, 65536, 131072, 400_000, 1_200_000]
    command = ["unshare", "-rm", "sh", "-c", work, tmp_path / "disk", *child, *sizes]
    assert points(*command) == 5 * len(sizes)
