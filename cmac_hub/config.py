"""Every number of one checkpoint: preprocessing and architecture, frozen, as they stand in its `config.json`.

Dimension letters, used as suffixes of tensor names throughout the package:

    B batch, C channels, T frames, H W height and width, F mel bands, S spectrogram frames, D embedding, K bank size
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from cmac_hub.errors import CheckpointError

FORMAT_VERSION = 1

Normalization = Literal["cosine", "softmax", "none"]


@dataclass(frozen=True)
class VisualConfig:
    """The visual half: what a clip is, and the R(2+1)D that reads it (paper, section 4.1)."""

    frames: int = 32
    """T, frames of one window, nearest to T even instants of it."""
    size: int = 128
    """Short side in pixels; the long side keeps the aspect ratio, rounded to `multiple`."""
    multiple: int = 16
    """Both sides are a multiple of this many pixels."""
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    """Of RGB in [0, 1]; the defaults are Kinetics-400's."""
    depth: Literal[10, 18] = 18
    width: int = 64
    """Channels of the stem and the first stage; they double at each of the three following stages."""
    stem_time_stride: int = 1
    stage_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Spatial strides of the four stages; the stem adds a factor of 2."""
    stage_time_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    middle_multiple: int = 1
    """The channels between the spatial and the temporal convolution are rounded up to a multiple of this
    (1: torchvision's numbers; 16 is nearly twice as fast to train in bf16 on a CPU)."""

    @property
    def channels(self) -> int:
        """C of the feature map."""
        return self.width * 8


@dataclass(frozen=True)
class AudioConfig:
    """The audio half: what a spectrogram is, and the ResNet-9 that reads it (paper, section 4.1)."""

    sample_rate: int = 24000
    """Hertz, mono."""
    window_seconds: float = 0.02
    hop_seconds: float = 0.01
    fft_size: int = 2048
    """Samples of the zero-padded window; shorter ones leave empty bands at 257."""
    mel_bands: int = 257
    mel_min_hz: float = 0.0
    mel_max_hz: float = 12000.0
    log_floor: float = 1e-6
    """Added to the mel power before the natural logarithm."""
    mean: float = -6.0
    std: float = 4.0
    """Of the log-mel values, in nats."""
    width: int = 64
    """Channels of the stem and the first stage; they double at each of the three following stages."""
    stage_strides: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Strides of the four stages; the stem adds a factor of 2."""
    stem_pool: bool = False
    """A 3x3 max pool of stride 2 after the stem, as in image ResNets (total stride 32)."""

    @property
    def channels(self) -> int:
        """C of the feature map."""
        return self.width * 8


@dataclass(frozen=True)
class AttentionConfig:
    """What joins the halves: filters, pyramid, saliency heads, projection (paper, section 3.2)."""

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


@dataclass(frozen=True)
class DisplayConfig:
    """How maps are drawn, measured on validation scenes: values up to the first number stay dark, from the second on
    they are drawn at full strength."""

    guidance: tuple[float, float] = (0.5, 0.9)
    prediction: tuple[float, float] = (0.5, 0.9)
    default_map: Literal["guidance", "prediction"] = "guidance"
    """What is drawn when nobody says which: the map that pointed better where silent things compete with the source."""


@dataclass(frozen=True)
class CMACConfig:
    """One checkpoint's numbers. `to_json` and `from_json` are inverse to each other.

    The defaults are `cmac-base`, the paper's network. `training` and `license` describe weights, not the network.
    """

    name: str = "cmac-base"
    window: float = 1.0
    """Seconds of picture and sound that the network sees at once."""
    visual: VisualConfig = field(default_factory=VisualConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    display: DisplayConfig = field(default_factory=DisplayConfig)
    license: str = "apache-2.0"
    training: dict[str, Any] = field(default_factory=dict)
    """A summary of how the weights were made: free keys, plain JSON values."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.attention.normalization not in get_args(Normalization):
            accepted = ", ".join(get_args(Normalization))
            raise ValueError(f"normalization is {self.attention.normalization!r}; accepted are {accepted}")
        if self.visual.depth not in (10, 18):
            raise ValueError(f"visual depth is {self.visual.depth}; accepted are 10 and 18")
        for name, value in (("scales", self.attention.scales), ("frames", self.visual.frames)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries and lists, as in `config.json`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CMACConfig:
        """The inverse of `to_dict`.

        Raises:
            CheckpointError: the format is newer than this package, or a key is missing, unknown or of a wrong kind.
        """
        version = values.get("format_version")
        if not isinstance(version, int):
            raise CheckpointError("the config has no integer 'format_version': it is no CMAC config")
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"the config has format version {version}, this package reads up to {FORMAT_VERSION}; "
                "upgrade it: pip install -U cmac-hub"
            )
        return _build(cls, values, "")

    def save(self, path: str | Path) -> None:
        """Writes `config.json` text to `path`."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> CMACConfig:
        """Reads what `save` wrote. Raises CheckpointError as `from_dict` does, and for text that is no JSON."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{path} is no readable JSON ({error})") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} holds a {type(values).__name__}, not the object of a CMAC config")
        return cls.from_dict(values)


def _build(kind: type, values: Any, where: str) -> Any:
    """One frozen dataclass from a dictionary, strictly: no key missing, none unknown, each of its kind."""
    if not isinstance(values, dict):
        raise CheckpointError(f"config key '{where}' holds a {type(values).__name__}, not an object")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(values.keys() - fields.keys()):
        raise CheckpointError(f"unknown config keys in '{where or 'config'}': {', '.join(unknown)}")
    if missing := sorted(fields.keys() - values.keys()):
        raise CheckpointError(f"missing config keys in '{where or 'config'}': {', '.join(missing)}")
    default = kind()
    built = {}
    for name, value in values.items():
        path = f"{where}.{name}" if where else name
        like = getattr(default, name)
        if dataclasses.is_dataclass(like):
            built[name] = _build(type(like), value, path)
            continue
        if isinstance(like, tuple) and isinstance(value, list) and len(value) == len(like):
            value = tuple(value)
        if isinstance(like, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(like):
            raise CheckpointError(f"config key '{path}' is {value!r}; expected a {type(like).__name__}")
        built[name] = value
    try:
        return kind(**built)
    except ValueError as error:
        raise CheckpointError(f"the config is not valid: {error}") from error


CMAC_BASE = CMACConfig()
"""The paper's network: R(2+1)D-18 on 32 frames of 128 x 128, ResNet-9 on 257 mel bands."""

CMAC_NANO = CMACConfig(
    name="cmac-nano",
    visual=VisualConfig(
        frames=8,
        size=64,
        multiple=8,
        depth=10,
        width=16,
        stem_time_stride=2,
        stage_strides=(2, 2, 1, 1),
        stage_time_strides=(1, 2, 1, 1),
        middle_multiple=16,
    ),
    audio=AudioConfig(
        sample_rate=16000,
        fft_size=1024,
        mel_bands=64,
        mel_max_hz=8000.0,
        width=16,
        stage_strides=(1, 2, 2, 1),
    ),
    attention=AttentionConfig(filter_channels=128, embedding=128, saliency_channels=32),
)
"""Small enough for two CPU cores: maps of 8 x 8 positions on a square clip, 8 x 13 on a spectrogram. The weights in the
package ended their training at 96 pixels: 12 x 12."""

ARCHITECTURES: dict[str, CMACConfig] = {config.name: config for config in (CMAC_BASE, CMAC_NANO)}
