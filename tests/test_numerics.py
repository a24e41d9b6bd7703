"""How much the same input may differ by type, batch and threads, and which sizes are taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cmac_hub import CMAC
from cmac_hub.preprocessing import MOST_SECONDS

FEATURES, EMBEDDINGS, MAPS = "features", "embeddings", "maps"

IN_FLOAT32 = {
    "one of a batch of 64": {FEATURES: 5e-6, EMBEDDINGS: 5e-6, MAPS: 5e-6},
    "two threads": {FEATURES: 5e-6, EMBEDDINGS: 5e-6, MAPS: 5e-6},
    "optimized, float32": {FEATURES: 1e-5, EMBEDDINGS: 1e-5, MAPS: 1e-5},
}

TOLERANCES = {
    "cmac-nano": IN_FLOAT32
    | {
        "bfloat16": {FEATURES: 0.03, EMBEDDINGS: 0.03, MAPS: 0.03},
        "optimized, bfloat16": {FEATURES: 0.03, EMBEDDINGS: 0.03, MAPS: 0.03},
    },
    "cmac-lite": IN_FLOAT32
    | {
        "bfloat16": {FEATURES: 0.15, EMBEDDINGS: 0.04, MAPS: 0.04},
        "optimized, bfloat16": {FEATURES: 0.06, EMBEDDINGS: 0.02, MAPS: 0.02},
    },
}
"""The largest difference from one window at a time, fp32, one thread: of features relative to the length of the whole
vector, of embeddings (of length 1) and maps (in [0, 1]) as it is."""


@pytest.fixture(scope="module")
def nano() -> CMAC:
    return CMAC.from_pretrained("cmac-nano")


def differences(one, other) -> dict[str, float]:
    found = {FEATURES: 0.0, EMBEDDINGS: 0.0, MAPS: 0.0}
    for (kind, a), (_, b) in zip(one, other, strict=True):
        a, b = a.float(), b.float()
        apart = (a - b).norm(dim=1) / a.norm(dim=1) if kind == FEATURES else (a - b).abs().flatten(1).amax(1)
        found[kind] = max(found[kind], float(apart.max()))
    return found


def results(network: CMAC, clips, spectrograms, at_once: int) -> list[tuple[str, torch.Tensor]]:
    parts = []
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        for some in zip(clips.to(dtype).split(at_once), spectrograms.to(dtype).split(at_once), strict=True):
            visual, audio = network.embed_visual(some[0]), network.embed_audio(some[1])
            parts.append([*visual, *audio, *network.attend(*some)])
    kinds = [FEATURES, EMBEDDINGS] * 2 + [MAPS] * 6
    return [(kind, torch.cat(tensors)) for kind, tensors in zip(kinds, zip(*parts, strict=True), strict=True)]


@pytest.mark.parametrize("name", TOLERANCES)
def test_differences_stay_within_their_tolerances(name):
    network = CMAC.from_pretrained(name)
    count = network.config.visual.frames
    torch.manual_seed(0)
    smooth = F.interpolate(torch.rand(64 * count, 3, 5, 7), (48, 64), mode="bilinear")
    frames = (255 * smooth).byte().unflatten(0, (64, count)).permute(0, 1, 3, 4, 2)
    batch = network.prepare(frames, torch.randn(64, 16000) / 5)
    alone = results(network, *batch, 1)
    got = {"one of a batch of 64": results(network, *batch, 64)}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        # Of two windows: threads of a busy machine wait for each other.
        two = results(network, *(tensor[:2] for tensor in batch), 1)
    finally:
        torch.set_num_threads(threads)
    got["optimized, float32"] = results(network.optimize_for_inference("float32"), *batch, 16)
    got["optimized, bfloat16"] = results(network.optimize_for_inference("bfloat16"), *batch, 16)
    got["bfloat16"] = results(CMAC.from_pretrained(name, dtype=torch.bfloat16), *batch, 16)
    found = {what: differences(alone, one) for what, one in got.items()}
    found["two threads"] = differences([(kind, tensor[:2]) for kind, tensor in alone], two)
    assert found.keys() == TOLERANCES[name].keys()
    for what, tolerance in TOLERANCES[name].items():
        assert all(found[what][kind] <= tolerance[kind] for kind in tolerance), found
    # Were nothing computed in bf16, there would be no difference at all.
    assert min(found["bfloat16"].values()) > 1e-4


@pytest.mark.parametrize(
    ("frames", "height", "width"),
    [(8, 16, 16), (8, 16, 96), (8, 96, 2048), (8, 2048, 96), (1, 96, 96), (512, 96, 96)],
)
def test_pictures_of_any_size_and_number(nano, frames, height, width):
    with torch.no_grad():
        found = nano.embed_visual(torch.zeros(1, 3, frames, height, width))
    assert found.features.isfinite().all()
    torch.testing.assert_close(found.embedding.norm(dim=1), torch.ones(1))


@pytest.mark.parametrize("samples", [1, 2, 159, 160, 16000, 3600 * 16000])
def test_sound_from_one_sample_to_an_hour(nano, samples):
    waveform = np.resize(np.sin(np.arange(16000) / 7).astype(np.float32), samples)
    found = nano.extract_features(waveform=waveform, sample_rate=16000, hop=max(1.0, samples / 16000 / 30))
    assert len(found.times) == (30 if samples > 16000 else 1)
    assert all(tensor.isfinite().all() for tensor in found.to_dict().values())
    if samples > 16000:
        torch.testing.assert_close(found.audio[0], found.audio[17], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("window", [MOST_SECONDS * 1.01, 3600.0, 1e12])
def test_a_window_beyond_the_limit_is_refused_before_memory_is_taken(nano, clip, window):
    with pytest.raises(ValueError, match=rf"window is .* s; it must be at most {MOST_SECONDS:g} s.*several windows"):
        nano.extract_features(clip, window=window)
    with pytest.raises(ValueError, match="it must be at most"):
        nano.extract_features(waveform=np.zeros(160), sample_rate=16000, window=window)
