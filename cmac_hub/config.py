"""Every number of one checkpoint: preprocessing and architecture, frozen, as they stand in its `config.json`.

Dimension letters, used as suffixes of tensor names throughout the package:

    B batch, C channels, T frames, H W height and width, F mel bands, S spectrogram frames, D embedding, K bank size

`config_file.py` says how files of older formats stay readable.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from cmac_hub.checks import check_choice, check_finite, check_most, check_positive, check_rising, check_whole
from cmac_hub.config_file import LARGEST, MODALITIES, build, from_version_1
from cmac_hub.errors import ArgumentError, CheckpointError, MissingPartError
from cmac_hub.files import replacing
from cmac_hub.registry import AudioConfig, VisualConfig, encoder_kind, since
from cmac_hub.text import check_depth, read_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT_VERSION = 2

MOST_BYTES = 2**20
"""Of a `config.json`; ours have about three thousand."""

LONGEST = 600.0
"""Seconds of a network's window: all of it is in memory at once."""

DEFAULT_NETWORK = "cmac-lite"
"""The weights that are taken when no network is named: those for real videos."""

DEMO_NETWORK = "cmac-nano"
"""What looks at the scene of `cmac demo`: it learned from drawn scenes, too."""

Normalization = Literal["cosine", "bounded", "softmax", "none"]

Map = Literal["guidance", "prediction", "joint"]
"""Where one modality responds to the other (Eq. 4), what its encoder attends to by itself (Eq. 5), or the former where
its features are strong and move as well, spread over places that look alike: which of the things that usually sound
makes this sound (ours, `joint.py`)."""

HEARING: tuple[Map, ...] = ("guidance", "joint")
"""The maps that compare both streams: they say nothing where there is nothing to hear."""

Layout = Literal["overlay", "side-by-side", "panel"]
"""The overlay alone; plain on its left; or above the spectrogram with its frequency attention."""

Scale = Literal["absolute", "relative"]
"""What is lit: only places above the checkpoint's limits, or the highest places of every moment, sure or not."""

DType = Literal["auto", "float32", "bfloat16"]
"""What inference computes in; "auto" is bfloat16 where the processor multiplies in it."""


Config = TypeVar("Config", bound="DataclassInstance")


@dataclass(frozen=True)
class AttentionConfig:
    """What joins the halves: filters, pyramid, saliency heads, projection (paper, section 3.2).

    Raises:
        ValueError: an unknown normalization, no channels or scales, or a number that is impossible.
    """

    filter_channels: int = 512
    """Channels of g_v, g_a and so of the filters kappa (Eq. 3)."""
    embedding: int = 256
    """D, size of the joint embedding."""
    scales: int = 2
    """Levels of the pyramid (Fig. 3, Table 2)."""
    normalization: Normalization = "cosine"
    """`norm` of Eq. 4 (Table 2)."""
    saliency_channels: int = 128
    """Hidden channels of h_v and h_a (Eq. 5)."""
    shared_head: bool = True
    """One projection for both modalities, so that their filter spaces agree."""
    strength_weight: float = since(2, 0.0, of_weights=True)
    """Share of the features' strength in the joint maps, measured on validation data."""
    motion_weight: float = since(2, 0.0, of_weights=True)
    """Share of the features' motion in the visual joint map, likewise; guidance has the rest of both."""
    joint_smoothing: int = since(2, 0, of_weights=True)
    """How often the joint maps are averaged with their neighbors (`joint.smooth`), likewise."""
    affinity_temperature: float = since(2, 0.0, of_weights=True)
    """How far the visual joint map is spread over places that look alike (`joint.spread`), likewise; 0: not at all."""
    visual_strength: tuple[float, float] = since(2, (0.0, 1.0), of_weights=True)
    """Lengths of a place's visual feature that count as strength 0 and 1."""
    audio_strength: tuple[float, float] = since(2, (0.0, 1.0), of_weights=True)
    """The same of audio features."""
    visual_motion: tuple[float, float] = since(2, (0.0, 1.0), of_weights=True)
    """Changes of a place's visual feature, from one moment of the map to the next, that count as motion 0 and 1."""

    def __post_init__(self) -> None:
        check_choice("normalization", self.normalization, get_args(Normalization))
        check_whole(
            filter_channels=self.filter_channels,
            embedding=self.embedding,
            scales=self.scales,
            saliency_channels=self.saliency_channels,
        )
        check_whole(0, joint_smoothing=self.joint_smoothing)
        check_most(scales=(self.scales, 16), joint_smoothing=(self.joint_smoothing, 16))
        for name in ("strength_weight", "motion_weight"):
            if not 0 <= (weight := getattr(self, name)) <= 1:
                raise ArgumentError(f"{name} is {weight}; it must be from 0 to 1")
        if self.affinity_temperature != 0 and not 0.01 <= self.affinity_temperature <= 100:
            raise ArgumentError(
                f"affinity_temperature is {self.affinity_temperature}; it must be 0, or from 0.01 to 100"
            )
        if (both := self.strength_weight + self.motion_weight) > 1:
            raise ArgumentError(f"strength_weight and motion_weight are {both:g} together; at most 1 is there to share")
        check_finite(self)
        check_rising(
            visual_strength=self.visual_strength,
            audio_strength=self.audio_strength,
            visual_motion=self.visual_motion,
        )


@dataclass(frozen=True)
class DisplayConfig:
    """How maps are drawn, measured on validation scenes, and on real shots where the data has them: values up to the
    first number stay dark, from the second on they are drawn at full strength.

    Raises:
        ValueError: an unknown map, or limits that do not rise.
    """

    visual_guidance: tuple[float, float] = (0.5, 0.9)
    visual_prediction: tuple[float, float] = (0.5, 0.9)
    audio_guidance: tuple[float, float] = since(2, (0.5, 0.9))
    audio_prediction: tuple[float, float] = since(2, (0.5, 0.9))
    visual_joint: tuple[float, float] = since(2, (0.5, 0.9))
    audio_joint: tuple[float, float] = since(2, (0.5, 0.9))
    default_map: Map = "guidance"
    """What is drawn when no map is asked for: the map that pointed best on validation data (`train/release.py`)."""

    def __post_init__(self) -> None:
        check_choice("default_map", self.default_map, get_args(Map))
        check_finite(self)
        pairs = {name: value for name, value in vars(self).items() if isinstance(value, tuple)}
        check_rising(**pairs)

    def limits(self, modality: Literal["visual", "audio"], which: Map) -> tuple[float, float]:
        """The two numbers of one map."""
        found: tuple[float, float] = getattr(self, f"{modality}_{which}")
        return found


def _register_our_encoders() -> None:
    """Imported late: they need PyTorch, and reading the choices of a command line does not."""
    import cmac_hub.encoders  # noqa: F401


def _paper_visual() -> VisualConfig:
    from cmac_hub.encoders import R2Plus1DConfig

    return R2Plus1DConfig()


def _paper_audio() -> AudioConfig:
    from cmac_hub.encoders import ResNet9Config

    return ResNet9Config()


@dataclass(frozen=True)
class CMACConfig:
    """One checkpoint's numbers. `to_dict` and `from_dict` are inverse to each other.

    The defaults are `cmac-base`, the paper's network. Fields marked `of_weights`, here and in the parts, describe
    weights, not the network, see `without_weights`.

    Raises:
        ValueError: neither encoder, an encoder of an unknown kind, attention with one encoder alone, or a window that
            is not positive.
    """

    name: str = "cmac-base"
    window: float = 1.0
    """Seconds of both streams that the network is shown at once."""
    visual: VisualConfig | None = field(default_factory=_paper_visual)
    """None is a network without pictures."""
    audio: AudioConfig | None = field(default_factory=_paper_audio)
    """None is a network without sound."""
    attention: AttentionConfig | None = field(default_factory=AttentionConfig)
    """None is a network that gives features of its streams, and neither maps nor embeddings."""
    display: DisplayConfig = field(default_factory=DisplayConfig, metadata={"of_weights": True})
    license: str = field(default="apache-2.0", metadata={"of_weights": True})
    training: dict[str, Any] = field(default_factory=dict, metadata={"of_weights": True})
    """A summary of how the weights were made: free keys, plain JSON values."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        check_positive(window=self.window)
        check_most(window=(self.window, LONGEST))
        if self.visual is None and self.audio is None:
            raise ArgumentError("the network has neither a visual nor an audio encoder; give at least one of them")
        if self.attention is not None and (self.visual is None or self.audio is None):
            missing = "audio" if self.audio is None else "visual"
            raise ArgumentError(f"attention needs both encoders, and there is no {missing} one; set attention to null")
        _register_our_encoders()
        for modality, half in (("visual", self.visual), ("audio", self.audio)):
            if half is not None:
                encoder_kind(half.kind, MODALITIES[modality])

    def require_visual(self) -> VisualConfig:
        """The visual half. Raises MissingPartError when the network has none."""
        if self.visual is None:
            raise MissingPartError(f"the network {self.name!r} has no visual encoder")
        return self.visual

    def require_audio(self) -> AudioConfig:
        """The audio half. Raises MissingPartError when the network has none."""
        if self.audio is None:
            raise MissingPartError(f"the network {self.name!r} has no audio encoder")
        return self.audio

    def require_attention(self) -> AttentionConfig:
        """What joins the halves. Raises MissingPartError when the network has none."""
        if self.attention is None:
            raise MissingPartError(f"the network {self.name!r} has no attention")
        return self.attention

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries and lists, as in `config.json`."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CMACConfig:
        """The inverse of `to_dict`; reads all older formats too.

        Raises:
            CheckpointError: there is no such format, or it is newer than this package; a key is missing, unknown or
                of a wrong kind; or the numbers do not go together.
        """
        if not isinstance(values, dict):
            raise CheckpointError(f"the config is a {type(values).__name__}, not the object of a CMAC config")
        try:
            check_depth(values)
        except ValueError as error:
            raise CheckpointError(f"the config cannot be read: {error}") from error
        version = values.get("format_version")
        if type(version) is not int:
            raise CheckpointError(
                "the config has no integer 'format_version': it is no CMAC config, but of another library or "
                "architecture; models for this package say library_name: cmac_hub on the Hub"
            )
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"the config has format version {min(version, LARGEST)}, this package reads up to {FORMAT_VERSION}; "
                "upgrade it: pip install -U cmac-hub"
            )
        if version < 1:
            raise CheckpointError(
                f"the config has format version {max(version, -LARGEST)}; accepted are 1 to {FORMAT_VERSION}"
            )
        if version < 2:
            values = from_version_1(values)
        _register_our_encoders()
        config: CMACConfig = build(cls, {**values, "format_version": FORMAT_VERSION}, "", version)
        return config

    def save(self, path: str | Path) -> None:
        """Writes `config.json` text to `path`, whole or not at all."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(self.to_text(), encoding="utf-8")

    def to_text(self) -> str:
        """What `config.json` holds."""
        text = json.dumps(self.to_dict(), indent=2)
        # A list of numbers reads better on one line.
        text = re.sub(
            r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]"), text
        )
        return text + "\n"

    @classmethod
    def load(cls, path: str | Path) -> CMACConfig:
        """Reads what `save` wrote. Raises CheckpointError as `from_dict` does, and for text that is no JSON."""
        try:
            values = read_json(Path(path), MOST_BYTES)
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{path} is no readable JSON ({error})") from error
        return cls.from_dict(values)


def without_weights(config: Config) -> Config:
    """The network alone: what describes trained weights, marked `of_weights` where it is declared, has its default.

    Whoever takes the config of a released network for new weights comes here.
    """
    changes: dict[str, Any] = {}
    for one in dataclasses.fields(config):
        value = getattr(config, one.name)
        if one.metadata.get("of_weights"):
            made = one.default_factory
            changes[one.name] = one.default if made is dataclasses.MISSING else made()
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes[one.name] = without_weights(value)
    return dataclasses.replace(config, **changes)


def architectures() -> list[str]:
    """Names of the architectures in the package (`architectures/NAME.json`)."""
    folder = Path(str(resources.files("cmac_hub") / "architectures"))
    return sorted(path.stem for path in folder.glob("*.json"))


def architecture(name: str) -> CMACConfig:
    """An architecture of the package by name, or one of your own by the path of its .json.

    Raises:
        CheckpointError: there is no such architecture; or the file cannot be read, see `CMACConfig.load`.
    """
    if name.endswith(".json"):
        return CMACConfig.load(name)
    if name not in architectures():
        raise CheckpointError(
            f"unknown architecture {name!r}; accepted are {', '.join(architectures())}, or a path to a .json"
        )
    return CMACConfig.load(Path(str(resources.files("cmac_hub") / "architectures" / f"{name}.json")))
