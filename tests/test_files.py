"""Files are written whole or not at all, and an error says which file it is of."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from contextlib import nullcontext

import pytest

from cmac_hub.errors import OutputError
from cmac_hub.files import make_folder, remove_left_over, replacing


def test_what_cannot_be_read_meanwhile_is_not_said_to_be_unwritable(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "out.txt"):
        (tmp_path / "input.txt").read_text()
    assert not isinstance(caught.value, OutputError) and caught.value.filename == str(tmp_path / "input.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [None, "temporary", "path"])
def test_what_cannot_be_written_is_said(tmp_path, name):
    target = tmp_path / "out.txt"
    with pytest.raises(OutputError, match=r"out\.txt could not be written: .* full"), replacing(target) as temporary:
        named = {None: None, "temporary": temporary, "path": str(target)}[name]
        raise OSError(errno.ENOSPC, "No space left on device", named)


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(OutputError, match=r"the folder .*run could not be made"):
        make_folder(tmp_path / "run")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_written_over(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from cmac_hub.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of it, and much more of it'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    target = tmp_path / "out.txt"
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -signal.SIGKILL
        assert len(names(tmp_path)) == 1 and not target.exists()
    with replacing(target) as temporary:
        assert temporary.stat().st_size == 0
        temporary.write_text("all")
    assert names(tmp_path) == ["out.txt"] and target.read_text() == "all"


def test_two_that_write_the_same_file_do_not_meet(tmp_path):
    target = tmp_path / "out.txt"
    with replacing(target) as one:
        one.write_text("one")
        with replacing(target) as two:
            remove_left_over(tmp_path)
            two.write_text("two")
        assert target.read_text() == "two" and one.read_text() == "one"
    assert names(tmp_path) == ["out.txt"] and target.read_text() == "one"


def test_one_that_fails_leaves_the_other_ones_file(tmp_path):
    target = tmp_path / "out.txt"
    with replacing(target) as one:
        with pytest.raises(OutputError), replacing(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        one.write_text("one")
    assert names(tmp_path) == ["out.txt"]


def test_many_processes_write_one_file(tmp_path):
    """Each file that ever stands there is whole."""
    code = (
        "import sys; from pathlib import Path; from cmac_hub.files import replacing\n"
        "for _ in range(300):\n"
        "    with replacing(Path(sys.argv[1]), synced=False) as temporary, temporary.open('w') as file:\n"
        "        for _ in range(3): file.write(sys.argv[2] * 5000); file.flush()"
    )
    target = tmp_path / "out.txt"
    running = [subprocess.Popen([sys.executable, "-c", code, str(target), letter]) for letter in "abc"]
    seen = set()
    while any(process.poll() is None for process in running):
        if target.exists():
            text = target.read_text()
            seen.add((len(text), len(set(text))))
    assert [process.returncode for process in running] == [0, 0, 0]
    assert seen == {(15000, 1)} and names(tmp_path) == ["out.txt"]


def test_a_link_in_the_place_of_the_hidden_file_is_not_followed(tmp_path):
    with replacing(tmp_path / "out.txt") as temporary:
        hidden = temporary.name
    (tmp_path / "precious").write_text("mine")
    (tmp_path / hidden).symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError), replacing(tmp_path / "out.txt"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with replacing(tmp_path / "out.txt") as one, replacing(tmp_path / "out.txt") as two:
        assert one != two and set(names(tmp_path)) == {one.name, two.name}
        one.write_text("one")
        two.write_text("two")
    assert names(tmp_path) == ["out.txt"] and (tmp_path / "out.txt").read_text() == "one"
    (tmp_path / ".cmac-0-0.part.txt").write_text("whose it is cannot be known")
    remove_left_over(tmp_path)
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch, error):
    real = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    expected = pytest.raises(OutputError, match="is written, but a power cut may undo it")
    with expected if error == errno.EIO else nullcontext(), replacing(tmp_path / "out.txt") as temporary:
        temporary.write_text("all")
    assert (tmp_path / "out.txt").read_text() == "all"
