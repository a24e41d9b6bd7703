"""A multiple-instance contrastive loss: a clip is as near to a sound as its best place, a sound to a clip as its best
time-frequency cell.

The paper's Eq. 7 compares averages over a whole clip, so it never asks the guidance of Eq. 4 to stay low for a sound
that is not there. This loss compares the cosines of the guidance's finest scale: every sound of a (micro-)batch looks
for its best place in every clip, and finds the best one in its own (as EZ-VSL, Mo and Morgado 2022, does for single
frames). It needs no label. It is ours, not the paper's; a recipe's `mil_weight` adds it to Eq. 8.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmac_hub.attention import directions
from cmac_hub.config import Normalization
from cmac_hub.outputs import Output


def multiple_instance(
    output: Output, video_B: Tensor, temperature: float = 0.1, normalization: Normalization = "cosine"
) -> Tensor:
    """The loss of one batch, both maps, mean over pairs.

    Args:
        output: of `CMAC.forward`.
        video_B: (B,) int, which video a row is from: rows of one video are no negatives of each other.
        temperature: tau.
        normalization: the network's, see `attention.directions`.

    Returns:
        a scalar.
    """
    # A source stays for a clip, so a place is averaged over time; a sound may be short, so each moment is a cell.
    places_BCP = directions(output.visual.transformed.float(), normalization).mean(2).flatten(2)
    cells_BCP = directions(output.audio.transformed.float(), normalization).flatten(2)
    visual_BB = best_response(output.audio.filter.float(), places_BCP)
    audio_BB = best_response(output.visual.filter.float(), cells_BCP)
    return (symmetric(visual_BB / temperature, video_B) + symmetric(audio_BB / temperature, video_B)) / 2


def best_response(filter_BC: Tensor, places_BCP: Tensor) -> Tensor:
    """(B, B'): the highest cosine of filter b' of one modality with any place of row b of the other."""
    return torch.einsum("kc,bcp->bkp", F.normalize(filter_BC, dim=1), places_BCP).amax(2)


def symmetric(logits_BB: Tensor, video_B: Tensor) -> Tensor:
    """Cross-entropy of the diagonal along rows and along columns; other rows of the same video are left out."""
    count = len(video_B)
    same_BB = (video_B[:, None] == video_B[None]) & ~torch.eye(count, dtype=torch.bool, device=video_B.device)
    logits_BB = logits_BB.masked_fill(same_BB, -torch.inf)
    right_B = torch.arange(count, device=logits_BB.device)
    return (F.cross_entropy(logits_BB, right_B) + F.cross_entropy(logits_BB.T, right_B)) / 2
