"""bfloat16 only where it is fast."""

from __future__ import annotations

import pytest
import torch

from cmac_hub.train.precision import autocast, fast_bf16
from cmac_hub.train.pretrain import pretrain


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [({}, False), ({"avx512_bf16": False}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_a_cpu_is_asked_for_its_instructions(monkeypatch, recipe, capabilities, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fast_bf16("cpu") == fast
    with autocast(recipe, "cpu"):
        assert torch.is_autocast_enabled("cpu") == fast
    with autocast(recipe.replace(bf16=False), "cpu"):
        assert not torch.is_autocast_enabled("cpu")


def test_it_is_said_when_a_recipe_wants_what_is_slow(monkeypatch, recipe, tmp_path, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    pretrain(recipe.replace(steps=1, warmup_steps=1, decay_steps=0), None, tmp_path / "run", progress=False)
    assert "cpu is slow at bfloat16; training in float32" in capsys.readouterr().err
