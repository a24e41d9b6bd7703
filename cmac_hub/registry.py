"""What an encoder is to the rest of the package, and the one table of encoders by kind.

A kind of encoder is a config class, which inherits from `VisualConfig` or `AudioConfig` and adds its own numbers, and a
network class. `config.json` names the kind; nothing outside of `cmac_hub/encoders/` names a class. One of your own:

    @dataclass(frozen=True)
    class MyConfig(VisualConfig):
        kind: str = "mine"
        width: int = 32

    class MyEncoder(nn.Module):
        def __init__(self, config: MyConfig): ...      # sets self.channels, C of the feature map
        def forward(self, clips_BCTHW): ...            # (B, 3, T, H, W) -> (B, C, T', H', W')

    register_encoder("mine", MyConfig, MyEncoder)

A visual encoder that reads its frames one by one inherits from `cmac_hub.encoders.FrameEncoder`, so that overlapping
windows can share them. One whose feature map is several maps side by side may set `self.level_channels`, so that each
of them counts as much where places are compared (`joint.affinity`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cmac_hub.checks import check_finite, check_most, check_positive, check_whole
from cmac_hub.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn


def since(version: int, default: Any, *, of_weights: bool = False) -> Any:
    """A field that came with a later format of `config.json`: older files may lack it, and then mean `default`.

    One `of_weights` describes trained weights, not the network, see `cmac_hub.config.without_weights`.
    """
    return field(default=default, metadata={"since": version, "of_weights": of_weights})


@dataclass(frozen=True)
class VisualConfig:
    """What every visual encoder is given: a clip (paper, section 4.1).

    Raises:
        ValueError: a number of frames, a size, a multiple or a deviation that is not positive, or NaN; more than 1024
            frames or 4096 pixels.
    """

    kind: str = ""
    """Of the encoder, see `register_encoder`."""
    frames: int = 32
    """T, frames of one window: those on screen at T even instants of it."""
    size: int = 128
    """Short side in pixels; the long side keeps the aspect ratio, rounded to `multiple`."""
    multiple: int = 16
    """Both sides are a multiple of this many pixels."""
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    """Of RGB in [0, 1]; the defaults are Kinetics-400's."""
    map_shift: tuple[float, float] = since(2, (0.0, 0.0), of_weights=True)
    """Rows and columns by which maps lie below and right of what they describe, in cells; see `cmac_hub.geometry`."""

    def __post_init__(self) -> None:
        check_whole(frames=self.frames, size=self.size, multiple=self.multiple)
        check_most(frames=(self.frames, 1024), size=(self.size, 4096), multiple=(self.multiple, 4096))
        check_positive(std=self.std)
        check_finite(self)


@dataclass(frozen=True)
class AudioConfig:
    """What every audio encoder is given: a log-mel spectrogram (paper, section 4.1).

    Raises:
        ValueError: a rate, a length, a number of bands, a power, a floor or a deviation that is not positive, or NaN; a
            window longer than the FFT; bands that fall, or lie outside of 0 to half of the sample rate; more than
            768,000 hertz, an FFT of more than 65,536 samples, or more than 2048 bands.
    """

    kind: str = ""
    """Of the encoder, see `register_encoder`."""
    sample_rate: int = 24000
    """Hertz, mono."""
    win_length: int = 480
    """Samples of the Hann window; 20 ms at 24 kHz."""
    hop_length: int = 240
    """Samples from one spectrogram frame to the next; 10 ms at 24 kHz."""
    n_fft: int = 2048
    """Samples of the zero-padded window; shorter ones leave empty bands at 257."""
    n_mels: int = 257
    """F, mel bands."""
    f_min: float = 0.0
    f_max: float = 12000.0
    """Hertz: where the lowest band begins and the highest one ends."""
    power: float = since(2, 2.0)
    """Exponent of the spectrum's magnitude before the mel bands sum it: 2 is power, 1 magnitude, as YAMNet hears."""
    log_floor: float = 1e-6
    """Added to the mel bands before the natural logarithm."""
    mean: float = -6.0
    std: float = 4.0
    """Of the log-mel values, in nats."""

    def __post_init__(self) -> None:
        for name in ("sample_rate", "win_length", "hop_length", "n_fft", "n_mels"):
            check_whole(**{name: getattr(self, name)})
        # The matrix of mel bands, n_mels x n_fft / 2, has at most 256 MiB.
        check_most(sample_rate=(self.sample_rate, 768_000), n_fft=(self.n_fft, 65_536), n_mels=(self.n_mels, 2048))
        check_positive(power=self.power, log_floor=self.log_floor, std=self.std)
        check_finite(self)
        if self.win_length > self.n_fft:
            raise ArgumentError(
                f"win_length is {self.win_length}, n_fft {self.n_fft}; the window must fit into the FFT"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            given = f"f_min is {self.f_min:g}, f_max {self.f_max:g} at a sample rate of {self.sample_rate}"
            raise ArgumentError(f"{given}; bands rise from at least 0 to at most half of the rate")

    @property
    def hop_seconds(self) -> float:
        """Seconds from one spectrogram frame to the next."""
        return self.hop_length / self.sample_rate


class EncoderKind(NamedTuple):
    """One line of the table."""

    config_class: type[VisualConfig] | type[AudioConfig]
    network_class: type[nn.Module]


_KINDS: dict[str, EncoderKind] = {}


def register_encoder(
    kind: str, config_class: type[VisualConfig] | type[AudioConfig], network_class: type[nn.Module]
) -> None:
    """Makes an encoder known to `config.json`, `CMAC`, training and the command line.

    Args:
        kind: its name in `config.visual.kind` or `config.audio.kind`.
        config_class: a frozen dataclass that inherits from `VisualConfig` or `AudioConfig`, with `kind` as its default.
        network_class: an `nn.Module` made from such a config; it has `channels` and gives unpooled feature maps.

    Raises:
        ValueError: another encoder has this kind already; or the config is of neither modality, or names another kind.
    """
    if kind in _KINDS:
        raise ArgumentError(f"there is an encoder of kind {kind!r} already; choose another name")
    if not issubclass(config_class, VisualConfig | AudioConfig) or config_class().kind != kind:
        raise ArgumentError(
            f"{config_class.__name__} is no config of kind {kind!r}; inherit from VisualConfig or AudioConfig and set "
            f'kind: str = "{kind}"'
        )
    _KINDS[kind] = EncoderKind(config_class, network_class)


def encoder_kind(kind: str, modality: type[VisualConfig] | type[AudioConfig]) -> EncoderKind:
    """The encoder of a kind.

    Raises:
        ValueError: there is none of this modality.
    """
    found = _KINDS.get(kind)
    if found is None or not issubclass(found.config_class, modality):
        raise ArgumentError(f"there is no such encoder as {kind!r}; {known_kinds(modality)}")
    return found


def known_kinds(modality: type[VisualConfig] | type[AudioConfig]) -> str:
    """Which encoders there are, and where others come from, for messages."""
    known = [name for name, one in _KINDS.items() if issubclass(one.config_class, modality)]
    return f"known are {', '.join(known)}; others are registered first: cmac_hub.register_encoder, or --import MODULE"
