"""A recipe: every number of one pretraining run, as data (`recipes/NAME.json`)."""

from __future__ import annotations

import dataclasses
import difflib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from cmac_hub.config import ARCHITECTURES, CMACConfig
from cmac_hub.errors import CMACError


class RecipeError(CMACError, ValueError):
    """An unknown recipe, or one with an unknown key or a wrong value."""


@dataclass(frozen=True)
class Recipe:
    """The settings of `cmac_hub.train.pretrain`, in the order in which the loop meets them."""

    name: str = "nano"
    architecture: str = "cmac-nano"
    seed: int = 0
    scenes: str = "mixed"
    """The curriculum of composed scenes, see `cmac_hub.train.data.CURRICULA`."""
    drawn_clips: int = 32000
    """Scenes that begin the training with the package's own drawings: the first three fifths show nothing else, the
    rest three fifths of the time. They look and sound so unlike each other that the two encoders soon agree on
    something, and so leave the first plateau; from photographs alone `nano` stood at chance for 450 steps."""
    easy_clips: int = 64000
    """Clips of one large thing before the curriculum begins."""
    real_share: float = 0.1
    """Share of the pairs that are real shots instead of composed scenes."""
    workers: int = 1
    batch: int = 64
    steps: int = 6000
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    decay_steps: int = 1500
    """The learning rate is constant after the warm-up and falls by a half cosine over the last steps."""
    temperature: float = 0.1
    consistency_weight: float = 1.5
    """lambda of Eq. 8."""
    within_modal: bool = True
    detach_target: bool = True
    mask_share: float = 0.0
    """Widest SpecAugment mask as a share of each axis. On small batches it hides the first, weak agreement between the
    modalities: `nano` does without."""
    bf16: bool = True
    checkpoint_every: int = 250

    @property
    def config(self) -> CMACConfig:
        """The network's config. Raises RecipeError for an unknown architecture."""
        if self.architecture not in ARCHITECTURES:
            raise RecipeError(f"unknown architecture {self.architecture!r}; accepted are {', '.join(ARCHITECTURES)}")
        return ARCHITECTURES[self.architecture]


def names() -> list[str]:
    """The recipes inside the package."""
    folder = resources.files("cmac_hub.train") / "recipes"
    return sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))


def load_recipe(name: str, **overrides: Any) -> Recipe:
    """A recipe of the package by name, or of a JSON file by path, with some keys overridden.

    Raises:
        RecipeError: an unknown name or key (the nearest is named), or a value of another kind than the default's.
    """
    if name.endswith(".json"):
        text = Path(name).read_text(encoding="utf-8")
    elif name in names():
        text = (resources.files("cmac_hub.train") / "recipes" / f"{name}.json").read_text(encoding="utf-8")
    else:
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"unknown recipe {name!r}; accepted are {', '.join(names())} or a path to a .json{hint}")
    values = {**json.loads(text), **overrides}
    fields = {f.name: f.default for f in dataclasses.fields(Recipe)}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise RecipeError(f"unknown recipe key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if type(value) is not type(fields[key]) and not (isinstance(fields[key], float) and type(value) is int):
            raise RecipeError(f"recipe key {key!r} is {value!r}; expected a {type(fields[key]).__name__}")
    return Recipe(**values)
