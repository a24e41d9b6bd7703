import errno

import pytest
import torch

from cmac_hub.errors import OutputError
from cmac_hub.train.writing import save_tensors, write_json, writing


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(OutputError, match="the disk is full"), writing(tmp_path / "a.json") as file:
        file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "a.json").read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_under_pytorch_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0\nframe #0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"a\.pt could not be written: .*unexpected pos") as caught:
        save_tensors(tmp_path / "a.pt", {})
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
