"""Objectives that need nothing but pairs: every other document of a step is a negative."""

import torch
from torch import Tensor
from torch.nn import functional

from dialekt.training.losses.scores import MASKED, cosines, mean_where, weighted_mean

TRIPLET_MARGIN = 0.2


def ranking_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    masked: Tensor,
    weights: Tensor,
    temperature: float,
    discounts: Tensor | None = None,
) -> Tensor:
    """Multiple negatives ranking: every other document of the step is a negative, unless it answers the query too.

    loss = Σᵢ wᵢ · −log( exp(cos(qᵢ, d⁺ᵢ)/T) / Σⱼ∉Mᵢ vᵢⱼ·exp(cos(qᵢ, dⱼ)/T) ) / Σᵢ wᵢ

    | input              | shape               |                                                        |
    |--------------------|---------------------|--------------------------------------------------------|
    | `query_vectors`    | (pairs, dimension)  | any length, normalised here                            |
    | `document_vectors` | (documents, dim.)   | positives and hard negatives, each once                |
    | `targets`          | (pairs,)            | column of the positive                                 |
    | `masked`           | (pairs, documents)  | true for other positives of the query (M)              |
    | `weights`          | (pairs,)            | ≥ 0 (w)                                                |
    | `discounts`        | (pairs, documents)  | ln v ≤ 0 of weak negatives, else 0; None: v = 1        |

    Reference: Henderson et al. 2017, https://arxiv.org/abs/1705.00652; with the mask of several positives.
    """
    logits = cosines(query_vectors, document_vectors) / temperature  # (pairs, documents)
    if discounts is not None:
        logits = logits + discounts
    losses = functional.cross_entropy(logits.masked_fill(masked, MASKED), targets, reduction="none")  # (pairs,)
    return weighted_mean(losses, weights)


def symmetric_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    masked: Tensor,
    weights: Tensor,
    temperature: float,
    discounts: Tensor | None = None,
) -> Tensor:
    """Multiple negatives ranking both ways: each query among the documents, each document among the queries.

    loss = (forward + backward) / 2, with `ranking_loss` forward, and backward

    Σᵢ wᵢ · −log( exp(cos(qᵢ, d⁺ᵢ)/T) / Σⱼ∈Bᵢ exp(cos(qⱼ, d⁺ᵢ)/T) ) / Σᵢ wᵢ, where Bᵢ is i and every query of the step
    that d⁺ᵢ does not answer

    Shapes as in `ranking_loss`.

    Reference: the symmetric cross entropy of CLIP, Radford et al. 2021, https://arxiv.org/abs/2103.00020.
    """
    forward = ranking_loss(
        query_vectors,
        document_vectors,
        targets=targets,
        masked=masked,
        weights=weights,
        temperature=temperature,
        discounts=discounts,
    )
    logits = (cosines(query_vectors, document_vectors) / temperature).T[targets]  # (pairs, queries)
    answered = masked.T[targets] | (targets[None, :] == targets[:, None])  # (pairs, queries)
    own = torch.arange(len(targets), device=targets.device)
    answered = answered.scatter(1, own[:, None], value=False)
    losses = functional.cross_entropy(logits.masked_fill(answered, MASKED), own, reduction="none")  # (pairs,)
    return (forward + weighted_mean(losses, weights)) / 2


def triplet_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    masked: Tensor,
    weights: Tensor,
    margin: float = TRIPLET_MARGIN,
) -> Tensor:
    """Push every negative of the step below the positive by a margin; triplets that already are count for nothing.

    loss = Σᵢ wᵢ · meanⱼ∈Vᵢ( cos(qᵢ, dⱼ) − cos(qᵢ, d⁺ᵢ) + margin ) / Σᵢ wᵢ, where Vᵢ are the negatives that violate the
    margin

    Shapes as in `ranking_loss`; `margin` is a difference of cosines.

    Reference: Schroff et al. 2015, https://arxiv.org/abs/1503.03832 (all triplets of a batch, mean of the active ones).
    """
    scores = cosines(query_vectors, document_vectors)
    places = targets[:, None]
    violations = scores - scores.gather(1, places) + margin  # (pairs, documents)
    counted = (~masked).scatter(1, places, value=False) & (violations > 0)
    return weighted_mean(mean_where(violations, counted), weights)
