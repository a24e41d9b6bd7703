"""A small input with the features that the released network gives for it, so that whoever has it can compare."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from cmac_hub.config import CMACConfig
from cmac_hub.demo import make_scene
from cmac_hub.errors import CheckpointError
from cmac_hub.features import UNREADABLE, Features
from cmac_hub.files import make_folder, replacing
from cmac_hub.model import CMAC

INPUT, EXPECTED = "example/input.safetensors", "example/features.safetensors"
"""`frames` (T, H, W, 3) uint8 and `waveform` (n,) fp32, with `frame_rate` and `sample_rate` in hertz as metadata; and
`Features` as `cmac features` writes them."""

WIDTH, HEIGHT, SAMPLE_RATE, SEED = 64, 48, 16000, 4

TOLERANCE = 1e-3
"""Of a feature, as a share of the largest one: more than rounding, on whatever processor."""


def write_example(model: CMAC, folder: Path) -> None:
    """Draws one window of a scene, and writes it with its features. Raises OutputError as `save_checkpoint` does."""
    tensors, rates = _draw(model.config)
    make_folder((folder / INPUT).parent)
    with replacing(folder / INPUT) as path:
        path.write_bytes(save(tensors, {name: repr(rate) for name, rate in rates.items()}))
    with replacing(folder / EXPECTED) as path:
        path.write_bytes(save(_features(model, tensors, rates).to_dict()))


def check_example(model: CMAC, folder: Path) -> float:
    """The largest difference of a feature from the expected one, as a share of the largest feature.

    Raises:
        CheckpointError: the example is missing or broken, or the network gives other features.
    """
    try:
        with safe_open(folder / INPUT, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            rates = {name: float(rate) for name, rate in (file.metadata() or {}).items() if name != "format"}
    except (*UNREADABLE, ValueError) as error:
        raise CheckpointError(f"{folder / INPUT} cannot be read ({str(error).splitlines()[0]})") from error
    expected, found = Features.load(folder / EXPECTED).to_dict(), _features(model, tensors, rates).to_dict()
    if expected.keys() != found.keys():
        raise CheckpointError(f"{folder} expects {', '.join(expected)} of its example, and gives {', '.join(found)}")
    worst, name = max(
        (float((found[name].double() - value.double()).abs().max() / value.double().abs().max().clamp(min=1e-6)), name)
        for name, value in expected.items()
    )
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"{folder} gives other features for its example than it should: {name} differs by {100 * worst:.2g} %; "
            "fetch it again, or tell who made it"
        )
    return worst


def _draw(config: CMACConfig) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    frame_rate = 8.0 if config.visual is None else config.visual.frames / config.window
    scene = make_scene(SEED, config.window, WIDTH, HEIGHT, frame_rate, SAMPLE_RATE)
    tensors, rates = {}, {}
    if config.visual is not None:
        tensors["frames"], rates["frame_rate"] = torch.from_numpy(np.stack(list(scene.frames()))), frame_rate
    if config.audio is not None:
        tensors["waveform"] = torch.from_numpy(scene.waveform.astype(np.float32))
        rates["sample_rate"] = float(SAMPLE_RATE)
    return tensors, rates


def _features(model: CMAC, tensors: dict[str, torch.Tensor], rates: dict[str, float]) -> Features:
    return model.extract_features(
        frames=tensors.get("frames"),
        frame_rate=rates.get("frame_rate"),
        waveform=tensors.get("waveform"),
        sample_rate=rates.get("sample_rate"),
    )
