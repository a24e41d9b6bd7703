"""The settings of a run of seconds."""

from __future__ import annotations

import pytest

from cmac_hub.train.recipe import Recipe


@pytest.fixture
def recipe(tiny_file):
    return Recipe(
        architecture=tiny_file, batch=8, steps=6, warmup_steps=2, decay_steps=2, workers=0, checkpoint_every=3,
        bank=20, ema_momentum=0.9, optimizer="adamw", learning_rate=1e-3, log_every=2,
    )  # fmt: skip
