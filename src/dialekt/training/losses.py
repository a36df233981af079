"""The loss of the journey: multiple negatives ranking over hard negatives, inside Matryoshka."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4


def ranking_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    masked: Tensor,
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Multiple negatives ranking: every other document of the step is a negative, unless it answers the query too.

    loss = Σᵢ wᵢ · −log( exp(cos(qᵢ, d⁺ᵢ)/T) / Σⱼ∉Mᵢ exp(cos(qᵢ, dⱼ)/T) ) / Σᵢ wᵢ

    | input              | shape               |                                              |
    |--------------------|---------------------|----------------------------------------------|
    | `query_vectors`    | (pairs, dimension)  | any length, normalised here                  |
    | `document_vectors` | (documents, dim.)   | positives and hard negatives, each once      |
    | `targets`          | (pairs,)            | column of the positive                       |
    | `masked`           | (pairs, documents)  | true for other positives of the query (M)    |
    | `weights`          | (pairs,)            | ≥ 0                                          |

    Reference: Henderson et al. 2017, https://arxiv.org/abs/1705.00652; with the mask of several positives.
    """
    queries = functional.normalize(query_vectors.float(), dim=-1)
    documents = functional.normalize(document_vectors.float(), dim=-1)
    logits = (queries @ documents.T / temperature).masked_fill(masked, MASKED)  # (pairs, documents)
    losses = functional.cross_entropy(logits, targets, reduction="none")  # (pairs,)
    return (losses * weights).sum() / weights.sum()


def matryoshka_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    dimensions: Sequence[int],
    targets: Tensor,
    masked: Tensor,
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Mean of the ranking loss over nested prefixes of the vectors, so that short prefixes rank well too.

    Reference: Kusupati et al. 2022, https://arxiv.org/abs/2205.13147, equal weights.
    """
    losses = [
        ranking_loss(
            query_vectors[:, :dimension],
            document_vectors[:, :dimension],
            targets=targets,
            masked=masked,
            weights=weights,
            temperature=temperature,
        )
        for dimension in dimensions
    ]
    return torch.stack(losses).mean()
