"""The objective of CMAC: attention consistency (Eq. 6), the remoulded contrastive loss (Eq. 7), their sum (Eq. 8).

Every alternative that the paper tests is an argument of `objective`: without L_ac (`consistency_weight=0`), without
L_cl (`contrastive_weight=0`), Eq. 2 (`within_negatives=False`), within-modal positives of Table 3 (`within_positives`),
and each modality on its own (`cross_modal=False`).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from cmac_hub.outputs import Attention, Output
from cmac_hub.train.multiple_instance import multiple_instance


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
    """(K,) int, which video a row is from; -1 marks an empty place."""


def attention_consistency(
    guidance: Tensor, prediction: Tensor, *, reduction: str = "mean", detach_target: bool = True
) -> Tensor:
    """L_ac of Eq. 6: the squared distance of a predicted map to its pseudo label.

    Args:
        guidance: (B, ...), s of Eq. 4, the pseudo label.
        prediction: (B, ...), s-hat of Eq. 5.
        reduction: "mean" over positions, so that lambda means the same at every map size, or the paper's "sum".
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
    """Share of the queries that are nearer to their own key than to all negatives (picture to sound)."""


def objective(
    output: Output,
    video_B: Tensor,
    *,
    keys: Keys | None = None,
    negatives: Negatives | None = None,
    contrastive_weight: float = 1.0,
    consistency_weight: float = 1.5,
    mil_weight: float = 0.0,
    temperature: float = 0.07,
    cross_modal: bool = True,
    within_negatives: bool = True,
    within_positives: bool = False,
    detach_target: bool = True,
    reduction: str = "mean",
) -> Losses:
    """Eq. 8: `contrastive_weight` L_cl + `consistency_weight` L_ac.

    Args:
        output: of `CMAC.forward`.
        video_B: (B,) int, which video a row is from: rows of one video are no negatives of each other.
        keys: of the momentum network; None takes the batch's own embeddings.
        negatives: of the memory bank, or of all ranks' batches; None takes the rest of the batch.
        contrastive_weight: 1 in the paper; 0 is "without L_cl" of Table 1.
        consistency_weight: lambda; 0 is "without L_ac".
        mil_weight: of `multiple_instance`, which the paper does not have; its negatives are the other rows of `output`.
        temperature: tau.
        cross_modal: False is "single modality" of Table 1: positives and negatives of the query's modality alone.
        within_negatives: negatives of the query's modality too, as in Eq. 7; False is Eq. 2.
        within_positives: Table 3: the same modality of the video's other clip is a positive as well; both positives
            meet the same negatives, and their losses are averaged.
        detach_target: see `attention_consistency`.
        reduction: see `attention_consistency`.

    `cross_modal=False` and `within_positives` expect two clips of a video in the rows 2 i and 2 i + 1.

    Raises:
        ValueError: within-modal positives from an odd number of rows.
    """
    own = Keys(output.visual.embedding, output.audio.embedding)
    keys = keys or own
    negatives = negatives or Negatives(*own, video_B)
    is_negative_BK = (video_B[:, None] != negatives.video[None]) & (negatives.video >= 0)[None]
    compare = partial(contrastive, temperature=temperature, is_negative_BK=is_negative_BK)

    loss = own.visual.new_zeros(())
    for query_BD, same_BD, other_BD, same_KD, other_KD in (
        (own.visual, keys.visual, keys.audio, negatives.visual, negatives.audio),
        (own.audio, keys.audio, keys.visual, negatives.audio, negatives.visual),
    ):
        terms = []
        if cross_modal:
            within_KD = same_KD if within_negatives else None
            terms.append(compare(query_BD, other_BD, other_KD, within_KD))
            if within_positives:
                terms.append(compare(query_BD, _of_other_clip(same_BD), other_KD, within_KD))
        else:
            terms.append(compare(query_BD, _of_other_clip(same_BD), same_KD))
        loss = loss + torch.stack(terms).mean()

    consistency = loss.new_zeros(())
    if consistency_weight:
        consistency = _consistency(output.attention, reduction, detach_target)
    with torch.no_grad():
        key_BD = keys.audio if cross_modal else _of_other_clip(keys.visual)
        rival_KD = negatives.audio if cross_modal else negatives.visual
        own_B = (own.visual * key_BD).sum(1)
        rival_B = (own.visual @ rival_KD.T).masked_fill(~is_negative_BK, -torch.inf).amax(1)
        accuracy = (own_B > rival_B).float().mean()
    total = contrastive_weight * loss + consistency_weight * consistency
    if mil_weight:
        total = total + mil_weight * multiple_instance(output, video_B, temperature)
    return Losses(total, loss.detach(), consistency.detach(), accuracy)


def _of_other_clip(key_BD: Tensor) -> Tensor:
    """Swaps the rows 2 i and 2 i + 1."""
    if len(key_BD) % 2:
        raise ValueError(f"{len(key_BD)} rows are not pairs of clips; within-modal positives need two clips a video")
    return key_BD.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def _consistency(maps: Attention, reduction: str, detach_target: bool) -> Tensor:
    assert maps.visual_guidance is not None and maps.visual_prediction is not None
    assert maps.audio_guidance is not None and maps.audio_prediction is not None
    compare = partial(attention_consistency, reduction=reduction, detach_target=detach_target)
    visual = compare(maps.visual_guidance, maps.visual_prediction.float())
    return visual + compare(maps.audio_guidance, maps.audio_prediction.float())
