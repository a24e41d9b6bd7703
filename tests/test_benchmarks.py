"""The benchmark scripts run; what they measure is not a test's business."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from making import tone, write_media

ROOT = Path(__file__).resolve().parents[1]


def test_pretrain():
    command = [sys.executable, "benchmarks/pretrain.py", "--steps", "1", "--set", "batch=2", "workers=0", "bank=10"]
    done = subprocess.run([*command, "drawn_clips=1000"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[:3]] == ["data alone", "step alone", "together"]
    done = subprocess.run([*command, "batchh=3"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "did you mean 'batch'" in done.stdout


def test_pretrain_variants(tiny_file, tmp_path):
    """Each has a row, measured or not reached in time."""
    how = ["--steps", "1", "--backend", "aot_eager", "--minutes", "0.08", "--json", str(tmp_path / "found.json")]
    changes = ["batch=2", "bank=10", "workers=0", f"architecture={tiny_file}"]
    command = [sys.executable, "benchmarks/pretrain.py", "--variants", *how, "--threads", "1", "--set", *changes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][2:]
    found = json.loads((tmp_path / "found.json").read_text())["variants"]
    assert [row[0].removeprefix("| ") for row in rows] == list(found) and len(found) == 8
    assert all(("clips_per_second" in one) != ("left out" in one) for one in found.values())
    assert {one["left out"] for one in found.values() if "left out" in one} <= {"no time left"}


def test_localize(clip):
    command, how = [sys.executable, "benchmarks/localize.py"], ["--turns", "1", "--models", "cmac-nano"]
    done = subprocess.run([*command, str(clip), *how], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("| cmac-nano | ")
    done = subprocess.run([*command, "missing.mp4", *how], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "missing.mp4" in done.stdout


def test_plain(tmp_path):
    clip = write_media(tmp_path / "second.mp4", times=np.arange(25) / 25, sound=tone(1.0))
    command = [sys.executable, "benchmarks/plain.py", str(clip), "--turns", "1", "--recipe", "nano"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    names = [line.split(" | ")[0] for line in done.stdout.splitlines()[3:]]
    assert names == ["| the plain way", "| localize, float32", "| localize, auto"]


def test_start(clip):
    command, how = [sys.executable, "benchmarks/start.py"], ["--turns", "1", "--models", "cmac-nano"]
    done = subprocess.run([*command, str(clip), *how], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, whole = map(float, done.stdout.splitlines()[-1].strip("| ").split(" | ")[2:])
    assert 0 < first < whole
    done = subprocess.run([*command, "missing.mp4", *how], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "missing.mp4" in done.stdout


def test_features():
    command = [sys.executable, "benchmarks/features.py", "--files", "3", "--turns", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "times one process by processor time" in done.stdout


def test_encoders():
    how = ["--turns", "1", "--shapes", "2x32", "--batches", "1", "--models", "cmac-nano", "--threads", "1"]
    command = [sys.executable, "benchmarks/encoders.py", *how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[2].startswith("| 1x2x32 | ") and rows[-1].startswith("| cmac-nano, audio, 16x1x64x100 | ")


def test_reading(clip):
    how = ["--files", "1", "--turns", "1", "--sizes", "48", "--network", "cmac-nano"]
    command = [sys.executable, "benchmarks/reading.py", str(clip.parent), *how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[-2:]] == ["| 340x256", "| cut 48"]


def test_beside_leaves_out_what_is_not_installed(clip):
    command = [sys.executable, "benchmarks/beside.py", str(clip.parent), "--seconds", "1", "--yamnet", "missing.tflite"]
    for name, code in (("cmac-nano, float32, sounds", 0), ("YAMNet", 1)):
        done = subprocess.run([*command, "--child", name], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == code and ("MEASURED" in done.stdout) == (code == 0), done.stderr
