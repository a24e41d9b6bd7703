"""`cmac figure`, `info`, `download`, `demo` and the way in: `python -m cmac_hub`."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from cmac_hub import __version__
from cmac_hub.cli import main
from cmac_hub.demo import make_scene
from cmac_hub.errors import CMACError, MediaError
from cmac_hub.media import probe, read_audio, read_frames


def test_figure(cmac, clip, tmp_path):
    code, out, err = cmac("figure", clip, "--time", 1.0, "-o", tmp_path / "figure.png")
    assert (code, err) == (0, "")
    assert out.strip() == str(tmp_path / "figure.png")
    assert min(Image.open(tmp_path / "figure.png").size) > 300
    code, _, err = cmac("figure", clip, "--time", 99, "-o", tmp_path / "late.png")
    assert code == 1
    assert "no moment" in err
    assert not (tmp_path / "late.png").exists()
    assert cmac("figure", clip, "--time", 1.0, "-o", tmp_path / "figure.gif")[0] == 1


def test_info(cmac, model_folder):
    code, out, _ = cmac("info", model_folder, model=None)
    assert code == 0
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:] if not line.startswith(" "))
    assert out.splitlines()[0] == "tiny: 0.07 M parameters"
    assert rows["audio.sample_rate"] == "16000" and rows["visual.kind"] == "r2plus1d"
    assert rows["visual.stage_strides"] == "2, 2, 1, 1"


def test_info_fits_into_a_terminal(cmac, monkeypatch):
    """Also of weights that began with weights that began with weights."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = cmac("info", "cmac-nano", model=None)
    assert code == 0 and "training.before_6.recipe_name" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith("folder")) <= 80


def test_download_tells_where_the_model_lies(cmac, model_folder):
    code, out, err = cmac("download", model_folder, model=None)
    assert (code, out.strip(), err) == (0, str(model_folder), "")


def test_demo(cmac, tmp_path):
    code, out, _ = cmac("demo", "-o", tmp_path / "demo")
    assert code == 0
    made = {p.name for p in (tmp_path / "demo").iterdir()}
    assert made == {"demo.mp4", "demo_attention.mp4", "demo_figure.png", "demo_features.safetensors"}
    assert "the source" in out
    assert "\ntiny         peaks around" in out
    scene = make_scene(4)
    frames = list(read_frames(tmp_path / "demo" / "demo.mp4"))
    assert len(frames) == len(scene)
    for index in (0, len(scene) // 2, len(scene) - 1):
        drawn = next(f for i, f in enumerate(scene.frames()) if i == index)
        assert np.abs(frames[index].image.astype(int) - drawn).mean() < 6
    sound = read_audio(tmp_path / "demo" / "demo.mp4", scene.sample_rate)
    length = min(len(sound), len(scene.waveform))
    assert np.corrcoef(sound[:length], scene.waveform[:length])[0, 1] > 0.95
    assert probe(tmp_path / "demo" / "demo_attention.mp4").has_audio
    assert "visual" in load_file(tmp_path / "demo" / "demo_features.safetensors")
    assert cmac("demo", "-o", tmp_path / "demo")[0] == 1


def test_the_demo_finds_its_source(cmac, tmp_path):
    """With the network that learned from drawn scenes, which is not the one that is taken elsewhere."""
    out = cmac("demo", "-o", tmp_path, model=None)[1]
    assert "\ncmac-nano    peaks around" in out
    on_source, on_distractor = map(int, re.search(r"on the \w+ in (\d+) windows, on the \w+ in (\d+)", out).groups())
    assert on_source > 20 and on_distractor == 0


@pytest.mark.parametrize(
    ("seed", "says"), [([], "scene 4"), (["--seed", 7], "scene 7"), (["--seed", 1000], "scenes 0 to 999")]
)
def test_the_demo_draws_the_scene_of_its_seed(cmac, tmp_path, monkeypatch, seed, says):
    def refusing(seed):
        raise CMACError(f"scene {seed}")

    monkeypatch.setattr("cmac_hub.cli.demo.make_scene", refusing)
    code, _, err = cmac("demo", "-o", tmp_path, *seed)
    assert code == 1 and says in err


def test_module_and_version():
    done = subprocess.run([sys.executable, "-m", "cmac_hub", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"cmac-hub {__version__}"


def test_import_does_no_work():
    code = "import cmac_hub, sys; assert 'torch' not in sys.modules and 'av' not in sys.modules; cmac_hub.load_cmac"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_debug_shows_the_traceback_of_an_error(model_folder):
    arguments = ["figure", "missing.mp4", "--time", "1", "-o", "x.png", "--model", str(model_folder)]
    assert main(arguments) == 1
    with pytest.raises(MediaError, match="no file missing"):
        main([*arguments, "--debug"])


def test_a_bug_is_no_message_for_users(clip, model_folder, tmp_path, monkeypatch):
    """What is neither ours nor the file system's keeps its traceback."""

    def broken(*_, **__):
        raise ValueError("an index too many")

    monkeypatch.setattr("cmac_hub.visualizer.Visualizer.render", broken)
    with pytest.raises(ValueError, match="too many"):
        main(["localize", str(clip), "-o", str(tmp_path / "out.mp4"), "--model", str(model_folder)])


def test_a_folder_that_is_named_like_a_repository_wins_and_this_is_said(cmac, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.save_pretrained("owner/tiny")
    code, out, err = cmac("info", "owner/tiny", model=None)
    assert (code, out.splitlines()[0]) == (0, "tiny: 0.07 M parameters")
    assert err == "cmac: owner/tiny is the folder of that name; for the repository on the Hub write hf-hub:owner/tiny\n"
