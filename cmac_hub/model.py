"""CMAC: two encoders, the attention that joins them, and one projection head, as one `nn.Module`.

The network knows no files. The methods that take or give files (`extract_features`, `from_pretrained`, ...) hand over
to the rooms above (`features.py`, `hub.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import torch
import torch.nn.functional as F
from huggingface_hub import HfApi, PyTorchModelHubMixin
from numpy.typing import ArrayLike
from torch import Tensor, nn

from cmac_hub import attention, preprocessing
from cmac_hub.card import CARD
from cmac_hub.config import CMACConfig
from cmac_hub.encoders import AudioEncoder, VisualEncoder
from cmac_hub.outputs import Attention, Output, Stream

if TYPE_CHECKING:
    from cmac_hub.features import Features


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Batch norms as in eval mode, and no gradients; afterwards every module is in the mode it was in.

    The results are ordinary tensors, so a probe or a student can be trained on them.
    """
    training = [module for module in model.modules() if module.training]
    try:
        with torch.no_grad():
            model.eval()
            yield
    finally:
        for module in training:
            module.training = True


class CMAC(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="cmac_hub",
    pipeline_tag="video-classification",
    tags=["audio-visual", "self-supervised", "sound-source-localization", "feature-extraction"],
    model_card_template=CARD,
):
    """The network of "Cross-Modal Attention Consistency for Video-Audio Unsupervised Learning" (arXiv 2106.06939).

    A new instance has random weights and is in training mode; `CMAC.from_pretrained` gives trained ones in eval mode.

    Args:
        config: every number of the network; the default is `cmac-base`, the paper's.
    """

    def __init__(self, config: CMACConfig | None = None) -> None:
        super().__init__()
        config = config or CMACConfig()
        self.config = config
        size = config.attention
        self.visual_encoder = VisualEncoder(config.visual)
        self.audio_encoder = AudioEncoder(config.audio)
        self.visual_transform = attention.VisualTransform(self.visual_encoder.channels, size.filter_channels)
        self.audio_transform = attention.AudioTransform(self.audio_encoder.channels, size.filter_channels)
        self.visual_saliency = attention.VisualSaliency(self.visual_encoder.channels, size.saliency_channels)
        self.audio_saliency = attention.AudioSaliency(self.audio_encoder.channels, size.saliency_channels)
        # Shared: Eq. 4 compares the filter of one modality with the map of the other, so their spaces must agree, and
        # only a common projection makes the contrastive loss align the spaces themselves.
        heads = ["shared"] if size.shared_head else ["visual", "audio"]
        self.heads = nn.ModuleDict({name: nn.Linear(size.filter_channels, size.embedding) for name in heads})

    @property
    def device(self) -> torch.device:
        """Where the weights are; raw inputs may be anywhere."""
        return next(self.parameters()).device

    def visual_stream(self, clips_BCTHW: Tensor) -> Stream:
        """Clips (B, 3, T, H, W), normalised -> their stream. Raises ValueError as `VisualEncoder` does."""
        features = self.visual_encoder(clips_BCTHW)
        return self._stream(features, self.visual_transform(features), self.visual_saliency(features), "visual")

    def audio_stream(self, spectrograms_BCFS: Tensor) -> Stream:
        """Spectrograms (B, 1, F, S), normalised -> their stream. Raises ValueError as `AudioEncoder` does."""
        features = self.audio_encoder(spectrograms_BCFS)
        return self._stream(features, self.audio_transform(features), self.audio_saliency(features), "audio")

    def _stream(self, features: Tensor, transformed: Tensor, saliency: Tensor, modality: str) -> Stream:
        filter_BC = attention.make_filter(transformed)
        head = self.heads["shared" if self.config.attention.shared_head else modality]
        return Stream(features, transformed, filter_BC, F.normalize(head(filter_BC).float(), dim=1), saliency)

    def forward(self, clips: Tensor, spectrograms: Tensor) -> Output:
        """One batch of synchronous pairs through the whole network.

        Args:
            clips: (B, 3, T, H, W) float, from `preprocess`.
            spectrograms: (B, 1, F, S) float, from `preprocess`.

        Raises:
            ValueError: a wrong shape, or batches of different sizes.
        """
        if len(clips) != len(spectrograms):
            raise ValueError(f"{len(clips)} clips and {len(spectrograms)} spectrograms; give as many of each")
        visual, audio = self.visual_stream(clips), self.audio_stream(spectrograms)
        return Output(visual, audio, self._attention(visual, audio))

    def _attention(self, visual: Stream | None, audio: Stream | None) -> Attention:
        guidance_v = guidance_a = None
        if visual is not None and audio is not None:
            how = self.config.attention.scales, self.config.attention.normalization
            # In fp32 under autocast too: a cosine near 1 has three digits in bf16.
            with torch.autocast(visual.map.device.type, enabled=False):
                guidance_v = attention.correlate_pyramid(audio.filter.float(), visual.transformed.float(), *how)
                guidance_a = attention.correlate_pyramid(visual.filter.float(), audio.transformed.float(), *how)
        return Attention(
            guidance_v,
            None if visual is None else visual.saliency,
            guidance_a,
            None if audio is None else audio.saliency,
        )

    def attend(self, clips: Tensor | None = None, spectrograms: Tensor | None = None) -> Attention:
        """The four attention maps, in eval mode and without gradients; with one stream alone, its prediction only.

        Args:
            clips: (B, 3, T, H, W) float, from `preprocess`, or None.
            spectrograms: (B, 1, F, S) float, from `preprocess`, or None.

        Returns:
            maps of (B, T', H', W') and (B, F', S'), fp32, see `Attention` for their range.

        Raises:
            ValueError: neither stream given, a wrong shape, or batches of different sizes.
        """
        if clips is None and spectrograms is None:
            raise ValueError("neither clips nor spectrograms were given; give at least one of them")
        with evaluating(self):
            if clips is not None and spectrograms is not None:
                maps = self(clips, spectrograms).attention
            else:
                maps = self._attention(
                    None if clips is None else self.visual_stream(clips),
                    None if spectrograms is None else self.audio_stream(spectrograms),
                )
        return Attention(*(None if one is None else one.float() for one in maps))

    def similarity(self, clips: Tensor, spectrograms: Tensor) -> Tensor:
        """Does this sound belong to this picture? (B, B') cosines of every clip with every spectrogram, fp32.

        In eval mode and without gradients.
        """
        with evaluating(self):
            return self.visual_stream(clips).embedding @ self.audio_stream(spectrograms).embedding.T

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
        """Raw arrays -> what the encoders take, one row a window, on the model's device and in its dtype.

        Args:
            frames: (T, H, W, 3) uint8 RGB, or None.
            frame_rate: hertz.
            waveform: (channels, n) or (n,) float in [-1, 1], or None.
            sample_rate: hertz.
            window: seconds; the default is the config's.
            hop: seconds between the starts of two windows; the default is the window.

        Returns:
            clips (B, 3, T, H, W) and spectrograms (B, 1, F, S); None in the place of a stream that was not given.

        Raises:
            ValueError: neither stream given, a missing rate, a wrong shape or dtype.
        """
        window = self.config.window if window is None else window
        _, frames_cut, sounds_cut, _ = preprocessing.cut_windows(
            frames, frame_rate, waveform, sample_rate, self.config, window, window if hop is None else hop
        )
        return self.prepare(frames_cut, sounds_cut)

    def prepare(self, frames_BTHWC: Tensor | None, waveforms_BN: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Windows already cut -> what the encoders take.

        Args:
            frames_BTHWC: (B, T, H, W, 3) uint8 at the config's size, or None.
            waveforms_BN: (B, n) float in [-1, 1] at the config's sample rate, or None.
        """
        clips = spectrograms = None
        device, dtype = self.device, next(self.parameters()).dtype
        if frames_BTHWC is not None:
            clips = preprocessing.normalize_clips(frames_BTHWC.to(device), self.config.visual).to(dtype)
        if waveforms_BN is not None:
            spectrograms = preprocessing.log_mel(waveforms_BN.to(device), self.config.audio).to(dtype)
        return clips, spectrograms

    @overload
    def extract_features(
        self,
        media: str | os.PathLike[str] | None = None,
        *,
        frames: ArrayLike | None = None,
        frame_rate: float | None = None,
        waveform: ArrayLike | None = None,
        sample_rate: float | None = None,
        window: float | None = None,
        hop: float | None = None,
        progress: bool | None = None,
    ) -> Features: ...

    @overload
    def extract_features(
        self,
        media: list[str]
        | list[str | Path]
        | list[str | os.PathLike[str]]
        | tuple[str | os.PathLike[str], ...]
        | Iterator[str | os.PathLike[str]]
        | Iterable[os.PathLike[str]],
        *,
        window: float | None = None,
        hop: float | None = None,
        progress: bool | None = None,
    ) -> list[Features | None]: ...

    def extract_features(
        self,
        media: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        *,
        frames: ArrayLike | None = None,
        frame_rate: float | None = None,
        waveform: ArrayLike | None = None,
        sample_rate: float | None = None,
        window: float | None = None,
        hop: float | None = None,
        progress: bool | None = None,
    ) -> Features | list[Features | None]:
        """Features of a file, of several files, or of arrays; in eval mode and without gradients.

        Args:
            media: a path, or some paths; or leave it out and give arrays.
            frames: (T, H, W, 3) uint8 RGB.
            frame_rate: hertz, of `frames`.
            waveform: (channels, n) or (n,) float in [-1, 1].
            sample_rate: hertz, of `waveform`.
            window: seconds that one row describes; the default is what the network was trained on.
            hop: seconds between two rows; the default is the window.
            progress: show a progress bar on stderr; the default shows one for more than one file.

        Returns:
            `Features`; for several paths a list of them, with None (and a warning) in the place of a file that cannot
            be read, so that one bad file does not cost the others.

        Raises:
            MediaError: a single file that cannot be read.
            ValueError: neither or both of paths and arrays, or arrays of a wrong shape, dtype or rate.
        """
        from cmac_hub import features

        how: dict[str, Any] = {"window": window, "hop": hop}
        if (media is not None) == (frames is not None or waveform is not None):
            raise ValueError("give either a path (or some paths) or frames and/or a waveform by keyword")
        if media is None:
            return features.features_of_arrays(self, frames, frame_rate, waveform, sample_rate, **how)
        if isinstance(media, str | os.PathLike):
            return features.features_of_file(self, media, **how, progress=bool(progress))
        paths = list(media)
        show = len(paths) > 1 if progress is None else progress
        return features.features_of_files(self, paths, **how, progress=show)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] = "cmac-nano",
        *,
        revision: str | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Trained weights by name, folder or Hub repository, in eval mode; see `cmac_hub.hub.load_model`.

        A class of your own, made from a config alone, gives a network of that class.
        """
        from cmac_hub import hub

        source = hub.parse_source(pretrained_model_name_or_path)
        folder = hub.fetch(
            source, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only
        )
        return hub.build(folder, cls, device=device, dtype=dtype)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        branch: str | None = None,
        token: str | None = None,
        private: bool | None = None,
        ignore_patterns: list[str] | str | None = None,
        **how: Any,
    ) -> str:
        """Uploads config and weights in one commit; a README.md that the repository has already is kept.

        Arguments are those of `huggingface_hub.ModelHubMixin.push_to_hub`.
        """
        hub = HfApi(token=token)
        # Makes the repository where there is none, and tells the owner where `repo_id` is a bare name.
        repo_id = hub.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if hub.file_exists(repo_id, "README.md", revision=branch):
            given = [ignore_patterns] if isinstance(ignore_patterns, str) else ignore_patterns or []
            ignore_patterns = [*given, "README.md"]
        how |= {"branch": branch, "token": token, "private": private, "ignore_patterns": ignore_patterns}
        return super().push_to_hub(repo_id, **how)

    def _save_pretrained(self, save_directory: Path) -> None:
        from cmac_hub.hub import save_model

        save_model(self, save_directory)
