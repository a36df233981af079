"""The losses of the journey: multiple negatives ranking, and learning from a teacher's scores, inside Matryoshka."""

from collections.abc import Callable, Sequence
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from dialekt.config import Distillation

MASKED = -1e4

Loss = Callable[[Tensor, Tensor], Tensor]
"""Query vectors (pairs, dimension) and document vectors (documents, dimension) of a step → one number."""


def cosines(query_vectors: Tensor, document_vectors: Tensor) -> Tensor:
    """Return the cosine of every query with every document; (pairs, documents)."""
    queries = functional.normalize(query_vectors.float(), dim=-1)
    documents = functional.normalize(document_vectors.float(), dim=-1)
    return queries @ documents.T


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
    return (losses * weights).sum() / weights.sum()


def listwise_loss(
    query_vectors: Tensor, document_vectors: Tensor, *, teacher: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Kullback-Leibler divergence of the student's distribution over a query's scored documents from the teacher's.

    loss = Σᵢ wᵢ · KL( softmaxⱼ(tᵢⱼ) ‖ softmaxⱼ(cos(qᵢ, dⱼ)/T) ) / Σᵢ wᵢ, over the documents j that the teacher scored

    `teacher` (pairs, documents) holds logits, NaN where there are none; a query with fewer than two counts for
    nothing. Zero when no query has two.

    Reference: Tamber et al. 2025, https://arxiv.org/abs/2505.19274 (listwise distillation of a cross-encoder).
    """
    known = ~teacher.isnan()  # (pairs, documents)
    usable = known.sum(dim=1) >= 2  # (pairs,)
    logits = (cosines(query_vectors, document_vectors) / temperature).masked_fill(~known, MASKED)
    wanted = teacher.masked_fill(~known, MASKED).log_softmax(dim=1)  # (pairs, documents)
    differences = functional.kl_div(logits.log_softmax(dim=1), wanted, log_target=True, reduction="none").sum(dim=1)
    return _weighted_mean(differences, weights * usable)


def margin_mse_loss(
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    teacher: Tensor,
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Squared error of the student's margins between positive and negatives, against the teacher's.

    loss = Σᵢ wᵢ · meanⱼ( (mᵢⱼ/T − tᵢⱼ)² ) / (Σᵢ wᵢ · meanⱼ(tᵢⱼ²)), with mᵢⱼ = cos(qᵢ, d⁺ᵢ) − cos(qᵢ, dⱼ) and the
    teacher's margin tᵢⱼ, over the documents j that the teacher scored beside the positive

    Dividing by the teacher's own squared margins makes the loss 1 for a student that sees no difference at all, so
    that it can be mixed with another loss whatever scale the teacher's logits have.

    Reference: Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666; as pseudo labels: GPL, Wang et al. 2022,
    https://arxiv.org/abs/2112.07577.
    """
    known = ~teacher.isnan()  # (pairs, documents)
    places = targets[:, None]
    others = known.scatter(1, places, value=False) & known.gather(1, places)  # (pairs, documents)
    scores = cosines(query_vectors, document_vectors) / temperature
    given = teacher.masked_fill(~known, 0.0)
    errors = (scores.gather(1, places) - scores) - (given.gather(1, places) - given)  # (pairs, documents)
    squared = _mean_where(errors**2, others)
    size = _mean_where((given.gather(1, places) - given) ** 2, others)
    usable = weights * others.any(dim=1)
    return _weighted_mean(squared, usable) / _weighted_mean(size, usable).clamp_min(1e-6)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values of every row, zero without any; (rows,)."""
    return (values * chosen).sum(dim=1) / chosen.sum(dim=1).clamp_min(1)


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp_min(1e-6)


def distillation_loss(
    kind: Distillation,
    query_vectors: Tensor,
    document_vectors: Tensor,
    *,
    targets: Tensor,
    teacher: Tensor,
    weights: Tensor,
    temperature: float,
) -> Tensor:
    """Return the loss by which a teacher's scores are learned, of the chosen kind."""
    match kind:
        case Distillation.LISTWISE:
            return listwise_loss(
                query_vectors, document_vectors, teacher=teacher, weights=weights, temperature=temperature
            )
        case Distillation.MARGIN_MSE:
            return margin_mse_loss(
                query_vectors,
                document_vectors,
                targets=targets,
                teacher=teacher,
                weights=weights,
                temperature=temperature,
            )
        case _:
            assert_never(kind)


def matryoshka_loss(
    query_vectors: Tensor, document_vectors: Tensor, *, dimensions: Sequence[int], loss: Loss
) -> Tensor:
    """Mean of a loss over nested prefixes of the vectors, so that short prefixes rank well too.

    Reference: Kusupati et al. 2022, https://arxiv.org/abs/2205.13147, equal weights.
    """
    losses = [loss(query_vectors[:, :dimension], document_vectors[:, :dimension]) for dimension in dimensions]
    return torch.stack(losses).mean()
