"""`cmac localize`: videos in, overlays out; one video, and folders."""

from __future__ import annotations

import json
import shutil

from lines import one_error

from cmac_hub.media import probe, read_frames
from cmac_hub.media.find import find_inputs
from cmac_hub.visualizer import Visualizer


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
    assert set(rows[0]) == {
        "file", "time", "x", "y", "score", "audible", "padded", "lit", "box", "sound_level", "agreement",
    }  # fmt: skip
    assert all(row["box"] is None or len(row["box"]) == 4 for row in rows)


def test_a_folder_with_a_broken_file(cmac, clip, video_only, tmp_path):
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


def test_a_second_run_over_a_folder_does_what_is_missing(cmac, clip, audio_only, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(clip, tmp_path / name)
    shutil.copy(audio_only, tmp_path / "song.m4a")
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


def test_one_video_that_is_there_is_looked_at_for_what_else_is_asked_for(cmac, clip, tmp_path):
    out, maps = tmp_path / "out.mp4", tmp_path / "maps.npz"
    assert cmac("localize", clip, "-o", out)[0] == 0
    stamp = out.stat().st_mtime_ns
    code, stdout, err = cmac("localize", clip, "-o", out, "--maps", maps, "--json")
    assert code == 0 and "is kept" in err and maps.exists()
    assert json.loads(stdout.splitlines()[0])["file"] == str(clip)
    assert out.stat().st_mtime_ns == stamp
    code, _, err = cmac("localize", clip, "-o", out)
    assert code == 1 and "exists already" in err


def test_a_slash_at_the_end_means_a_folder(cmac, clip, tmp_path):
    code, out, _ = cmac("localize", clip, "-o", f"{tmp_path}/new/")
    assert (code, out.strip()) == (0, str(tmp_path / "new" / f"{clip.stem}_attention.mp4"))
    code, _, err = cmac("localize", clip, "-o", tmp_path / "other")
    assert code == 1 and f"other is no folder yet; write {tmp_path}/other/ to make it, or NAME.mp4" in err


def test_two_inputs_of_one_name_are_told_what_to_do(cmac, clip, tmp_path):
    names = [tmp_path / folder / "a.mp4" for folder in ("cat", "dog")]
    for name in names:
        name.parent.mkdir()
        shutil.copy(clip, name)
    code, _, err = cmac("localize", *names, "-o", tmp_path / "out")
    assert code == 1 and "give the folder that holds both, whose order is kept, or rename one" in err
