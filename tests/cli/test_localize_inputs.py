"""`cmac localize` on what is odd or broken: every bad input is one line, and costs nothing else."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from lines import one_error
from making import tone, write_media

from cmac_hub.config import HEARING
from cmac_hub.media import read_frames
from cmac_hub.media.find import find_inputs


def test_a_picture_that_cannot_be_decoded_costs_no_other_video(cmac, clip, tmp_path):
    shutil.copy(clip, tmp_path / "good.mp4")
    blind = write_media(tmp_path / "blind.mkv", times=np.arange(50) / 25, sound=tone(2.0), undecodable=True)
    code, out, err = cmac("localize", blind, tmp_path / "good.mp4", "-o", tmp_path / "out")
    assert code == 1 and out.split() == [str(tmp_path / "out" / "good_attention.mp4")]
    assert "no frame of" in err and "Traceback" not in err


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
def test_picture_without_sound_names_the_way_out(cmac, video_only, tmp_path, which):
    out = tmp_path / "out.mp4"
    code, _, err = cmac("localize", video_only, "-o", out, "--map", which)
    assert code == 1
    assert "--map prediction" in one_error(err)
    assert cmac("localize", video_only, "-o", out, "--map", "prediction")[0] == 0
    assert len(list(read_frames(out))) == 50


def test_sound_without_picture(cmac, audio_only, tmp_path):
    code, _, err = cmac("localize", audio_only, "-o", tmp_path / "out.mp4")
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


def test_a_video_that_stays_dark_is_said_with_what_to_do_next(cmac, tmp_path):
    gray = np.full((50, 64, 96, 3), 120, np.uint8)
    path = write_media(tmp_path / "gray.mp4", times=np.arange(50) / 25, images=gray, sound=tone(2.0))
    told = []
    nano = ("--model", "cmac-nano")
    for options in (nano, (*nano, "--scale", "relative"), ()):
        code, _, err = cmac("localize", path, "-o", tmp_path / "out.mp4", "--overwrite", *options, model=None)
        assert code == 0
        told.append(err)
    assert "--scale relative lights the likeliest places, --model cmac-lite" in one_error(told[0])
    assert told[1] == ""
    assert one_error(told[2]).endswith("the likeliest places"), "one does not advise what is there"


def test_a_file_is_probed_once_on_its_way_through(cmac, clip, tmp_path, monkeypatch):
    """Its header is read once; then it is opened for each stream that is decoded or copied, and no more."""
    from cmac_hub.media import decode, info, writer

    probed, opened = [], []

    def counting(function, calls):
        def call(path, *rest):
            calls.append(path)
            return function(path, *rest)

        return call

    monkeypatch.setattr(info, "_probe", counting(info._probe, probed))
    open_media = info.open_media
    for module in (info, decode, writer):
        monkeypatch.setattr(module, "open_media", counting(open_media, opened))
    assert cmac("localize", clip, "-o", tmp_path / "out.mp4")[0] == 0
    assert len(probed) == 1
    # The header; frames for the network and to draw on; sound for the network; sound to copy.
    assert len(opened) == 4


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    for name in (".hidden.mp4", ".cache/a.mp4", "b/.c/d.mp4", "seen.mp4", "b/seen.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [str(one.relative) for one in find_inputs([str(tmp_path)])] == ["b/seen.mp4", "seen.mp4"]


def test_a_file_that_is_named_twice_comes_once(cmac, clip, tmp_path):
    code, out, err = cmac("localize", clip, clip, clip.parent / "." / clip.name, "-o", tmp_path)
    assert (code, err, len(out.splitlines())) == (0, "", 1)


def test_a_link_to_a_file_is_that_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    (tmp_path / "circle.mp4").symlink_to(tmp_path / "circle.mp4")
    assert [one.path.name for one in find_inputs([str(tmp_path)])] == ["a.mp4"]
    names = [str(tmp_path / name) for name in ("b.mp4", "a.mp4", "circle.mp4")]
    assert [one.path.name for one in find_inputs(names)] == ["b.mp4", "circle.mp4"], "by the name that came first"
