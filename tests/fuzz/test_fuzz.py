"""A short run of `fuzz.runner`, always the same one; more: see there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_mutated_media_end_with_an_output_or_one_line():
    # A process of its own: a fork of this one would inherit whatever threads other tests have started.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fuzz.runner", "--seed", "0", "--mutants", "200"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "212 in " in done.stdout


def test_a_finding_is_found(tmp_path):
    """The runner itself: what crashes, hangs, takes memory, or raises something else."""
    code = (
        "import os, sys, time; from pathlib import Path; from fuzz import runner\n"
        "def work(model, path, folder):\n"
        "    if path.name == 'crash': os.abort()\n"
        "    if path.name == 'hang':\n"
        "        while True: pass\n"
        "    if path.name == 'memory': bytearray(3 << 30)\n"
        "    if path.name == 'exception': {}['key']\n"
        "    if path.name == 'refused': raise runner.CMACError('no')\n"
        "    return ''\n"
        "runner.work = work\n"
        "for kind in ('crash', 'hang', 'memory', 'exception', 'refused', 'output'):\n"
        "    assert runner.run_apart(None, Path(kind), Path('.'), 1).kind == kind, kind\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
