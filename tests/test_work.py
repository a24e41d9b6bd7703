"""How much work a pass and a file are, in counts that no busy machine changes: what grew here became slower.

Every limit is what was counted when it was written; where work was saved, lower it.
"""

from __future__ import annotations

import pytest
import torch
from counting import counted

from cmac_hub import CMAC
from cmac_hub.features import features_of_file
from cmac_hub.media import probe
from cmac_hub.moments import observe

PASSES = {
    ("cmac-nano", "visual"): (33, 3, 5_308_416),
    ("cmac-nano", "audio"): (20, 0, 614_400),
    ("cmac-lite", "visual"): (71, 8, 43_646_976),
    ("cmac-lite", "audio"): (20, 0, 1_228_800),
}
"""Operators that are no views, copies among them, bytes of tensors at once, for two windows."""

FILES = {
    ("cmac-nano", "observe"): (242, 18, 13_131_288, 26),
    ("cmac-nano", "features"): (121, 18, 13_131_288, 26),
    ("cmac-lite", "observe"): (462, 40, 64_722_432, 14),
    ("cmac-lite", "features"): (285, 36, 64_722_432, 14),
}
"""The same for three windows of a file, and the frames that are made RGB; Winograd makes several operators of one."""


@pytest.fixture(scope="module")
def fast():
    """The released networks, optimized."""
    return {
        name: CMAC.from_pretrained(name).optimize_for_inference("float32")
        for name in dict.fromkeys(n for n, _ in PASSES)
    }


@pytest.mark.parametrize(("name", "modality"), PASSES)
def test_a_pass_of_an_optimized_encoder(fast, name, modality):
    network = fast[name]
    visual, audio = network.config.visual, network.config.audio
    shape = (2, 3, visual.frames, visual.size, visual.size) if modality == "visual" else (2, 1, audio.n_mels, 100)
    example = torch.rand(shape)
    with torch.no_grad():
        network.encoder(modality)(example)  # lays the weights out
        with counted() as work:
            network.encoder(modality)(example)
    kernels, copies, peak = PASSES[name, modality]
    assert work.operators["_convolution_pointwise"] >= 12 and work.operators["_reorder_convolution_weight"] == 0
    assert work.kernels <= kernels, work.operators
    assert work.copies <= copies, work.operators
    assert example.nbytes / 4 < work.peak <= peak


@pytest.mark.parametrize(("name", "what"), FILES)
def test_a_file(fast, clip, name, what):
    def run() -> None:
        if what == "observe":
            assert len(list(observe(fast[name], probe(clip), "joint"))) == 3
        else:
            assert len(features_of_file(fast[name], clip).times) == 3

    run()
    with counted() as work:
        run()
    kernels, copies, peak, scaled = FILES[name, what]
    assert work.opened == 3, "once for its header, once for each stream"
    assert work.decoded == 75, "every frame once"
    assert 0 < work.scaled <= scaled
    assert work.kernels <= kernels, work.operators
    assert work.copies <= copies, work.operators
    assert work.peak <= peak


def test_the_counts_see_what_they_count():
    first = torch.zeros(1000)
    with counted() as work:
        second = first + 1
        third = second.view(10, 100)[1:].clone()
        del second
        torch.zeros(10)
    assert work.kernels == 3 and work.copies == 1 and work.peak == 4 * (1000 + 900) and third.numel() == 900
