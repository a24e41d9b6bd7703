"""`cmac features`: one file a video, an index, and a second run that does only what is missing."""

from __future__ import annotations

import csv
import os
import shutil
from multiprocessing import get_context

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from cmac_hub.cli import main


@pytest.fixture
def folder(tmp_path, clip, video_only, audio_only):
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    shutil.copy(clip, inside / "a.mp4")
    shutil.copy(video_only, inside / "sub" / "b.mp4")
    shutil.copy(audio_only, inside / "c.m4a")
    (inside / "broken.mp4").write_text("no video")
    return inside


def test_a_folder(cmac, folder, tmp_path, tiny):
    out = tmp_path / "out"
    code, stdout, err = cmac("features", folder, "-o", out)
    assert code == 1
    assert "1 of 4 files failed" in err
    assert "broken.mp4" in err
    assert len(stdout.splitlines()) == 3
    got = load_file(out / "a.mp4.safetensors")
    expected = tiny.extract_features(folder / "a.mp4")
    torch.testing.assert_close(got["visual"], expected.visual)
    torch.testing.assert_close(got["times"], expected.times)
    rows = list(csv.DictReader((out / "index.csv").open(newline="")))
    assert [row["path"] for row in rows] == ["a.mp4", "c.m4a", "sub/b.mp4"]
    assert [row["audio"] for row in rows] == ["True", "True", "False"]
    assert [row["video"] for row in rows] == ["True", "False", "True"]


def test_a_second_run_does_what_is_missing(cmac, folder, tmp_path):
    out = tmp_path / "out"
    (folder / "broken.mp4").unlink()
    assert cmac("features", folder, "-o", out)[0] == 0
    kept, redone, torn = (out / f for f in ("a.mp4.safetensors", "c.m4a.safetensors", "sub/b.mp4.safetensors"))
    stamp = kept.stat().st_mtime_ns
    redone.unlink()
    torn.write_bytes(torn.read_bytes()[:100])
    assert cmac("features", folder, "-o", out)[0] == 0
    assert kept.stat().st_mtime_ns == stamp
    assert redone.exists()
    assert "visual" in load_file(torn)
    assert len(list(csv.DictReader((out / "index.csv").open(newline="")))) == 3
    assert not [p for p in out.rglob("*") if ".part" in p.name]


def test_other_settings_are_not_mixed(cmac, clip, tmp_path):
    out = tmp_path / "out"
    assert cmac("features", clip, "-o", out)[0] == 0
    code, _, err = cmac("features", clip, "-o", out, "--hop", 0.5)
    assert code == 1
    assert "other weights or settings" in err
    assert cmac("features", clip, "-o", out, "--hop", 0.5, "--overwrite")[0] == 0
    assert len(load_file(out / "clip.mp4.safetensors")["times"]) >= 5


def test_the_type_stands_in_each_file_and_is_a_setting(cmac, clip, tmp_path):
    call = ("features", clip, "-o", tmp_path / "out")
    assert cmac(*call)[0] == 0
    made = tmp_path / "out" / "clip.mp4.safetensors"
    with safe_open(made, "pt") as file:
        assert file.metadata()["dtype"] == "float32"
        exact = file.get_tensor("visual")
    assert cmac(*call, "--dtype", "float32")[0] == 0, "the same"
    code, _, err = cmac(*call, "--dtype", "bfloat16")
    assert code == 1 and "other weights or settings" in err
    assert cmac(*call, "--dtype", "bfloat16", "--overwrite")[0] == 0
    with safe_open(made, "pt") as file:
        assert file.metadata()["dtype"] == "bfloat16"
        rounded = file.get_tensor("visual")
    assert 0 < (rounded - exact).norm() / exact.norm() < 0.05


def test_other_weights_or_another_file_are_not_mixed(cmac, clip, model_folder, tmp_path):
    from cmac_hub import CMAC, CMACConfig

    out, video, weights = tmp_path / "out", tmp_path / "a.mp4", tmp_path / "weights"
    shutil.copy(clip, video)
    shutil.copytree(model_folder, weights)
    call = ("features", video, "-o", out)
    assert cmac(*call, model=weights)[0] == 0
    assert cmac(*call, model=f"{weights}/.")[0] == 0, "another spelling is the same model"
    CMAC(CMACConfig.load(weights / "config.json")).save_pretrained(weights)
    code, _, err = cmac(*call, model=weights)
    assert code == 1 and "other weights" in err
    assert cmac(*call, "--overwrite", model=weights)[0] == 0
    video.write_bytes(video.read_bytes() + b"\0" * 8)
    code, _, err = cmac(*call, model=weights)
    assert code == 1 and "another file" in err


def test_names_that_are_no_text_and_names_as_long_as_can_be(model_folder, clip, tmp_path, capfdbinary):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"caf\xe9.mp4", "歌".encode() * 75 + b".mp4"):
        shutil.copy(clip, os.fsencode(folder) + b"/" + name)
    for command in ("features", "localize"):
        code = main([command, str(folder), "-o", str(tmp_path / command), "--model", str(model_folder)])
        out, err = capfdbinary.readouterr()
        assert code == 0 and out.count(b"\n") == 2, err
        assert (b"caf\xe9" if command == "localize" else "caf\ufffd".encode()) in out
    assert len(list((tmp_path / "localize").iterdir())) == 2
    with (tmp_path / "features" / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == {"caf\ufffd.mp4", "歌" * 75 + ".mp4"}
    assert all((tmp_path / "features" / row["features"]).is_file() for row in rows)


def test_an_output_that_is_a_file(cmac, clip, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = cmac("features", clip, "-o", tmp_path / "file")
    assert code == 1
    assert len(err.splitlines()) == 1


def test_workers_say_and_write_what_one_process_does(cmac, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "a.mp4", other / "a.mp4")
    call = ("features", folder, other, folder / "missing.mp4", "-o")
    said, made = {}, {}
    for workers in (1, 2):
        out = tmp_path / str(workers)
        code, *streams = cmac(*call, out, "--workers", workers)
        assert code == 1 and "3 of 6 files failed" in streams[1]
        assert f"{out}/a.mp4.safetensors was written for another input" in streams[1]
        said[workers] = [text.replace(str(out), "") for text in streams]
        made[workers] = out
    assert said[1] == said[2]
    assert (made[1] / "index.csv").read_text() == (made[2] / "index.csv").read_text()
    for name in ("a.mp4", "c.m4a", "sub/b.mp4"):
        one, two = (load_file(out / f"{name}.safetensors") for out in made.values())
        torch.testing.assert_close(one, two)
    assert len(list(made[2].rglob("*"))) == len(list(made[1].rglob("*"))) == 5


def test_two_runs_at_once_share_a_folder(clip, tmp_path, model_folder):
    """Both go through the whole list in the same order, so that they meet at every file."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(8):
        shutil.copy(clip, folder / f"{number}.mp4")
    call = ["features", str(folder), "-o", str(out), "--model", str(model_folder)]

    def run():
        torch.set_num_threads(1)
        os._exit(main(call))

    processes = [get_context("fork").Process(target=run) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    rows = list(csv.DictReader((out / "index.csv").open(newline="")))
    assert [row["path"] for row in rows] == [f"{number}.mp4" for number in range(8)]
    contents = [load_file(out / row["features"]) for row in rows]
    assert all(torch.equal(one["visual"], contents[0]["visual"]) for one in contents)
    assert len(list(out.iterdir())) == 9, "nothing hidden stays"


@pytest.mark.parametrize("torchrun", [False, True])
def test_shards_share_the_list_and_go_on(cmac, clip, tmp_path, monkeypatch, torchrun):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(5):
        shutil.copy(clip, folder / f"{number}.mp4")
    printed = []
    for number in (1, 2, 3, 1):
        if torchrun:
            monkeypatch.setenv("RANK", str(number - 1))
            monkeypatch.setenv("WORLD_SIZE", "3")
        shard = () if torchrun else ("--shard", f"{number}/3")
        code, stdout, err = cmac("features", folder, "-o", out, *shard)
        assert code == 0 and err == f"cmac: shard {number}/3: {1 if number == 3 else 2} of 5 files\n"
        printed.append(stdout.splitlines())
    assert sorted(printed[0] + printed[1] + printed[2]) == sorted(str(out / f"{n}.mp4.safetensors") for n in range(5))
    assert printed[3] == printed[0]
    assert len(list(csv.DictReader((out / "index.csv").open(newline="")))) == 5
    code, stdout, _ = cmac("features", folder, "-o", out, "--shard", "9/9")
    assert code == 0 and stdout == ""


@pytest.mark.parametrize("wrong", [["--shard", "0/2"], ["--shard", "3/2"], ["--shard", "2"], ["--workers", "-1"]])
def test_shards_and_workers_that_are_none(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["features", "x.mp4", "-o", "out", *wrong])
    assert caught.value.code == 2 and wrong[1] in capsys.readouterr().err


def test_a_folder_that_looks_like_a_file_is_refused(cmac, clip, tmp_path):
    code, _, err = cmac("features", clip, "-o", tmp_path / "clip.safetensors")
    assert code == 1 and "looks like a file; give the folder" in err and not (tmp_path / "clip.safetensors").exists()
