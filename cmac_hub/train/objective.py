"""The objective of CMAC: attention consistency (Eq. 6), the remoulded contrastive loss (Eq. 7), their sum (Eq. 8).

Every alternative that the paper tests is a field of `ObjectiveSettings`: without L_ac (`consistency_weight=0`), without
L_cl (`contrastive_weight=0`), Eq. 2 (`within_negatives=False`), within-modal positives of Table 3 (`within_positives`),
and each modality on its own (`cross_modal=False`). A new one is a field there and its use in `objective`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from cmac_hub.config import Normalization
from cmac_hub.outputs import Attention, Output
from cmac_hub.train.fields import check, setting
from cmac_hub.train.multiple_instance import multiple_instance

Reduction = Literal["sum", "mean"]

EMPTY = -1


@dataclass(frozen=True)
class ObjectiveSettings:
    """What `objective` computes. The defaults are the paper's.

    Raises:
        RecipeError: a value that is not accepted.
    """

    contrastive_weight: float = setting(1.0, low=0)
    """0 is "CMAC w/o L_cl" of Table 1."""
    consistency_weight: float = setting(1.5, low=0, ablated=True)
    """lambda of Eq. 8; 0 is "CMAC w/o L_ac". What it means depends on `reduction`."""
    mil_weight: float = setting(0.0, low=0)
    """Of the multiple-instance loss of the best places (`multiple_instance.py`), which the paper does not have; each
    process compares its own clips."""
    cross_modal: bool = setting(True)
    """False is "Single Modality" of Table 1: positives and negatives of the query's modality alone, from two
    augmentations of one clip."""
    within_negatives: bool = setting(True)
    """Negatives of the query's modality too, as in Eq. 7; False is Eq. 2."""
    within_positives: bool = setting(False)
    """Table 3: the same modality of the video's other clip is a positive as well; both positives meet the same
    negatives, and their losses are averaged."""
    detach_target: bool = setting(True, ablated=True)
    """The guidance of Eq. 4 is a pseudo label: no gradient of L_ac flows through it. False lets L_ac change the
    guidance as well as the prediction."""
    reduction: Reduction = setting("sum", ablated=True)  # noqa: RUF009
    """Of the squared distances of Eq. 6 over the positions of a map: "sum" is Eq. 6 as it is written; "mean" divides it
    by the number of positions (256 on the visual map of cmac-base), so that one lambda means the same at every map
    size, and is that many times weaker."""
    temperature: float = setting(0.07, above=0)
    """tau of Eq. 2 and 7: cosines are divided by it before the softmax. A smaller one lets the nearest negatives weigh
    more. The multiple-instance loss uses it, too."""

    def __post_init__(self) -> None:
        check(self)


class Keys(NamedTuple):
    """Embeddings that queries are compared with, row by row of one batch: (B, D) of unit length."""

    visual: Tensor
    audio: Tensor


class Negatives(NamedTuple):
    """Embeddings of other videos, of the batch or of the memory bank."""

    visual: Tensor
    """(K, D) of unit length."""
    audio: Tensor
    """(K, D) of unit length."""
    video: Tensor
    """(K,) int, which video a row is from, or EMPTY, which is no negative of any query."""


def attention_consistency(
    guidance: Tensor, prediction: Tensor, *, reduction: Reduction = "sum", detach_target: bool = True
) -> Tensor:
    """L_ac of Eq. 6: the squared distance of a predicted map to its pseudo label.

    Args:
        guidance: (B, ...), s of Eq. 4, the pseudo label.
        prediction: (B, ...), s-hat of Eq. 5.
        reduction: over positions, see `ObjectiveSettings`.
        detach_target: no gradient through the pseudo label.

    Returns:
        a scalar, the mean over the batch.

    Raises:
        ValueError: maps of different shapes, or another reduction.
    """
    if guidance.shape != prediction.shape:
        raise ValueError(f"guidance {tuple(guidance.shape)} and prediction {tuple(prediction.shape)} differ in shape")
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; accepted are 'mean' and 'sum'")
    target = guidance.detach() if detach_target else guidance
    distance_BP = (target - prediction).square().flatten(1)
    return (distance_BP.mean(1) if reduction == "mean" else distance_BP.sum(1)).mean()


def contrastive(
    query_BD: Tensor,
    key_BD: Tensor,
    cross_KD: Tensor,
    within_KD: Tensor | None = None,
    *,
    temperature: float = 0.07,
    is_negative_BK: Tensor | None = None,
) -> Tensor:
    """L_cl of Eq. 7 for one direction: the query against its key, other keys, and other samples of its own modality.

    Args:
        query_BD: (B, D) embeddings of unit length of one modality.
        key_BD: (B, D), row by row the positives: the synchronous embeddings of the other modality.
        cross_KD: (K, D) embeddings of the other modality, the cross-modal negatives.
        within_KD: (K, D) embeddings of the query's modality, the within-modal negatives; None leaves Eq. 2.
        temperature: tau.
        is_negative_BK: (B, K) bool, False where a row of `cross_KD` and `within_KD` is of the query's own video.

    Returns:
        (B,) -log(sim+ / (sim+ + sum of sims of negatives)), sim = exp(cosine / tau).
    """
    logits = [(query_BD * key_BD).sum(1, keepdim=True)]
    for negatives_KD in (cross_KD, within_KD):
        if negatives_KD is not None:
            cosine_BK = query_BD @ negatives_KD.T
            logits.append(cosine_BK if is_negative_BK is None else cosine_BK.masked_fill(~is_negative_BK, -torch.inf))
    logits_BK = torch.cat(logits, 1) / temperature
    return torch.logsumexp(logits_BK, 1) - logits_BK[:, 0]


class Losses(NamedTuple):
    """One step's objective; `total` carries the gradient, the rest is for the log."""

    total: Tensor
    contrastive: Tensor
    consistency: Tensor
    accuracy: Tensor
    """Share of the queries that are nearer to their key than to all negatives (visual to audio)."""


def objective(
    output: Output,
    video_B: Tensor,
    settings: ObjectiveSettings = ObjectiveSettings(),
    *,
    keys: Keys | None = None,
    negatives: Negatives | None = None,
    normalization: Normalization = "cosine",
) -> Losses:
    """Eq. 8: `contrastive_weight` L_cl + `consistency_weight` L_ac.

    Args:
        output: of `CMAC.forward`.
        video_B: (B,) int, which video a row is from: rows of one video are no negatives of each other.
        settings: weights and alternatives.
        keys: of the momentum network; None takes the batch's own embeddings.
        negatives: of the memory bank, or of all ranks' batches; None takes the rest of the batch. Those of
            `multiple_instance` are always the other rows of `output`.
        normalization: of the network's Eq. 4, for `multiple_instance`.

    `cross_modal=False` and `within_positives` expect two clips of a video in the rows 2 i and 2 i + 1.

    Raises:
        ValueError: within-modal positives from an odd number of rows.
    """
    queries = Keys(output.visual.embedding, output.audio.embedding)
    keys = keys or queries
    negatives = negatives or Negatives(*queries, video_B)
    is_negative_BK = (video_B[:, None] != negatives.video[None]) & (negatives.video != EMPTY)[None]
    compare = partial(contrastive, temperature=settings.temperature, is_negative_BK=is_negative_BK)

    loss = queries.visual.new_zeros(())
    for query_BD, same_BD, other_BD, same_KD, other_KD in (
        (queries.visual, keys.visual, keys.audio, negatives.visual, negatives.audio),
        (queries.audio, keys.audio, keys.visual, negatives.audio, negatives.visual),
    ):
        terms = []
        if settings.cross_modal:
            within_KD = same_KD if settings.within_negatives else None
            terms.append(compare(query_BD, other_BD, other_KD, within_KD))
            if settings.within_positives:
                terms.append(compare(query_BD, _of_other_clip(same_BD), other_KD, within_KD))
        else:
            terms.append(compare(query_BD, _of_other_clip(same_BD), same_KD))
        loss = loss + torch.stack(terms).mean()

    consistency = loss.new_zeros(())
    if settings.consistency_weight:
        consistency = _consistency(output.attention, settings)
    with torch.no_grad():
        key_BD = keys.audio if settings.cross_modal else _of_other_clip(keys.visual)
        rival_KD = negatives.audio if settings.cross_modal else negatives.visual
        positive_B = (queries.visual * key_BD).sum(1)
        rival_B = (queries.visual @ rival_KD.T).masked_fill(~is_negative_BK, -torch.inf).amax(1)
        accuracy = (positive_B > rival_B).float().mean()
    total = settings.contrastive_weight * loss + settings.consistency_weight * consistency
    if settings.mil_weight:
        total = total + settings.mil_weight * multiple_instance(output, video_B, settings.temperature, normalization)
    return Losses(total, loss.detach(), consistency.detach(), accuracy)


def _of_other_clip(key_BD: Tensor) -> Tensor:
    """Swaps the rows 2 i and 2 i + 1."""
    if len(key_BD) % 2:
        raise ValueError(f"{len(key_BD)} rows are not pairs of clips; within-modal positives need two clips a video")
    return key_BD.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def _consistency(maps: Attention, settings: ObjectiveSettings) -> Tensor:
    assert maps.visual_guidance is not None and maps.visual_prediction is not None
    assert maps.audio_guidance is not None and maps.audio_prediction is not None
    compare = partial(attention_consistency, reduction=settings.reduction, detach_target=settings.detach_target)
    visual = compare(maps.visual_guidance, maps.visual_prediction.float())
    return visual + compare(maps.audio_guidance, maps.audio_prediction.float())
