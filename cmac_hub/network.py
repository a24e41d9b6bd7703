"""The network of the paper: two encoders, the attention that joins them, one projection head. It knows no files.

`model.py` has the same network as its users hold it, with files, names and the Hub.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from cmac_hub import attention, joint, preprocessing
from cmac_hub.checks import check_choice
from cmac_hub.config import CMACConfig, Map
from cmac_hub.encoders.tiles import cut_tiles, lay_tiles
from cmac_hub.errors import ArgumentError, MissingPartError, short
from cmac_hub.eval_mode import evaluating
from cmac_hub.outputs import Attention, Compared, Output, Stream
from cmac_hub.registry import AudioConfig, VisualConfig, encoder_kind

Part = TypeVar("Part")


class Embedded(NamedTuple):
    """One modality of a batch, without its maps."""

    features: Tensor
    """(B, C): the encoder's map, averaged over its positions."""
    embedding: Tensor | None
    """(B, D) of unit length, fp32; None in a network without attention."""


class Network(nn.Module):
    """Encoders, transforms, saliency heads and projection of one config.

    A new instance has random weights and is in training mode. A network may lack one encoder, or the attention: it
    gives features of the streams that it has, and what needs the missing part raises `MissingPartError`.

    Args:
        config: every number of the network; the default is `cmac-base`, the paper's.
    """

    visual_encoder: nn.Module | None
    audio_encoder: nn.Module | None

    def __init__(self, config: CMACConfig | None = None) -> None:
        super().__init__()
        config = CMACConfig() if config is None else config
        if not isinstance(config, CMACConfig):
            how = "CMAC.from_pretrained(name) gives trained weights, architecture(name) a config"
            raise ArgumentError(f"config is {short(repr(config))}; give a CMACConfig: {how}")
        self.config = config
        self.visual_encoder = None if config.visual is None else make_encoder(config.visual)
        self.audio_encoder = None if config.audio is None else make_encoder(config.audio)
        size = config.attention
        if size is None:
            return
        visual, audio = self.channels("visual"), self.channels("audio")
        self.visual_transform = attention.Transform(3, visual, size.filter_channels)
        self.audio_transform = attention.Transform(2, audio, size.filter_channels)
        self.visual_saliency = attention.Saliency(3, visual, size.saliency_channels)
        self.audio_saliency = attention.Saliency(2, audio, size.saliency_channels)
        # Shared: Eq. 4 compares the filter of one modality with the map of the other, so their spaces must agree, and
        # only a common projection makes the contrastive loss align the spaces themselves.
        heads = ["shared"] if size.shared_head else ["visual", "audio"]
        self.heads = nn.ModuleDict({name: nn.Linear(size.filter_channels, size.embedding) for name in heads})

    @property
    def device(self) -> torch.device:
        """Where the weights are; raw inputs may be anywhere."""
        return next(self.parameters()).device

    def encoder(self, modality: str) -> nn.Module:
        """The "visual" or the "audio" encoder. Raises MissingPartError when the network has none."""
        check_choice("modality", modality, ("visual", "audio"))
        found: nn.Module | None = getattr(self, f"{modality}_encoder")
        if found is None:
            raise MissingPartError(f"the network {self.config.name!r} has no {modality} encoder")
        return found

    def channels(self, modality: str) -> int:
        """C of the feature map of the "visual" or the "audio" encoder."""
        return int(self.encoder(modality).channels)  # type: ignore[arg-type]

    def level_channels(self, modality: str) -> tuple[int, ...]:
        """C of each of the maps that lie side by side in the feature map of an encoder; most have one.

        Raises ArgumentError where an encoder's `level_channels` are not as many as its `channels` together.
        """
        encoder, channels = self.encoder(modality), self.channels(modality)
        found = tuple(getattr(encoder, "level_channels", (channels,)))
        if sum(found) != channels:
            raise ArgumentError(f"{type(encoder).__name__}.level_channels is {found}; together they must be {channels}")
        return found

    def require_attention(self, what: str) -> None:
        """Raises MissingPartError, which names `what` needs both encoders and the attention, when one is missing."""
        missing = [name for name in ("visual", "audio", "attention") if getattr(self.config, name) is None]
        if missing:
            parts = [name if name == "attention" else f"{name} encoder" for name in missing]
            raise MissingPartError(
                f"{what} needs both encoders and the attention; the network {self.config.name!r} has no "
                f"{' and no '.join(parts)}; it gives features: extract_features"
            )

    def embed_visual(self, clips_BCTHW: Tensor) -> Embedded:
        """Clips (B, 3, T, H, W), normalized -> pooled features and embeddings. Raises MissingPartError."""
        return self.embed("visual", self.encoder("visual")(clips_BCTHW))

    def embed_audio(self, spectrograms_BCFS: Tensor) -> Embedded:
        """Spectrograms (B, 1, F, S), normalized -> pooled features and embeddings. Raises MissingPartError."""
        return self.embed("audio", self.encoder("audio")(spectrograms_BCFS))

    def embed(self, modality: str, map_BC: Tensor) -> Embedded:
        """The feature map (B, C, ...) of the "visual" or the "audio" encoder -> pooled features and embeddings."""
        self._check_map(modality, map_BC)
        features_BC = map_BC.flatten(2).mean(2)
        if self.config.attention is None:
            return Embedded(features_BC, None)
        transformed = getattr(self, f"{modality}_transform")(map_BC)
        return Embedded(features_BC, self.project(modality, attention.make_filter(transformed)))

    def project(self, modality: str, filter_BC: Tensor) -> Tensor:
        """Filters kappa (B, C) of one modality -> embeddings (B, D) of unit length, fp32."""
        head = self.heads["shared" if self.config.require_attention().shared_head else modality]
        return F.normalize(head(filter_BC.to(next(head.parameters()).dtype)).float(), dim=1)

    def visual_stream(self, clips_BCTHW: Tensor, encoded: bool = False, tiles: int = 1) -> Stream:
        """Clips (B, 3, T, H, W), normalized -> their stream. Raises MissingPartError, or ValueError as the encoder.

        `encoded` takes what `FrameEncoder.encode_frames` gave (B, c, T, h, w) in the place of clips; `tiles` lays clips
        side by side, see `forward`.
        """
        self.require_attention("a map")
        encoder = self.encoder("visual")
        if encoded:
            return self._stream("visual", encoder.join_frames(clips_BCTHW))  # type: ignore[operator]
        return self._stream("visual", cut_tiles(encoder(lay_tiles(clips_BCTHW, tiles)), tiles))

    def audio_stream(self, spectrograms_BCFS: Tensor) -> Stream:
        """Spectrograms (B, 1, F, S), normalized -> their stream. Raises as `visual_stream`."""
        self.require_attention("a map")
        return self._stream("audio", self.encoder("audio")(spectrograms_BCFS))

    def _stream(self, modality: str, map_BC: Tensor) -> Stream:
        self._check_map(modality, map_BC)
        transformed = getattr(self, f"{modality}_transform")(map_BC)
        filter_BC = attention.make_filter(transformed)
        return Stream(map_BC, transformed, filter_BC, self.project(modality, filter_BC))

    def forward(self, clips: Tensor, spectrograms: Tensor, encoded: bool = False, tiles: int = 1) -> Output:
        """One batch of synchronous pairs through the whole network.

        Args:
            clips: (B, 3, T, H, W) float, from `preprocess`.
            spectrograms: (B, 1, F, S) float, from `preprocess`.
            encoded: `clips` are the frames' features (B, c, T, h, w) of a `FrameEncoder`, so that a frozen trunk need
                not run again.
            tiles: rows and columns of clips that the visual encoder looks at as one large clip; its map is cut apart
                again. In training a place then learns to tell of itself, and not of what lies beside it.

        Raises:
            ValueError: a wrong shape, or batches of different sizes, or one that does not fill the last large clip.
            MissingPartError: the network lacks an encoder or the attention.
        """
        _check_pairs(clips, spectrograms)
        visual, audio = self.visual_stream(clips, encoded, tiles), self.audio_stream(spectrograms)
        return Output(visual, audio, self._attention(visual, audio))

    def _check_map(self, modality: str, given: object) -> None:
        """Raises ArgumentError for what an encoder of one's own gave that is no feature map."""
        axes = 5 if modality == "visual" else 4
        channels = self.channels(modality)
        if isinstance(given, Tensor) and given.ndim == axes and given.shape[1] == channels:
            return
        what = tuple(given.shape) if isinstance(given, Tensor) else f"a {type(given).__name__}"
        expected = f"(B, {channels}, {'T, H, W' if modality == 'visual' else 'F, S'})"
        raise ArgumentError(f"{type(self.encoder(modality)).__name__} gave {what}; expected a map {expected}")

    def _attention(self, visual: Stream | None, audio: Stream | None, only: Map | None = None) -> Attention:
        visual_guidance = audio_guidance = visual_joint = audio_joint = None
        visual_prediction = audio_prediction = None
        if only in (None, "prediction"):
            visual_prediction = None if visual is None else self.visual_saliency(visual.map)
            audio_prediction = None if audio is None else self.audio_saliency(audio.map)
        if only != "prediction" and visual is not None and audio is not None:
            size = self.config.require_attention()
            how = size.scales, size.normalization
            # In fp32 under autocast too: a cosine near 1 has three digits in bf16.
            with attention.without_autocast(visual.map.device):
                visual_guidance = attention.correlate_pyramid(audio.filter.float(), visual.transformed.float(), *how)
                audio_guidance = attention.correlate_pyramid(visual.filter.float(), audio.transformed.float(), *how)
                if only != "guidance":
                    levels = self.level_channels("visual")
                    visual_joint = joint.mix_visual(visual_guidance, visual.map.detach(), size, levels)
                    audio_joint = joint.mix_audio(audio_guidance, audio.map.detach(), size)
        return Attention(
            visual_guidance=visual_guidance,
            visual_prediction=visual_prediction,
            visual_joint=visual_joint,
            audio_guidance=audio_guidance,
            audio_prediction=audio_prediction,
            audio_joint=audio_joint,
        )

    def attend(self, clips: Tensor | None = None, spectrograms: Tensor | None = None) -> Attention:
        """The six attention maps, in eval mode and without gradients; with one stream alone, its prediction only.

        Args:
            clips: (B, 3, T, H, W) float, from `preprocess`, or None.
            spectrograms: (B, 1, F, S) float, from `preprocess`, or None.

        Returns:
            maps of (B, T', H', W') and (B, F', S'), fp32, see `Attention` for their range.

        Raises:
            ValueError: neither stream given, a wrong shape, or batches of different sizes.
            MissingPartError: the network lacks an encoder or the attention.
        """
        if clips is None and spectrograms is None:
            raise ArgumentError("neither clips nor spectrograms were given; give at least one of them")
        self.require_attention("attend")
        _check_pairs(clips, spectrograms)
        with evaluating(self) as network:
            return network.attend_maps(
                None if clips is None else network.encoder("visual")(clips),
                None if spectrograms is None else network.encoder("audio")(spectrograms),
            )

    def attend_maps(self, visual_map: Tensor | None, audio_map: Tensor | None, *, only: Map | None = None) -> Attention:
        """`attend`, for those who have the encoders' maps already.

        Args:
            visual_map: (B, C, T', H', W'), or None.
            audio_map: (B, C, F', S'), or None.
            only: the one map that is asked for; others may then be None, which saves their time.

        Raises:
            MissingPartError: the network lacks an encoder or the attention.
        """
        return self.compare_maps(visual_map, audio_map, only=only).attention

    def compare_maps(self, visual_map: Tensor | None, audio_map: Tensor | None, *, only: Map | None = None) -> Compared:
        """`attend_maps`, and the agreement of each clip with its sound, which costs nothing beside it."""
        self.require_attention("attend")
        with evaluating(self) as network:
            visual = None if visual_map is None else network._stream("visual", visual_map)
            audio = None if audio_map is None else network._stream("audio", audio_map)
            maps = network._attention(visual, audio, only)
            agreement = None
            if visual is not None and audio is not None:
                agreement = (visual.embedding * audio.embedding).sum(1)
        return Compared(Attention(*(None if one is None else one.float() for one in maps)), agreement)

    def similarity(self, clips: Tensor, spectrograms: Tensor) -> Tensor:
        """Does this sound belong to this clip? (B, B') cosines of every clip with every spectrogram, fp32.

        In eval mode and without gradients. Raises MissingPartError when the network lacks an encoder or the attention.
        """
        self.require_attention("similarity")
        with evaluating(self) as network:
            visual, audio = network.embed_visual(clips).embedding, network.embed_audio(spectrograms).embedding
        assert visual is not None and audio is not None
        return visual @ audio.T

    def preprocess(
        self,
        frames: ArrayLike | None = None,
        frame_rate: float | None = None,
        waveform: ArrayLike | None = None,
        sample_rate: float | None = None,
        *,
        window: float | None = None,
        hop: float | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Raw arrays -> what the encoders take, one row a window, on the network's device and in its dtype.

        Args:
            frames: (T, H, W, 3) uint8 RGB, or None.
            frame_rate: hertz.
            waveform: (channels, n) or (n,) float in [-1, 1], or None.
            sample_rate: hertz.
            window: seconds; the default is the config's.
            hop: seconds between the starts of two windows; the default is the window.

        Returns:
            clips (B, 3, T, H, W) and spectrograms (B, 1, F, S); None in the place of a stream that was not given, or
            that the network has no encoder for.

        Raises:
            ValueError: neither stream given, a missing rate, a wrong shape or dtype.
        """
        window = self.config.window if window is None else window
        cut = preprocessing.cut_windows(
            frames, frame_rate, waveform, sample_rate, self.config, window, window if hop is None else hop
        )
        return self.prepare(*preprocessing.stack(list(cut)))

    def prepare(self, frames_BTHWC: Tensor | None, waveforms_BN: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Windows already cut -> what the encoders take.

        Args:
            frames_BTHWC: (B, T, H, W, 3) uint8 at the config's size, or None.
            waveforms_BN: (B, n) float in [-1, 1] at the config's sample rate, or None.

        Returns:
            clips and spectrograms, see `preprocess`.
        """
        clips = spectrograms = None
        device, dtype = self.device, next(self.parameters()).dtype
        if frames_BTHWC is not None and self.config.visual is not None:
            clips = preprocessing.normalize_clips(frames_BTHWC.to(device), self.config.visual).to(dtype)
        if waveforms_BN is not None and self.config.audio is not None:
            spectrograms = preprocessing.log_mel(waveforms_BN.to(device), self.config.audio).to(dtype)
        return clips, spectrograms


def _check_pairs(clips: Tensor | None, spectrograms: Tensor | None) -> None:
    # Not len(), which torch.export takes for a constant.
    if clips is not None and spectrograms is not None and clips.shape[0] != spectrograms.shape[0]:
        raise ArgumentError(f"{len(clips)} clips and {len(spectrograms)} spectrograms; give as many of each")


def make_encoder(config: VisualConfig | AudioConfig) -> nn.Module:
    """An encoder of the kind that the config names, with random weights."""
    modality = VisualConfig if isinstance(config, VisualConfig) else AudioConfig
    encoder = encoder_kind(config.kind, modality).network_class(config)
    if getattr(encoder, "channels", None) is None:
        raise ArgumentError(f"{type(encoder).__name__} has no channels; it must set self.channels, those of its map")
    return encoder
