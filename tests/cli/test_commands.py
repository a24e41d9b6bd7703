"""`cmac figure`, `info`, `download`, `demo` and the way in: `python -m cmac_hub`."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from cmac_hub import __version__
from cmac_hub.demo import make_scene
from cmac_hub.errors import CMACError
from cmac_hub.media import probe, read_frames, read_sound


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
    assert "tiny" in out
    assert "16000 Hz" in out


def test_download_tells_where_the_model_lies(cmac, model_folder):
    code, out, err = cmac("download", model_folder, model=None)
    assert (code, out.strip(), err) == (0, str(model_folder), "")


def test_demo(cmac, tmp_path):
    code, out, _ = cmac("demo", "-o", tmp_path / "demo")
    assert code == 0
    made = {p.name for p in (tmp_path / "demo").iterdir()}
    assert made == {"demo.mp4", "demo_attention.mp4", "demo_figure.png", "demo_features.safetensors"}
    assert "the source" in out
    assert "attention" in out
    scene = make_scene(4)
    frames = list(read_frames(tmp_path / "demo" / "demo.mp4"))
    assert len(frames) == len(scene)
    for index in (0, len(scene) // 2, len(scene) - 1):
        drawn = next(f for i, f in enumerate(scene.frames()) if i == index)
        assert np.abs(frames[index].image.astype(int) - drawn).mean() < 6
    sound = read_sound(tmp_path / "demo" / "demo.mp4", scene.sample_rate)
    length = min(len(sound), len(scene.waveform))
    assert np.corrcoef(sound[:length], scene.waveform[:length])[0, 1] > 0.95
    assert probe(tmp_path / "demo" / "demo_attention.mp4").has_sound
    assert "visual" in load_file(tmp_path / "demo" / "demo_features.safetensors")
    assert cmac("demo", "-o", tmp_path / "demo")[0] == 1


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
