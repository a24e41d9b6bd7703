"""The scripts in examples/ run as their docstrings say."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cmac_hub import CMAC, Features

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_features(monkeypatch, clip, capsys):
    run(monkeypatch, "features.py", clip.parent)
    assert "3 windows" in capsys.readouterr().out


def test_features_are_of_all_that_the_package_takes_for_media(monkeypatch, clip, audio_only, tmp_path, capsys):
    for one, name in ((clip, "A.MP4"), (audio_only, "b.m4a"), (clip, ".hidden.mp4")):
        (tmp_path / name).write_bytes(one.read_bytes())
    run(monkeypatch, "features.py", tmp_path)
    out = capsys.readouterr().out
    assert "A.MP4: 3 windows" in out and "b.m4a: 2 windows" in out and "hidden" not in out


def test_overlay_keeps_the_length(monkeypatch, clip, tmp_path):
    import av

    run(monkeypatch, "overlay.py", clip, tmp_path / "dots.mp4")
    with av.open(str(tmp_path / "dots.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 75


def test_figure(monkeypatch, clip, tmp_path):
    run(monkeypatch, "figure.py", clip, tmp_path / "moment.png")
    assert (tmp_path / "moment.png").stat().st_size > 10_000


def test_retrieval(monkeypatch, clip, audio_only, capsys):
    run(monkeypatch, "retrieval_by_sound.py", audio_only, clip)
    assert capsys.readouterr().out.count("clip.mp4 at") == 3


def test_upload_pushes_the_folder(monkeypatch, model_folder, capsys):
    from cmac_hub import CMAC

    pushed = []
    monkeypatch.setattr(CMAC, "push_to_hub", lambda self, *where, **how: pushed.append((self.config.name, where, how)))
    run(monkeypatch, "upload_to_hub.py", model_folder, "owner/mine")
    assert pushed == [("tiny", ("owner/mine",), {"model_card_kwargs": {"repo_id": "owner/mine"}})]


@pytest.mark.extras
def test_features_on_ray(clip, video_only, model_folder, tmp_path):
    videos, out = tmp_path / "in", tmp_path / "out"
    (videos / "sub").mkdir(parents=True)
    shutil.copy(clip, videos / "a.mp4")
    shutil.copy(video_only, videos / "sub" / "b.mp4")
    (videos / "broken.mp4").write_text("no video")
    command = [sys.executable, EXAMPLES / "features_on_ray.py", videos, out, "--model", model_folder]
    # Ray writes a token to the home folder, and counts its users.
    own = {"PYTHONPATH": str(EXAMPLES.parent), "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"}
    for told in ("2 of 3 done, 0 were there", "0 of 1 done, 2 were there"):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | own, check=False)
        assert done.returncode == 0, done.stderr
        assert told in done.stdout and "broken.mp4 is no media file" in done.stdout
    expected = CMAC.from_pretrained(model_folder).extract_features(clip)
    torch.testing.assert_close(Features.load(out / "a.mp4.safetensors").visual, expected.visual, atol=1e-4, rtol=1e-3)
    assert Features.load(out / "sub" / "b.mp4.safetensors").audio is None


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_every_example_compiles_and_says_what_it_does(path):
    source = path.read_text(encoding="utf-8")
    compile(source, str(path), "exec")
    assert source.startswith('"""')
