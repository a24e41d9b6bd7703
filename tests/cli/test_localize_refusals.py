"""What `cmac localize` refuses: outputs, models, devices and calls; each in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from lines import one_error

from cmac_hub.media import probe


def test_a_device_that_is_not_there(cmac, clip, tmp_path):
    for device in ("nowhere", "xpu"):
        code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", "--device", device)
        assert code == 1 and "device" in one_error(err)


def test_a_window_that_is_too_short(cmac, clip, tmp_path):
    code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", "--window", 0.005)
    assert code == 1 and "it must be at least 0.01 s" in one_error(err)


def test_outputs_that_may_not_be(cmac, clip, tmp_path):
    target = tmp_path / "out.mp4"
    assert "no folder" in one_error(cmac("localize", clip, "-o", tmp_path / "nowhere" / "out.mp4")[2])
    target.write_bytes(b"precious")
    assert "--overwrite" in one_error(cmac("localize", clip, "-o", target)[2])
    assert target.read_bytes() == b"precious"
    assert cmac("localize", clip, "-o", target, "--overwrite")[0] == 0
    assert probe(target).has_audio
    before = target.read_bytes()
    code, _, err = cmac("localize", target, "-o", target, "--overwrite")
    assert code == 1
    assert "input itself" in one_error(err)
    assert target.read_bytes() == before
    assert "accepted are" in one_error(cmac("localize", clip, "-o", tmp_path / "out.gif")[2])


def test_a_folder_that_is_not_writable(cmac, clip, tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:
        # Root may write everywhere: what others would be answered.
        monkeypatch.setattr(os, "access", lambda *_: False)
    try:
        assert "not writable" in one_error(cmac("localize", clip, "-o", tmp_path / "out.mp4")[2])
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_leaves_nothing(model_folder, clip, tmp_path):
    """A real limit on the size of files stands for the disk: the kernel refuses to write more."""
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "from cmac_hub.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, "localize", str(clip), "-o", str(tmp_path / "out.mp4")]
    done = subprocess.run([*command, "--model", str(model_folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing half-written was kept" in one_error(done.stderr)
    assert not list(tmp_path.iterdir())


def test_unknown_models(cmac, clip, tmp_path):
    code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", model="cmac-nanno")
    assert code == 1
    assert "cmac-nano" in one_error(err)


def test_damaged_checkpoints(cmac, clip, model_folder, tmp_path):
    from safetensors.torch import load_file, save_file

    def spoiled(name, change):
        folder = tmp_path / name
        shutil.copytree(model_folder, folder)
        change(folder)
        code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", model=folder)
        assert code == 1
        return one_error(err)

    def edit(change):
        def work(folder):
            state = load_file(folder / "model.safetensors")
            change(state)
            save_file(state, folder / "model.safetensors")

        return work

    def newer(folder):
        config = json.loads((folder / "config.json").read_text())
        config["format_version"] = 99
        (folder / "config.json").write_text(json.dumps(config))

    def pickled(folder):
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    key = "heads.shared.weight"
    assert f"missing {key}" in spoiled("missing", edit(lambda s: s.pop(key)))
    assert "has shape" in spoiled("misshapen", edit(lambda s: s.update({key: s[key][:1].clone()})))
    assert "99" in spoiled("newer", newer)
    assert "safetensors" in spoiled("pickle", pickled)
    assert "model.safetensors" in spoiled("torn", lambda f: (f / "model.safetensors").write_bytes(b"torn"))


def test_wrong_calls_exit_with_two(model_folder, clip, capsys):
    from cmac_hub.cli import main

    for arguments in ([], ["localize"], ["localize", str(clip), "--hop", "-1"], ["localise", str(clip)]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    capsys.readouterr()
