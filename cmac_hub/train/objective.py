"""The objective of CMAC: attention consistency (Eq. 6), the remoulded contrastive loss (Eq. 7), their sum (Eq. 8)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmac_hub.model import Output


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
    cross_is_negative_BK: Tensor | None = None,
    within_is_negative_BK: Tensor | None = None,
) -> Tensor:
    """L_cl of Eq. 7 for one direction: the query against its key, other keys, and other samples of its own modality.

    Args:
        query_BD: (B, D) embeddings of unit length of one modality.
        key_BD: (B, D) the synchronous embeddings of the other modality, row by row the positives.
        cross_KD: (K, D) embeddings of the other modality, the cross-modal negatives.
        within_KD: (K', D) embeddings of the query's modality, the within-modal negatives; None leaves Eq. 2.
        temperature: tau.
        cross_is_negative_BK: (B, K) bool, False where a row of `cross_KD` is of the query's own video.
        within_is_negative_BK: (B, K') bool, likewise.

    Returns:
        (B,) -log(sim+ / (sim+ + sum of sims of negatives)), sim = exp(cosine / tau).
    """
    positive_B1 = (query_BD * key_BD).sum(1, keepdim=True)
    logits = [positive_B1]
    for negatives_KD, keep_BK in ((cross_KD, cross_is_negative_BK), (within_KD, within_is_negative_BK)):
        if negatives_KD is None:
            continue
        cosine_BK = query_BD @ negatives_KD.T
        logits.append(cosine_BK if keep_BK is None else cosine_BK.masked_fill(~keep_BK, -torch.inf))
    logits_BK = torch.cat(logits, 1) / temperature
    return torch.logsumexp(logits_BK, 1) - logits_BK[:, 0]


class Losses(NamedTuple):
    """One step's objective; `total` carries the gradient, the rest is for the log."""

    total: Tensor
    contrastive: Tensor
    consistency: Tensor
    accuracy: Tensor
    """Share of the batch whose sound is nearest to its own picture, within the batch."""


def in_batch_objective(
    output: Output,
    video_B: Tensor,
    *,
    weight: float = 1.5,
    temperature: float = 0.07,
    within_modal: bool = True,
    detach_target: bool = True,
    reduction: str = "mean",
) -> Losses:
    """Eq. 8 with the rest of the batch as negatives.

    Args:
        output: of `CMAC.forward`.
        video_B: (B,) int, which video a row is from: two rows of one video are no negatives of each other.
        weight: lambda.
        temperature: tau.
        within_modal: within-modal negatives as in Eq. 7; False is Eq. 2.
        detach_target: see `attention_consistency`.
        reduction: see `attention_consistency`.
    """
    visual_BD, audio_BD = output.visual.embedding, output.audio.embedding
    other_BB = video_B[:, None] != video_B[None]
    loss = visual_BD.new_zeros(())
    for query_BD, key_BD in ((visual_BD, audio_BD), (audio_BD, visual_BD)):
        loss = (
            loss
            + contrastive(
                query_BD,
                key_BD,
                key_BD,
                query_BD if within_modal else None,
                temperature=temperature,
                cross_is_negative_BK=other_BB,
                within_is_negative_BK=other_BB,
            ).mean()
        )
    maps = output.attention
    consistency = loss.new_zeros(())
    for guidance, prediction in (
        (maps.visual_guidance, maps.visual_prediction),
        (maps.audio_guidance, maps.audio_prediction),
    ):
        assert guidance is not None and prediction is not None
        consistency = consistency + attention_consistency(
            guidance, prediction.float(), reduction=reduction, detach_target=detach_target
        )
    with torch.no_grad():
        nearest_B = F.normalize(visual_BD, dim=1).matmul(audio_BD.T).argmax(1)
        accuracy = (nearest_B == torch.arange(len(nearest_B), device=nearest_B.device)).float().mean()
    return Losses(loss + weight * consistency, loss.detach(), consistency.detach(), accuracy)
