"""Files are written whole or not at all, and an error says which file it is of."""

import errno

import pytest

from cmac_hub.errors import OutputError
from cmac_hub.files import make_folder, replacing


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
