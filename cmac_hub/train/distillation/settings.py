"""Every number of a run that teaches an audio encoder; the command line changes them with `--set KEY=VALUE`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from cmac_hub.config import CMACConfig, architecture, without_weights
from cmac_hub.train.fields import check, setting
from cmac_hub.train.optimization import rise_and_fall


@dataclass(frozen=True)
class DistillSettings:
    """The settings of `cmac_hub.train.distillation.distill`, in the order in which the loop meets them.

    Raises:
        RecipeError: a number out of its range.
        CheckpointError: there is no such architecture.
        MissingPartError: it has no audio encoder.
    """

    seed: int = setting(0, low=0)
    architecture: str = setting("cmac-lite", may_change=True)
    """A network of the package by name, or a path to the .json of a `CMACConfig`; its audio half is taught. Resumed
    runs compare the config."""
    notes: int = setting(16, low=0)
    """Phrases for each instrument of training, played by the General MIDI sound font in the data's `scenes`, if any."""
    standard_windows: int = setting(4000, low=2)
    """Windows over which mean and deviation of the teacher's embeddings are taken."""
    mask_share: float = setting(0.1, low=0, high=1)
    """Widest frequency and time mask, as a share of the axis; the teacher hears what is masked."""
    batch: int = setting(64, low=1)
    learning_rate: float = setting(2e-3, above=0)
    """Of AdamW."""
    weight_decay: float = setting(1e-2, low=0)
    steps: int = setting(12000, low=1, may_change=True)
    warmup_steps: int = setting(200, low=0, may_change=True)
    """The learning rate rises linearly, then falls by half a cosine to the end."""
    bf16: bool = setting(True)
    workers: int = setting(0, low=0, may_change=True)
    """Processes that mix and ask the teacher; 0 does both in the training process, which is best on one core."""
    log_every: int = setting(50, low=1, may_change=True)
    checkpoint_every: int = setting(500, low=1, may_change=True)

    def __post_init__(self) -> None:
        check(self)
        # An unknown network is an error at once, not after the recordings are read.
        _ = self.config

    @cached_property
    def config(self) -> CMACConfig:
        """Of a network that hears and does not see."""
        config = without_weights(architecture(self.architecture))
        config.require_audio()
        return dataclasses.replace(config, visual=None, attention=None)

    def rate(self, step: int) -> float:
        """Learning rate of one step."""
        rising = min(self.warmup_steps, self.steps // 2)
        return self.learning_rate * rise_and_fall(step, self.steps, rising, self.steps - rising)
