"""The scripts in examples/ run as their docstrings say."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from making import tone, write_media
from safetensors.torch import save_file

from cmac_hub import CMAC, Features
from cmac_hub.demo import KINDS, draw_background, draw_thing, synthesize
from cmac_hub.outputs import Attention

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


def test_retrieval(monkeypatch, clip, audio_only, video_only, model_folder, tmp_path, capsys):
    for one, name in ((clip, "a.mp4"), (video_only, "b.mp4"), (audio_only, "c.m4a")):
        shutil.copy(one, tmp_path / name)
    (tmp_path / "broken.mp4").write_text("no video")
    index = tmp_path / "moments.safetensors"
    with pytest.warns(UserWarning, match="broken.mp4"):
        run(monkeypatch, "retrieval_by_sound.py", "index", tmp_path, index, "--model", model_folder, "--hop", 1.0)
    assert capsys.readouterr().out.endswith("5 moments of 2 videos\n")
    run(monkeypatch, "retrieval_by_sound.py", "query", index, audio_only)
    found = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert sorted(Path(line[1]).name for line in found) == ["a.mp4", "b.mp4"]
    assert float(found[0][0]) >= float(found[1][0])

    model = CMAC.from_pretrained(model_folder)
    heard = model.extract_features(audio_only).audio_embedding.mean(0)
    scores = model.extract_features(tmp_path / "a.mp4").visual_embedding @ heard / heard.norm()
    (line,) = [line for line in found if line[1].endswith("a.mp4")]
    assert float(line[0]) == pytest.approx(float(scores.max()), abs=0.006)
    assert float(line[3]) == int(scores.argmax()) + 0.5

    write_media(tmp_path / "quiet.wav", sound=tone(1.0, level=0.0), audio_codec="pcm_s16le")
    with pytest.raises(SystemExit, match=r"quiet\.wav has nothing to hear"):
        run(monkeypatch, "retrieval_by_sound.py", "query", index, tmp_path / "quiet.wav")


def of_a_thing(kind: str, seed: int, seconds: float = 1.0) -> Features:
    """Features of a drawn thing on a drawn ground that makes its noise."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    frame, thing = np.array(draw_background(rng, 128, 96)), draw_thing(kind, rng, 80)
    alpha = thing[..., 3:] / 255
    frame[8:88, 24:104] = frame[8:88, 24:104] * (1 - alpha) + thing[..., :3] * alpha
    frames = np.repeat(frame[None], 8, 0)
    sound = synthesize(kind, rng, seconds, 16000)
    return nano().extract_features(frames=frames, frame_rate=8, waveform=sound, sample_rate=16000)


@cache
def nano() -> CMAC:
    return CMAC.from_pretrained("cmac-nano")


def store(features: Features, path: Path, **changed: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(features.to_dict() | changed, path)


def test_nearest_neighbors(monkeypatch, tmp_path, capsys):
    for name, kind, seed in (("a", "bell", 0), ("b", "bell", 1), ("sub/c", "car", 0), ("sub/d", "car", 1)):
        store(of_a_thing(kind, seed), tmp_path / f"{name}.mp4.safetensors")
    quiet = {"sound_level": torch.zeros(1)}
    store(of_a_thing("bell", 2), tmp_path / "quiet.mp4.safetensors", **quiet)
    (tmp_path / "broken.safetensors").write_bytes(b"no features")
    run(monkeypatch, "nearest_neighbors.py", tmp_path, "audio")
    out, err = capsys.readouterr()
    found = [line.split() for line in out.splitlines()]
    assert {(line[1], line[6]) for line in found} == {("a.mp4", "b.mp4"), ("sub/c.mp4", "sub/d.mp4")}
    assert len(found) == 2 and found == sorted(found, reverse=True)
    assert {(line[3], line[8]) for line in found} == {("0.5", "0.5")}
    assert "broken.safetensors is no features file" in err
    run(monkeypatch, "nearest_neighbors.py", tmp_path, "visual")
    assert capsys.readouterr().out.count("quiet.mp4") >= 1
    with pytest.raises(SystemExit, match="accepted are visual and audio"):
        run(monkeypatch, "nearest_neighbors.py", tmp_path, "sound")


def test_classifier_tells_drawn_things_by_their_features(monkeypatch, tmp_path, capsys):
    for kind in ("bell", "car", "flute"):
        for seed in range(7):
            part = "train" if seed < 4 else "test"
            store(of_a_thing(kind, seed), tmp_path / part / kind / f"{seed}.mp4.safetensors")
    store(of_a_thing("drum", 0), tmp_path / "test" / "drum" / "0.mp4.safetensors")
    run(monkeypatch, "classifier_on_features.py", tmp_path / "train", tmp_path / "test")
    out, err = capsys.readouterr()
    assert "3 classes, 12 files to learn from, 9 held out" in out and "test/drum/0.mp4" in err
    assert re.search(r"chance +0.333", out)
    assert float(re.search(r"accuracy +(\S+)", out)[1]) >= 0.75
    # Folders that are called wrongly are guessed wrongly.
    for one, other in (("bell", "swap"), ("car", "bell"), ("swap", "car")):
        (tmp_path / "test" / one).rename(tmp_path / "test" / other)
    run(monkeypatch, "classifier_on_features.py", tmp_path / "train", tmp_path / "test", "audio")
    assert float(re.search(r"accuracy +(\S+)", capsys.readouterr().out)[1]) <= 0.5


def test_several_processes(clip, video_only, model_folder, tmp_path):
    videos, out = tmp_path / "in", tmp_path / "out"
    (videos / "sub").mkdir(parents=True)
    shutil.copy(clip, videos / "a.mp4")
    shutil.copy(video_only, videos / "sub" / "b.mp4")
    (videos / "broken.mp4").write_text("no video")
    command = [sys.executable, EXAMPLES / "several_processes.py", videos, out, "--model", model_folder]
    own = {"PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | own, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].endswith("a.mp4.safetensors: 3 windows") and lines[2].endswith("b.mp4.safetensors: 2 windows")
    assert lines[1].startswith("failed: ") and "broken.mp4 is no media file" in lines[1] and len(lines) == 3
    expected = CMAC.from_pretrained(model_folder).extract_features(clip)
    torch.testing.assert_close(Features.load(out / "a.mp4.safetensors").visual, expected.visual, atol=1e-4, rtol=1e-3)


@pytest.mark.extras
@pytest.mark.parametrize(("model", "video"), [("cmac-nano", (160, 120)), ("cmac-lite", (128, 128))])
def test_export_to_onnx(monkeypatch, tmp_path, capsys, model, video):
    import onnxruntime

    run(monkeypatch, "export_to_onnx.py", tmp_path, "--model", model, "--video", *video)
    assert capsys.readouterr().out.count("of the largest value from PyTorch") == 3
    ends = {}
    for path in tmp_path.glob("*.onnx"):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        both = (session.get_inputs(), session.get_outputs())
        ends[path.stem] = tuple([one.name for one in some] for some in both)
        assert all(one.shape[0] == "batch" for some in both for one in some)
    assert ends["visual_encoder"] == (["clips"], ["visual_map"])
    assert ends["audio_encoder"] == (["spectrograms"], ["audio_map"])
    assert ends["maps"] == (["visual_map", "audio_map"], [*Attention._fields, "visual_embedding", "audio_embedding"])


def test_upload_pushes_the_folder(monkeypatch, model_folder, capsys):
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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
