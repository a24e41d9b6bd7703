"""What 0.1.0 wrote stays readable: `tests/data/version_1` has a released network, its training run and features."""

from __future__ import annotations

import json

import pytest
import torch
from making import VERSION_1

from cmac_hub import CMAC, Features


def test_a_released_network_gives_what_it_gave():
    model = CMAC.from_pretrained(VERSION_1 / "released")
    assert model.config.training["note"] == "written by 0.1.0"
    torch.manual_seed(3)
    output = model(torch.randn(2, 3, 8, 32, 32), torch.randn(2, 1, 64, 96))
    found = {
        "visual features": output.visual.features,
        "audio features": output.audio.features,
        "visual embedding": output.visual.embedding,
        "audio embedding": output.audio.embedding,
        "visual prediction": output.attention.visual_prediction.flatten(1).mean(1),
        "audio prediction": output.attention.audio_prediction.flatten(1).mean(1),
    }
    expected = json.loads((VERSION_1 / "expected.json").read_text())
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], torch.tensor(values), atol=1e-4, rtol=1e-3, msg=name)


def test_what_is_saved_again_is_of_todays_format(tmp_path):
    model = CMAC.from_pretrained(VERSION_1 / "released")
    model.save_pretrained(tmp_path / "again")
    assert CMAC.from_pretrained(tmp_path / "again").config == model.config


def test_its_features_can_be_read():
    features = Features.load(VERSION_1 / "features" / "clip.mp4.safetensors")
    assert features.times.tolist() == pytest.approx([0.5, 1.5])
    assert features.visual.shape[0] == features.audio_embedding.shape[0] == 2
    assert features.padded.dtype == torch.bool
