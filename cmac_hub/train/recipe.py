"""A recipe: every number of one pretraining run, as data (`recipes/NAME.json`). A recipe may extend another by name."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from cmac_hub.config import CMACConfig, Normalization, architecture, without_weights
from cmac_hub.errors import CheckpointError
from cmac_hub.text import read_json
from cmac_hub.train.fields import RecipeError, check, flatten, setting, unflatten
from cmac_hub.train.objective import ObjectiveSettings
from cmac_hub.train.scenes.settings import QUIETEST, Curriculum, Footage


@dataclass(frozen=True)
class Recipe:
    """The settings of `cmac_hub.train.pretrain`, in the order in which the loop meets them.

    The defaults are the paper's (section 4.1) where it says one.
    """

    name: str = setting("", may_change=True)
    about: str = setting("", may_change=True)
    """One line: what the recipe is, and which of its numbers are assumptions."""
    seed: int = setting(0, low=0)

    # The network
    architecture: str = setting("cmac-base", may_change=True)
    """A network of the package by name, or a path to the .json of a `CMACConfig`. Resumed runs compare the config."""
    size: int = setting(0, low=0)
    """Pixels of a clip's short side; 0 is the architecture's own."""
    frames: int = setting(0, low=0)
    """Frames of a clip; 0 is the architecture's own. With 1 there is no time: what joins frames stays as it is."""
    normalization: Literal[Normalization, "own"] = setting("own", may_change=True, ablated=True)
    """`norm` of Eq. 4 (Table 2); "own" is the architecture's."""
    scales: int = setting(0, low=0, may_change=True, ablated=True)
    """Levels of the pyramid (Table 2); 0 is the architecture's own."""
    shared_head: bool = setting(True, may_change=True)
    """False gives each modality a projection head of its own; True is the architecture's."""

    # Composed scenes, when the data is no manifest
    scenes: Curriculum = setting("mixed")  # noqa: RUF009
    """The curriculum of composed scenes, see `cmac_hub.train.scenes.settings.CURRICULA`."""
    drawn_clips: int = setting(0, low=0)
    """Scenes that begin the training with the package's own drawings: the first three fifths show nothing else, the
    rest three fifths of the time. They look and sound so unlike each other that the two encoders soon agree on
    something, and so leave the first plateau; from photographs alone `nano` stood at chance for 450 steps."""
    easy_clips: int = setting(64000, low=0)
    """Clips of one large thing before the curriculum begins."""
    real_share: float = setting(0.1, low=0, high=1)
    """Share of the pairs, twins left out, that are real shots instead of composed scenes."""
    shots: Footage = setting("clips")  # noqa: RUF009
    """Which real shots: those of the folder `clips`, those and `clips_more`'s that sound as they were filmed
    ("original"), or "all", also with sounds that were made by a model."""
    filmed_share: float = setting(0.0, low=0, high=1)
    """Share of the scenes whose background is a stretch of a real shot, without its sound, instead of a photograph."""
    blur: float = setting(0.0, low=0, high=1)
    """Share of the scenes that are out of focus."""
    background_loudest: float = setting(-5.0, low=QUIETEST)
    """Highest level of a background sound over the source's, decibels."""
    notes: int = setting(0, low=0)
    """Phrases for each instrument of training, played by the General MIDI sound font (.sf2) in the data's `scenes`."""
    twin_share: float = setting(0.0, low=0, high=1)
    """Share of the pairs that are twins: 2 i and 2 i + 1 show the very same picture and play the same recording, at
    moments of their own where it is long enough. They are negatives which only the movement can tell apart."""

    # Videos, when the data is a manifest
    epoch_clips: int = setting(224576, low=1, may_change=True)
    """Videos of an epoch, for estimates without data: 3509 steps of 64 (Table 3). With a manifest its length counts."""
    held_out: float = setting(0.0, low=0, high=0.5)
    """Share of the manifest's groups that is kept from training, to see whether it helped: `own_footage.py`."""
    broken_share: float = setting(0.05, low=0, high=1, may_change=True)
    """Training stops when more than this share of the videos could not be read."""

    # Augmentation
    crop: bool = setting(True)
    """Random square crops from frames whose short side is 1 to 1.25 times the clip's, and horizontal flips. Crops and
    color are for videos: composed scenes vary by themselves."""
    color_jitter: bool = setting(False)
    """Brightness, contrast, saturation and hue, alike for all frames of a clip."""
    time_warp: int = setting(8, low=0)
    """Spectrogram frames by which SpecAugment moves a moment, at most."""
    mask_share: float = setting(0.2, low=0, high=1)
    """Widest frequency and time mask of SpecAugment, as a share of the axis."""

    mix_share: float = setting(0.0, low=0, high=1)
    """Share of the pairs whose sound is mixed with that of another pair of the batch, 5 to 20 dB below it."""

    tiles: int = setting(1, low=1)
    """Rows and columns of clips that the visual encoder looks at as one picture, cut apart after it: what stands in one
    clip must not answer to the sound of the clip beside it, so a place learns to tell of itself. It costs nothing."""

    # A visual encoder that has learned to look at pictures before
    cached_pairs: int = setting(0, low=0)
    """Pairs whose frames the trunk of a `FrameEncoder` encodes once, before training; they come again and again, in
    another order each time, and the trunk stays as it is. 0 draws every pair anew and trains the trunk as well."""
    trunk_rate: float = setting(1.0, low=0, high=1)
    """Learning rate of the trunk, as a share of the others'. Below 1 it keeps the statistics of its batch norms."""
    frozen_stages: int = setting(0, low=0)
    """Stem and first stages of the trunk that stay as they are: they see edges and textures, and cost most."""
    audio_rate: float = setting(1.0, low=0, high=1)
    """The same as `trunk_rate` of the audio encoder."""

    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    """Weights and alternatives of the loss; flat in files and on the command line."""
    bank: int = setting(15000, low=0)
    """Keys in the memory bank; 0 takes the rest of the batch as negatives, and no momentum network."""
    ema_momentum: float = setting(0.999, low=0, high=1)
    """Share of the old weights that stays at each update of the momentum network, which makes the bank's keys. The
    exponential moving average of MoCo, not the momentum of SGD."""

    # The optimizer
    optimizer: Literal["sgd", "adamw"] = setting("sgd")
    """SGD has a momentum of 0.9."""
    learning_rate: float = setting(0.01, above=0)
    weight_decay: float = setting(1e-5, low=0)
    batch: int = setting(128, low=1)
    """Clips of a step, over all processes and micro-batches."""
    accumulate: int = setting(1, low=1)
    """Micro-batches of a step. All meet the same bank; without a bank each has its own negatives."""
    epochs: int = setting(200, low=0, may_change=True, length=True)
    steps: int = setting(0, low=0, may_change=True, length=True)
    """Steps of the run; 0 counts `epochs`."""
    warmup_epochs: int = setting(10, low=0, may_change=True, length=True)
    warmup_steps: int = setting(0, low=0, may_change=True, length=True)
    """Steps of linear warm-up; 0 counts `warmup_epochs`."""
    decay_steps: int = setting(0, low=0, may_change=True, length=True)
    """The learning rate falls by a half cosine over the last steps; 0 means over all after the warm-up."""
    frozen_batch_norm: bool = setting(False)
    """Batch norms in eval mode, as they were at the start."""
    bf16: bool = setting(True)
    """Forward passes under autocast to bfloat16 where the device is fast at it (`precision.py`); the loss is fp32."""

    # How it is computed; what is computed stays the same, up to rounding
    compile: bool = setting(False, may_change=True)
    """Both encoders through `torch.compile`, which fuses norms in its own way: minutes at the start, and a C compiler;
    on a GPU no faster than `fused_norms`, on a CPU no faster at all."""
    fused_norms: bool = setting(True, may_change=True)
    """On a GPU with Triton, batch norms of R(2+1)D and ResNet-9 in one with the sum and the ReLU behind them; where
    Triton fails (it needs a C compiler) a warning says so, and they are not."""
    padded_planes: int = setting(1, low=1, may_change=True)
    """Channels between the two factors of R(2+1)D's convolutions are padded with zeros to a multiple of this many while
    they are computed (torchvision has 45, 144, 230, 460, 921; tensor cores take them by 8 or 16), and the first one
    takes 2 x 2 pixels as channels; 1 does neither."""
    checkpointing: bool = setting(False, may_change=True)
    """The maps in R(2+1)D's stem and first stage are computed again in the backward pass instead of kept: a seventh
    more to compute, less than half of the memory."""

    # The machine
    workers: int = setting(1, low=0, may_change=True)
    log_every: int = setting(50, low=1, may_change=True)
    """Steps of which a line of the log is the mean."""
    checkpoint_every: int = setting(250, low=1, may_change=True)
    keep: int = setting(2, low=1, may_change=True)
    """Latest checkpoints kept."""

    def __post_init__(self) -> None:
        check(self)
        if self.batch // self.accumulate % self.tiles**2:
            raise RecipeError(
                f"recipe key 'tiles' is {self.tiles}, and {self.batch // self.accumulate} clips at once do not fill "
                f"pictures of {self.tiles} x {self.tiles}; make batch a multiple of {self.tiles**2 * self.accumulate}"
            )
        # An unknown network is an error at once, not after the data are read.
        _ = self.config

    @cached_property
    def config(self) -> CMACConfig:
        """The network's config. Of a released one nothing is taken that was measured on its weights."""
        config = without_weights(architecture(self.architecture))
        own = config.require_attention()
        attention = dataclasses.replace(
            own,
            normalization=own.normalization if self.normalization == "own" else self.normalization,
            scales=self.scales or own.scales,
            shared_head=self.shared_head and own.shared_head,
        )
        visual = config.require_visual()
        visual = dataclasses.replace(visual, size=self.size or visual.size, frames=self.frames or visual.frames)
        return dataclasses.replace(config, visual=visual, attention=attention)

    def to_dict(self) -> dict[str, Any]:
        """Flat keys and plain values, as in a recipe's .json."""
        return flatten(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """The inverse of `to_dict`; missing keys keep their defaults.

        Raises:
            RecipeError: an unknown key (the nearest is named), a value of another kind than the default's, or one that
                is not accepted.
            CheckpointError: the .json of an architecture cannot be read.
        """
        for old, new in RENAMED.items():
            if old in values:
                raise RecipeError(f"recipe key {old!r} is called {new!r} now; rename it")
        return unflatten(cls, values)

    def replace(self, **changes: Any) -> Recipe:
        """The recipe with some flat keys changed. Raises what `from_dict` does."""
        return self.from_dict({**self.to_dict(), **changes})

    @property
    def clips_per_video(self) -> int:
        """2 where the objective compares clips of one video."""
        return 2 if self.objective.within_positives or not self.objective.cross_modal else 1

    @property
    def trunk_is_frozen(self) -> bool:
        """Whether the trunk of the visual encoder stays as it is."""
        return self.cached_pairs > 0 or self.trunk_rate == 0

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

    A path to an architecture is relative to the file's folder.

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
        values = read_json(path)
    except ValueError as error:
        raise RecipeError(f"{path} is no readable JSON ({error})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} holds a {type(values).__name__}; expected an object of recipe keys")
    if str(values.get("architecture", "")).endswith(".json"):
        values["architecture"] = str(path.parent / values["architecture"])
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
    return Recipe.from_dict({"name": Path(name).stem if name.endswith(".json") else name} | merged)


FORMAT_VERSION = 2
"""Of the recipe inside a checkpoint."""

NEW_LAWS = "it goes on with today's windows (frames on screen) and pyramid (aligned), which are others (CHANGELOG.md)"
"""What a run of version 1 is told when it is resumed."""

RENAMED = {"momentum": "ema_momentum"}
"""Keys of version 1 and their names now."""

DEFAULTS_OF_VERSION_1 = {"reduction": "mean"}
"""Defaults of version 1 that are others now."""


def upgrade(values: dict[str, Any], version: int) -> dict[str, Any]:
    """All flat keys of a recipe as a checkpoint of that format version holds them, under today's names.

    The architecture is not looked up: the checkpoint has its config beside the recipe.

    Raises:
        CheckpointError: the format is newer than this package.
        RecipeError: an unknown key.
    """
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"the checkpoint has format version {version}, this package reads up to {FORMAT_VERSION}; "
            "upgrade it: pip install -U cmac-hub"
        )
    defaults = Recipe().to_dict()
    if version == 1:
        values = {RENAMED.get(key, key): value for key, value in values.items()}
        defaults |= DEFAULTS_OF_VERSION_1
    if unknown := sorted(values.keys() - defaults.keys()):
        raise RecipeError(f"unknown recipe keys {', '.join(unknown)} in a checkpoint of format version {version}")
    return defaults | values
