"""Closed, narrow, full and deserted streams, and signals, cost no work."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cmac_hub import streams
from cmac_hub.errors import OutputError, one_line
from cmac_hub.files import check_output, make_folder
from cmac_hub.streams import EndedError, Lasting, ending_by_signals, lasting_streams

COMMAND = """
import argparse, sys, time
from pathlib import Path
from cmac_hub.command_line import run
from cmac_hub.files import replacing

def work(options):
    for number in range(3):
        with replacing(Path(f"{number}.txt")) as temporary:
            temporary.write_text("whole")
        print(f"{number} caf\\xe9 \\u20ac", flush=True)
        print("told", file=sys.stderr)
    if sys.argv[1:]:
        with replacing(Path("late.txt")) as temporary:
            print("waiting", flush=True)
            time.sleep(60)

sys.exit(run("cmac", work, argparse.Namespace(debug=False)))
"""


@pytest.fixture
def command(tmp_path):
    """Runs a command that writes three files and says so, below a line of shell; gives what subprocess gives."""
    (tmp_path / "command.py").write_text(COMMAND)
    root = Path(__file__).parents[1]

    def run(shell: str, **environment: str) -> subprocess.CompletedProcess:
        environment = os.environ | {"PYTHONPATH": str(root), "PY": f"{sys.executable} command.py", **environment}
        done = subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )
        assert sorted(path.name for path in tmp_path.glob("?.txt")) == ["0.txt", "1.txt", "2.txt"]
        assert all(path.read_text() == "whole" for path in tmp_path.glob("?.txt"))
        return done

    return run


def test_a_reader_that_goes_is_no_failure(command):
    done = command("$PY | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == (b"0\n", b"told\n" * 3)


def test_a_full_disk_below_stdout_is_told_at_the_end(command):
    done = command("$PY > /dev/full; echo $?")
    assert done.stdout == b"1\n"
    assert done.stderr.splitlines()[-1].startswith(b"cmac: stdout could not be written: [Errno 28]")
    assert command("$PY 2> /dev/full > /dev/null; echo $?").stdout == b"0\n"


def test_closed_streams(command):
    done = command("$PY 2>&-; echo $?")
    assert done.stdout.endswith(b"0\n") and b"told" not in done.stdout, "messages are no results"
    assert command("$PY >&- 2>&-; echo $?").stdout == b"0\n"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("ascii", rb"caf\xe9 \u20ac"), ("cp1252", b"caf\xe9 \x80"), ("utf-8", "café €".encode())],
)
def test_a_narrow_stdout_has_escapes(command, encoding, written):
    done = command("$PY", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and b"0 " + written + b"\n" in done.stdout


@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGHUP, 1), (signal.SIGTERM, 2)])
def test_a_signal_leaves_nothing_half_written(tmp_path, number, times):
    """Sent twice in a row as well, as `timeout` does."""
    (tmp_path / "command.py").write_text(COMMAND)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    how = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Below `nohup` the tests ignore SIGHUP, and so would the command.
    how["preexec_fn"] = lambda: signal.signal(number, signal.SIG_DFL)
    with subprocess.Popen([sys.executable, "command.py", "wait"], **how) as process:
        while b"waiting" not in process.stdout.readline():
            pass
        assert list(tmp_path.glob(".cmac-*"))
        for _ in range(times):
            process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == b"cmac: ended by %s; what was finished is kept" % number.name.encode()
    assert not list(tmp_path.glob(".cmac-*")) and not (tmp_path / "late.txt").exists()


@pytest.mark.parametrize(("together", "status"), [(60.0, 7 << 8), (-1.0, int(signal.SIGTERM))])
def test_a_signal_that_comes_later_ends_the_process_at_once(monkeypatch, together, status):
    monkeypatch.setattr(streams, "TOGETHER", together)
    child = os.fork()
    if child == 0:
        try:
            with ending_by_signals():
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                finally:
                    os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os._exit(7)
    assert os.waitpid(child, 0)[1] == status


def test_signals_are_given_back_and_handlers_of_others_stay():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(EndedError, match="SIGTERM"), ending_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    seen = []
    signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        with ending_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGTERM, before)

    def other():
        with ending_by_signals():
            seen.append(2)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [1, 2]


def test_a_stream_lasts(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "gone")

    gone, wide = Lasting(Gone()), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert gone.write("abc") == 3 == gone.write("abc") and isinstance(gone.error, BrokenPipeError)
    monkeypatch.setattr(sys, "stdout", wide)
    monkeypatch.setattr(sys, "stderr", None)
    with lasting_streams() as stdout, lasting_streams() as inner:
        assert inner is stdout and not sys.stderr.isatty()
        print("\ud800", os.fsdecode(b"\xe9"))
        print("message", file=sys.stderr)
    assert wide.buffer.getvalue() == b"\\ud800 \xe9\n"
    assert sys.stdout is wide and sys.stderr is None


def test_names_that_no_file_system_takes_are_said(tmp_path):
    for path in (tmp_path / ("é" * 128), tmp_path / ("x" * 300) / "a.mp4", Path("/a" * 3000)):
        for check in (lambda path: check_output(path, False), make_folder):
            with pytest.raises(OutputError, match=r"(256|300|6000) bytes, (and file systems take 255|too long)"):
                check(path)
        with pytest.raises(OSError, match="too long") as caught:
            path.stat()
        assert one_line(caught.value).startswith(("the name", "the path"))


def test_a_message_obeys_no_file():
    assert one_line(ValueError("a\x1b[2J\nb\x9b")) == r"a\x1b[2J b\x9b"
