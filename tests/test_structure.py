"""Imports point downward, nothing is imported in a circle, and light things stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest
from arrows import ORDER, arrows, circles, layer, modules, upward


def test_every_module_has_a_layer():
    assert not [name for name in modules(arrows.__defaults__[0]) if name and layer(name) not in ORDER]


def test_no_circle_and_one_upward_arrow():
    found = arrows()
    assert circles(found) == []
    # A recipe names the curricula of scenes, and scenes are drawn by recipes.
    assert upward(found) == [("train.recipe", "train.scenes.settings")]


def test_a_circle_and_an_upward_arrow_are_seen():
    ring = {("model", "hub"), ("hub", "network"), ("network", "model")}
    assert circles(ring) == [["hub", "model", "network"]]
    assert upward(ring) == [("network", "model")]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("cmac_hub", ["torch", "numpy", "av"]),
        ("cmac_hub.cli", ["torch", "numpy", "av"]),
        ("cmac_hub.model", ["av", "PIL", "matplotlib", "torchvision"]),
        ("cmac_hub.cli.localize", ["huggingface_hub", "matplotlib", "torchaudio", "torchvision"]),
        ("cmac_hub.train.__main__", ["torch", "numpy", "av"]),
    ],
)
def test_what_a_module_does_not_load(module, absent):
    code = f"import {module}, sys; print([n for n in {absent!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_what_drawing_a_video_does_not_load(clip, model_folder, tmp_path):
    """PyTorch's compiler takes a second, the others half of one; features need none of them either."""
    absent = ["torch._dynamo", "sympy", "torchaudio", "torchvision", "matplotlib", "huggingface_hub", "scipy"]
    calls = [["localize", str(clip), "-o", str(tmp_path / "out.mp4")], ["features", str(clip), "-o", str(tmp_path)]]
    code = (
        f"import sys; from cmac_hub.cli import main; calls = {calls!r}; "
        f"assert not any(main([*call, '--model', {str(model_folder)!r}]) for call in calls); "
        f"print([n for n in {absent!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
