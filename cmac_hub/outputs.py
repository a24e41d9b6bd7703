"""What the network gives: attention maps, and a batch on its way through it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Attention(NamedTuple):
    """The six maps of one batch, at map resolution; None where a stream was not given.

    In [0, 1] with the normalizations "cosine" and "bounded"; with Table 2's others guidance has the range of
    `attention.correlate`, and joint what `joint.join` makes of it.
    """

    visual_guidance: Tensor | None = None
    """(B, T', H', W'): where in the frame the sound's filter responds (Eq. 4)."""
    visual_prediction: Tensor | None = None
    """(B, T', H', W'): what the visual encoder alone attends to (Eq. 5)."""
    visual_joint: Tensor | None = None
    """(B, T', H', W'): guidance where the visual features are strong, and change, as well, spread over places that look
    alike (`joint.join`)."""
    audio_guidance: Tensor | None = None
    """(B, F', S'): which frequencies and moments the clip's filter responds to (Eq. 4)."""
    audio_prediction: Tensor | None = None
    """(B, F', S'): what the audio encoder alone attends to (Eq. 5)."""
    audio_joint: Tensor | None = None
    """(B, F', S'): guidance where the audio features are strong as well."""


class Compared(NamedTuple):
    """The maps of one batch, and how well sight and sound belong together as wholes."""

    attention: Attention
    agreement: Tensor | None
    """(B,) fp32 in [-1, 1]: the cosine of each clip's embedding with that of its own sound; None with one stream."""


class Stream(NamedTuple):
    """One modality of a batch on its way through the network."""

    map: Tensor
    """(B, C, ...) the encoder's feature map."""
    transformed: Tensor
    """(B, C, ...) g(.) of Eq. 3."""
    filter: Tensor
    """(B, C) kappa of Eq. 3."""
    embedding: Tensor
    """(B, D) of unit length: the projected filter."""

    @property
    def features(self) -> Tensor:
        """(B, C): the feature map averaged over its positions."""
        return self.map.flatten(2).mean(2)


class Output(NamedTuple):
    """All that training needs of one batch."""

    visual: Stream
    audio: Stream
    attention: Attention
