"""`cmac localize`: videos in, overlays out; every bad input is one line, and costs nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from making import tone, write_media

from cmac_hub.config import HEARING
from cmac_hub.media import probe, read_frames
from cmac_hub.media.find import find_inputs
from cmac_hub.visualizer import Visualizer


def one_error(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert line.startswith("cmac: ")
    return line


def test_one_video(cmac, clip, tmp_path):
    code, out, err = cmac("localize", clip, "-o", tmp_path / "out.mp4")
    assert (code, err) == (0, "")
    assert out.strip() == str(tmp_path / "out.mp4")
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 75


def test_default_output_lies_beside_the_input(cmac, clip, tmp_path):
    shutil.copy(clip, tmp_path / "dog.mp4")
    assert cmac("localize", tmp_path / "dog.mp4")[0] == 0
    assert (tmp_path / "dog_attention.mp4").exists()


def test_layout_and_scale_reach_the_drawing(cmac, clip, tmp_path, monkeypatch):
    render, scales = Visualizer.render, []

    def spy(*arguments, **how):
        scales.append(how.get("scale"))
        return render(*arguments, **how)

    monkeypatch.setattr(Visualizer, "render", spy)
    out = tmp_path / "out.mp4"
    assert cmac("localize", clip, "-o", out, "--layout", "side-by-side", "--scale", "relative")[0] == 0
    assert (probe(out).width, probe(out).height) == (2 * 96, 64)
    assert scales == ["relative"]


def test_an_interrupt_is_one_line_and_exit_code_130(cmac, clip, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("cmac_hub.cli.localize.find_inputs", interrupted)
    code, out, err = cmac("localize", clip)
    assert (code, out) == (130, "")
    assert "interrupted" in one_error(err)


def test_json_lines(cmac, clip, tmp_path):
    code, out, _ = cmac("localize", clip, "-o", tmp_path / "out.mp4", "--json", "--hop", 1)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(rows) >= 3
    assert set(rows[0]) == {"file", "time", "x", "y", "score", "audible", "padded"}


def test_a_folder_with_a_broken_file(cmac, clip, silent_picture, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(clip, folder / "a.mp4")
    (folder / "b.mp4").write_text("no video")
    shutil.copy(clip, folder / "sub" / "c.mp4")
    code, stdout, err = cmac("localize", folder, "-o", out)
    assert code == 1
    assert (out / "a_attention.mp4").exists()
    assert (out / "sub" / "c_attention.mp4").exists()
    assert len(stdout.splitlines()) == 2
    assert "1 of 3 files failed" in err


def test_a_second_run_over_a_folder_does_what_is_missing(cmac, clip, sound_only, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip, tmp_path / name)
    shutil.copy(sound_only, tmp_path / "song.m4a")
    assert cmac("localize", tmp_path / "a.mp4")[0] == 0
    stamp = (tmp_path / "a_attention.mp4").stat().st_mtime_ns
    code, out, err = cmac("localize", tmp_path)
    assert (code, out.split()) == (0, [str(tmp_path / "b_attention.mp4")])
    assert "a_attention.mp4 exists already and is kept" in err
    assert (tmp_path / "a_attention.mp4").stat().st_mtime_ns == stamp
    assert sorted(p.name for p in tmp_path.glob("*_attention*")) == ["a_attention.mp4", "b_attention.mp4"]
    shutil.copy(clip, tmp_path / "full_attention.mp4")
    assert {one.path.name for one in find_inputs([str(tmp_path)], drawn=False)} == {
        "a.mp4", "b.mp4", "full_attention.mp4", "song.m4a",
    }, "a video that only sounds like an output is none"  # fmt: skip
    for name in ("b.mp4", "b_attention.mp4", "full_attention.mp4"):
        (tmp_path / name).unlink()
    assert cmac("localize", tmp_path)[:2] == (0, ""), "a folder of one video, too"
    code, _, err = cmac("localize", tmp_path, "-o", tmp_path / "both.mp4")
    assert code == 1 and "names one video" in one_error(err)


def test_a_second_run_tells_the_peaks_of_what_it_keeps(cmac, clip, tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(clip, tmp_path / "in" / "a.mp4")
    call = "localize", tmp_path / "in", "-o", tmp_path / "out", "--json", "--hop", 1
    code, first, err = cmac(*call)
    assert (code, err) == (0, ""), "the folder of a single output is made, too"
    code, second, err = cmac(*call)
    assert code == 0 and "is kept" in err
    assert first and json.loads(second.splitlines()[0]) == json.loads(first.splitlines()[0])
    assert len(second.splitlines()) == len(first.splitlines())


def test_outputs_inside_of_the_input_folder_are_no_inputs(cmac, clip, tmp_path):
    shutil.copy(clip, tmp_path / "a.mp4")
    for _ in range(2):
        assert cmac("localize", tmp_path, "-o", tmp_path / "attention")[0] == 0
    assert [p.name for p in tmp_path.rglob("*_attention*.mp4")] == ["a_attention.mp4"]
    inside = tmp_path / "attention"
    assert find_inputs([str(inside)], output=tmp_path)[0].path == inside / "a_attention.mp4", "the other way round"


def test_a_picture_that_cannot_be_decoded_costs_no_other_video(cmac, clip, tmp_path):
    shutil.copy(clip, tmp_path / "good.mp4")
    blind = write_media(tmp_path / "blind.mkv", times=np.arange(50) / 25, sound=tone(2.0), undecodable=True)
    code, out, err = cmac("localize", blind, tmp_path / "good.mp4", "-o", tmp_path / "out")
    assert code == 1 and out.split() == [str(tmp_path / "out" / "good_attention.mp4")]
    assert "no frame of" in err and "Traceback" not in err


def test_a_device_that_is_not_there(cmac, clip, tmp_path):
    for device in ("nowhere", "xpu"):
        code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", "--device", device)
        assert code == 1 and "device" in one_error(err)


def test_a_window_that_is_too_short(cmac, clip, tmp_path):
    code, _, err = cmac("localize", clip, "-o", tmp_path / "out.mp4", "--window", 0.005)
    assert code == 1 and "it must be at least 0.01 s" in one_error(err)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "there is no file"),
        (lambda p: p.touch(), "is empty"),
        (lambda p: p.write_text("hello " * 99), "x.mp4"),
        (lambda p: p.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 40), "x.mp4"),
    ],
    ids=["missing", "empty", "text", "noise"],
)
def test_what_is_no_video(cmac, tmp_path, make, says):
    make(tmp_path / "x.mp4")
    code, out, err = cmac("localize", tmp_path / "x.mp4", "-o", tmp_path / "out.mp4")
    assert (code, out) == (1, "")
    assert says in one_error(err)
    assert not (tmp_path / "out.mp4").exists()


def test_a_folder_without_media(cmac, tmp_path):
    code, _, err = cmac("localize", tmp_path, "-o", tmp_path / "out.mp4")
    assert code == 1
    assert "holds no media file" in one_error(err)


def test_a_truncated_mp4(cmac, clip, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    code, _, err = cmac("localize", broken, "-o", tmp_path / "out.mp4")
    assert code == 1
    assert "broken.mp4" in one_error(err)


def test_an_invalid_header(cmac, shared, tmp_path):
    code, _, err = cmac("localize", shared / "formats" / "invalid_header.mkv", "-o", tmp_path / "out.mp4")
    assert code == 1
    assert "invalid_header.mkv" in one_error(err)


@pytest.mark.parametrize("which", HEARING)
def test_picture_without_sound_names_the_way_out(cmac, silent_picture, tmp_path, which):
    out = tmp_path / "out.mp4"
    code, _, err = cmac("localize", silent_picture, "-o", out, "--map", which)
    assert code == 1
    assert "--map prediction" in one_error(err)
    assert cmac("localize", silent_picture, "-o", out, "--map", "prediction")[0] == 0
    assert len(list(read_frames(out))) == 50


def test_sound_without_picture(cmac, sound_only, tmp_path):
    code, _, err = cmac("localize", sound_only, "-o", tmp_path / "out.mp4")
    assert code == 1
    assert "no video stream" in one_error(err)


def test_a_short_clip_is_padded_and_said(cmac, tmp_path):
    path = write_media(tmp_path / "short.mp4", times=np.arange(6) / 25, sound=tone(0.24))
    code, _, err = cmac("localize", path, "-o", tmp_path / "out.mp4")
    assert code == 0
    assert "shorter than a window" in one_error(err)
    assert len(list(read_frames(tmp_path / "out.mp4"))) == 6


@pytest.mark.parametrize("which", HEARING)
def test_silence_is_said(cmac, tmp_path, which):
    path = write_media(tmp_path / "mute.mp4", times=np.arange(50) / 25, sound=np.zeros(32000, np.float32))
    code, _, err = cmac("localize", path, "-o", tmp_path / "out.mp4", "--map", which)
    assert code == 0
    assert "no audible sound" in one_error(err)


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


def test_a_file_is_probed_once_on_its_way_through(cmac, clip, tmp_path, monkeypatch):
    """Its header is read once; then it is opened for each stream that is decoded or copied, and no more."""
    from cmac_hub.media import decode, info, writer

    probed, opened = [], []

    def counting(function, calls):
        def call(path):
            calls.append(path)
            return function(path)

        return call

    monkeypatch.setattr(info, "_probe", counting(info._probe, probed))
    open_media = info.open_media
    for module in (info, decode, writer):
        monkeypatch.setattr(module, "open_media", counting(open_media, opened))
    assert cmac("localize", clip, "-o", tmp_path / "out.mp4")[0] == 0
    assert len(probed) == 1
    # The header; frames and sound for the network; frames to draw on; sound to copy.
    assert len(opened) == 5


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for name in (".hidden.mp4", ".cache/a.mp4", "b/.c/d.mp4", "seen.mp4", "b/seen.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [str(one.relative) for one in find_inputs([str(tmp_path)])] == ["b/seen.mp4", "seen.mp4"]


def test_a_file_that_is_named_twice_comes_once(cmac, clip, tmp_path):
    code, out, err = cmac("localize", clip, clip, clip.parent / "." / clip.name, "-o", tmp_path)
    assert (code, err, len(out.splitlines())) == (0, "", 1)
