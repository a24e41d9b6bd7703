"""The numbers of the weights in the package, pinned: a later change of numerics cannot pass unseen.

After new weights: `python tests/test_golden.py` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cmac_hub.demo import make_scene
from cmac_hub.hub import REGISTERED
from cmac_hub.model import CMAC

GOLDEN = Path(__file__).with_name("golden.json")


@torch.inference_mode()
def measure(model: CMAC, dtype: torch.dtype = torch.float32) -> dict[str, list[float]]:
    """A few numbers of everything the network gives, on two drawn seconds."""
    scene = make_scene(4, seconds=2.0, width=160, height=96)
    frames = torch.stack([torch.from_numpy(frame.copy()) for frame in scene.frames()]).numpy()
    clips, spectrograms = model.preprocess(frames, scene.frame_rate, scene.waveform, scene.sample_rate)
    with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        output = model(clips, spectrograms)
    found = {
        "clips": clips.flatten(1).std(1),
        "spectrograms": spectrograms.flatten(1).mean(1),
        "visual features": output.visual.features[:, :8].flatten(),
        "audio features": output.audio.features[:, :8].flatten(),
        "cosine": (output.visual.embedding @ output.audio.embedding.T).flatten(),
    }
    for name, one in zip(output.attention._fields, output.attention, strict=True):
        found[name] = torch.stack([one.flatten(1).mean(1), one.flatten(1).amax(1)]).flatten()
    return {name: [round(float(v), 5) for v in values.float()] for name, values in found.items()}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (torch.bfloat16, 6e-2)], ids=str)
@pytest.mark.parametrize("name", REGISTERED)
def test_the_released_weights_give_what_they_gave(name, dtype, tolerance):
    golden = json.loads(GOLDEN.read_text())[name]
    found = measure(CMAC.from_pretrained(name), dtype)
    assert found.keys() == golden.keys()
    for what, values in golden.items():
        assert found[what] == pytest.approx(values, rel=tolerance, abs=tolerance), what


if __name__ == "__main__":
    everything = {name: measure(CMAC.from_pretrained(name)) for name in REGISTERED}
    GOLDEN.write_text(json.dumps(everything, indent=1) + "\n")
