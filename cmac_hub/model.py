"""CMAC as its users hold it: the network (`network.py`) with files in, features out, names and the Hub behind it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import torch
from huggingface_hub import HfApi, ModelCard, PyTorchModelHubMixin
from numpy.typing import ArrayLike

from cmac_hub import hub
from cmac_hub.card import CARD
from cmac_hub.config import DEFAULT_NETWORK, DType
from cmac_hub.errors import ArgumentError
from cmac_hub.network import Network
from cmac_hub.optimize import optimize_for_inference

if TYPE_CHECKING:
    from cmac_hub.features import Features


class CMAC(
    Network,
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

    # A text is an iterable of texts too, so that mypy cannot tell the two apart; the first one wins.
    @overload
    def extract_features(  # type: ignore[overload-overlap]
        self,
        media: str | os.PathLike[str] | None = None,
        *,
        frames: ArrayLike | None = None,
        frame_rate: float | None = None,
        waveform: ArrayLike | None = None,
        sample_rate: float | None = None,
        window: float | None = None,
        hop: float | None = None,
        audio_track: int | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Features: ...

    @overload
    def extract_features(
        self,
        media: Iterable[str | os.PathLike[str]],
        *,
        window: float | None = None,
        hop: float | None = None,
        audio_track: int | None = None,
        batch_size: int | None = None,
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
        audio_track: int | None = None,
        batch_size: int | None = None,
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
            audio_track: of files, which sound track is heard, counted from 1; the default is the first that can be
                decoded.
            batch_size: windows that the network is shown at once, which costs memory and changes rounding alone; the
                default is 16.
            progress: show a progress bar on stderr; the default shows one for more than one file, if there is a stderr.

        Returns:
            `Features`; for several paths a list of them, with None (and a warning) in the place of a file that cannot
            be read, so that one bad file does not cost the others.

        Raises:
            MediaError: a single file that cannot be read.
            ValueError: neither or both of paths and arrays, arrays of a wrong shape, dtype or rate, or a batch_size
                that is no whole number from 1 on.
        """
        from cmac_hub import features

        how: dict[str, Any] = {"window": window, "hop": hop, "batch_size": batch_size}
        heard = {"audio_track": audio_track}
        if (media is not None) == (frames is not None or waveform is not None):
            raise ArgumentError("give either a path (or some paths) or frames and/or a waveform by keyword")
        if media is not None and (frame_rate is not None or sample_rate is not None):
            raise ArgumentError("frame_rate and sample_rate are those of arrays; a file tells its own: leave them out")
        if media is None:
            if audio_track is not None:
                raise ArgumentError("audio_track is one of a file; leave it out beside arrays")
            return features.features_of_arrays(self, frames, frame_rate, waveform, sample_rate, **how)
        if isinstance(media, str | os.PathLike):
            return features.features_of_file(self, media, **how, **heard, progress=bool(progress))
        paths = _paths(media)
        show = len(paths) > 1 and sys.stderr is not None if progress is None else progress
        return features.features_of_files(self, paths, **how, **heard, progress=show)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] = DEFAULT_NETWORK,
        *,
        revision: str | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Trained weights by name, folder or Hub repository, in eval mode; see `cmac_hub.hub.load`.

        A class of your own, made from a config alone, gives a network of that class.
        """
        return hub.load(
            pretrained_model_name_or_path,
            cls,
            revision=revision,
            device=device,
            dtype=dtype,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )

    def optimize_for_inference(self, dtype: DType | torch.dtype = "auto") -> Self:
        """A copy in eval mode that computes the same faster, for inference alone: it can be neither trained nor saved.

        Batch norms are folded into the convolutions before them, with the activation behind; weights are laid out for
        the processor. In fp32 its maps differ by rounding alone.

        Args:
            dtype: of encoders and transforms; "auto" is bfloat16 where the processor multiplies in it (AVX512-BF16,
                AMX, GPUs), else float32. Attention maps and embeddings are fp32 all the same.

        Raises:
            ValueError: another dtype.
        """
        return optimize_for_inference(self, dtype)

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
        api = HfApi(token=token)
        # Makes the repository where there is none, and tells the owner where `repo_id` is a bare name.
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if api.file_exists(repo_id, "README.md", revision=branch):
            given = [ignore_patterns] if isinstance(ignore_patterns, str) else ignore_patterns or []
            ignore_patterns = [*given, "README.md"]
        how |= {"branch": branch, "token": token, "private": private, "ignore_patterns": ignore_patterns}
        return super().push_to_hub(repo_id, **how)

    def generate_model_card(self, *args: Any, **how: Any) -> ModelCard:
        """The README.md beside the weights (`card.py`), with the license of the weights."""
        card = super().generate_model_card(*args, **how, has_maps=self.config.attention is not None)
        card.data["license"] = self.config.license
        return card

    def _save_pretrained(self, save_directory: Path) -> None:
        hub.save_checkpoint(self, save_directory)


def _paths(media: object) -> list[str | os.PathLike[str]]:
    """Several paths. Raises ArgumentError for anything else."""
    accepted = "a path, some paths, or arrays by keyword: frames= and frame_rate=, waveform= and sample_rate="
    if not isinstance(media, Iterable) or isinstance(media, io.IOBase | np.ndarray | torch.Tensor | bytes):
        raise ArgumentError(f"media is a {type(media).__name__}; give {accepted}")
    found = list(media)
    for one in found:
        if not isinstance(one, str | os.PathLike):
            raise ArgumentError(f"media holds a {type(one).__name__}; give {accepted}")
    return found
