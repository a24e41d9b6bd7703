"""A recipe: every number of one pretraining run, as data (`recipes/NAME.json`). A recipe may extend another by name."""

from __future__ import annotations

import dataclasses
import difflib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from cmac_hub.config import ARCHITECTURES, CMACConfig, Normalization
from cmac_hub.errors import CMACError
from cmac_hub.train.scene_settings import QUIETEST


class RecipeError(CMACError, ValueError):
    """An unknown recipe, or one with an unknown key or a wrong value."""


@dataclass(frozen=True)
class Recipe:
    """The settings of `cmac_hub.train.pretrain`, in the order in which the loop meets them.

    The defaults are the paper's (section 4.1) where it says one.
    """

    name: str = ""
    about: str = ""
    """One line: what the recipe is, and which of its numbers are assumptions."""
    seed: int = 0

    # The network
    architecture: str = "cmac-base"
    size: int = 0
    """Pixels of a clip's short side; 0 is the architecture's own."""
    normalization: Normalization = "cosine"
    scales: int = 2
    shared_head: bool = True

    # Composed scenes, when the data is no manifest
    scenes: str = "mixed"
    """The curriculum of composed scenes, see `cmac_hub.train.scene_settings.CURRICULA`."""
    drawn_clips: int = 0
    """Scenes that begin the training with the package's own drawings: the first three fifths show nothing else, the
    rest three fifths of the time. They look and sound so unlike each other that the two encoders soon agree on
    something, and so leave the first plateau; from photographs alone `nano` stood at chance for 450 steps."""
    easy_clips: int = 64000
    """Clips of one large thing before the curriculum begins."""
    real_share: float = 0.1
    """Share of the pairs, twins left out, that are real shots instead of composed scenes."""
    filmed_share: float = 0.0
    """Share of the scenes whose background is a stretch of a real shot, without its sound, instead of a photograph."""
    blur: float = 0.0
    """Share of the scenes that are out of focus."""
    background_loudest: float = -5.0
    """Highest level of a second, unseen sound over the source's, decibels."""
    notes: int = 0
    """Phrases for each instrument of training, played by the General MIDI sound font (.sf2) in the data's `scenes`."""
    twin_share: float = 0.0
    """Share of the pairs that are twins: 2 i and 2 i + 1 show the very same picture and play the same recording, at
    moments of their own where it is long enough. They are negatives which only the movement can tell apart."""

    # Videos, when the data is a manifest
    epoch_clips: int = 224576
    """Videos of an epoch, for estimates without data: 3509 steps of 64 (Table 3). With a manifest its length counts."""
    broken_share: float = 0.05
    """Training stops when more than this share of the videos could not be read."""

    # Augmentation
    crop: bool = True
    """Random square crops from frames whose short side is 1 to 1.25 times the clip's, and horizontal flips. Crops and
    colour are for videos: composed scenes vary by themselves."""
    color_jitter: bool = False
    """Brightness, contrast, saturation and hue, alike for all frames of a clip."""
    time_warp: int = 8
    """Spectrogram frames by which SpecAugment moves a moment, at most."""
    mask_share: float = 0.2
    """Widest frequency and time mask of SpecAugment, as a share of the axis."""

    # The objective
    contrastive_weight: float = 1.0
    """0 is "CMAC w/o L_cl" of Table 1."""
    consistency_weight: float = 1.5
    """lambda of Eq. 8; 0 is "CMAC w/o L_ac"."""
    mil_weight: float = 0.0
    """Of the multiple-instance loss of the best places (`multiple_instance.py`), which the paper does not have; each
    process compares its own clips."""
    cross_modal: bool = True
    """False is "Single Modality" of Table 1: two augmentations of one clip, each encoder on its own."""
    within_negatives: bool = True
    """Within-modal negatives of Eq. 7; False is Eq. 2."""
    within_positives: bool = False
    """Within-modal positives of Table 3: two clips a video."""
    detach_target: bool = True
    reduction: str = "mean"
    temperature: float = 0.07
    bank: int = 15000
    """Keys in the memory bank; 0 takes the rest of the batch as negatives, and no momentum network."""
    momentum: float = 0.999
    """Of the momentum network that makes the bank's keys."""

    # The optimiser
    optimizer: str = "sgd"
    """"sgd" with momentum 0.9, or "adamw"."""
    learning_rate: float = 0.01
    weight_decay: float = 1e-5
    batch: int = 128
    """Clips of a step, over all processes and micro-batches."""
    accumulate: int = 1
    """Micro-batches of a step. All meet the same bank; without a bank each has its own negatives."""
    epochs: int = 200
    steps: int = 0
    """Steps of the run; 0 counts `epochs`."""
    warmup_epochs: int = 10
    warmup_steps: int = 0
    """Steps of linear warm-up; 0 counts `warmup_epochs`."""
    decay_steps: int = 0
    """The learning rate falls by a half cosine over the last steps; 0 means over all after the warm-up."""
    frozen_batch_norm: bool = False
    """Batch norms in eval mode, as they were at the start."""
    bf16: bool = True

    # The machine
    workers: int = 1
    log_every: int = 50
    """Steps of which a line of the log is the mean."""
    checkpoint_every: int = 250
    keep: int = 2
    """Latest checkpoints kept."""

    def __post_init__(self) -> None:
        for field in ("steps", "bank", "epochs", "workers", "size", "notes"):
            if getattr(self, field) < 0:
                raise RecipeError(f"recipe key {field!r} is {getattr(self, field)}; it must not be negative")
        for field in ("batch", "accumulate", "log_every", "checkpoint_every", "scales", "keep"):
            if getattr(self, field) < 1:
                raise RecipeError(f"recipe key {field!r} is {getattr(self, field)}; it must be at least 1")
        for field in ("real_share", "filmed_share", "blur", "twin_share", "mask_share"):
            if not 0 <= getattr(self, field) <= 1:
                raise RecipeError(f"recipe key {field!r} is {getattr(self, field)}; it must be a share from 0 to 1")
        if self.background_loudest < QUIETEST:
            raise RecipeError(
                f"recipe key 'background_loudest' is {self.background_loudest}; it must be at least {QUIETEST} decibels"
            )
        for field, accepted in (
            ("optimizer", ("sgd", "adamw")),
            ("reduction", ("mean", "sum")),
            ("normalization", get_args(Normalization)),
            ("architecture", tuple(ARCHITECTURES)),
        ):
            if getattr(self, field) not in accepted:
                raise RecipeError(
                    f"recipe key {field!r} is {getattr(self, field)!r}; accepted are {', '.join(accepted)}"
                )

    @property
    def config(self) -> CMACConfig:
        """The network's config."""
        config = ARCHITECTURES[self.architecture]
        attention = dataclasses.replace(
            config.attention, normalization=self.normalization, scales=self.scales, shared_head=self.shared_head
        )
        visual = dataclasses.replace(config.visual, size=self.size or config.visual.size)
        return dataclasses.replace(config, visual=visual, attention=attention)

    @property
    def clips_per_video(self) -> int:
        """2 where the objective compares clips of one video."""
        return 2 if self.within_positives or not self.cross_modal else 1

    def epoch_steps(self, videos: int | None = None) -> int:
        """Steps of one epoch over so many videos; the paper's Table 3 counts them (3509, with two clips 7018)."""
        return max(1, (videos or self.epoch_clips) * self.clips_per_video // self.batch)

    def total_steps(self, videos: int | None = None) -> int:
        """Steps of the whole run."""
        return self.steps or self.epochs * self.epoch_steps(videos)

    def rising_steps(self, videos: int | None = None) -> int:
        """Steps of warm-up, at most half of the run."""
        return self.warmup_steps or min(self.warmup_epochs * self.epoch_steps(videos), self.total_steps(videos) // 2)


def names() -> list[str]:
    """The recipes inside the package, those of the ablations as "ablation/NAME"."""
    folder = Path(str(resources.files("cmac_hub.train") / "recipes"))
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.json"))


def read(name: str) -> dict[str, Any]:
    """The keys that one file gives itself, with "extends" among them if it extends another.

    Raises:
        RecipeError: an unknown name, a missing file, or text that is no JSON object.
    """
    if name.endswith(".json"):
        path = Path(name)
        if not path.is_file():
            raise RecipeError(f"there is no recipe file {path}")
    elif name in names():
        path = Path(str(resources.files("cmac_hub.train") / "recipes")) / f"{name}.json"
    else:
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RecipeError(f"unknown recipe {name!r}; accepted are {', '.join(names())}, or a path to a .json{hint}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(f"{path} is no readable JSON ({error})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds a {type(values).__name__}; expected an object of recipe keys")
    return values


def load_recipe(name: str, /, **overrides: Any) -> Recipe:
    """A recipe of the package by name, or of a JSON file by path, with some keys overridden.

    Raises:
        RecipeError: an unknown name or key (the nearest is named), a value of another kind than the default's, or
            recipes that extend each other in a circle.
    """
    chain, following = [], name
    seen: list[str] = []
    while following:
        if following in seen:
            raise RecipeError(f"recipes extend each other in a circle: {' -> '.join([*seen, following])}")
        seen.append(following)
        values = read(following)
        following = values.pop("extends", "")
        chain.append(values)
    merged: dict[str, Any] = {}
    for values in [*reversed(chain), overrides]:
        merged |= values
    return build({"name": Path(name).stem if name.endswith(".json") else name} | merged)


def build(values: dict[str, Any]) -> Recipe:
    """A recipe from its keys, strictly. Raises RecipeError as `load_recipe` does."""
    fields = {f.name: f.default for f in dataclasses.fields(Recipe)}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise RecipeError(f"unknown recipe key {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        like = fields[key]
        if type(value) is not type(like) and not (isinstance(like, float) and type(value) is int):
            kind = {"str": "text", "bool": "true or false", "int": "whole number", "float": "number"}
            raise RecipeError(f"recipe key {key!r} is {value!r}; expected {kind[type(like).__name__]}")
    return Recipe(**values)
