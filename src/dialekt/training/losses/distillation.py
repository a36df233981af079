"""Objectives that follow a teacher: a cross-encoder's scores, or the cosines of a larger embedding model."""

from torch import Tensor
from torch.nn import functional

from dialekt.training.losses.scores import MASKED, cosines, mean_where, weighted_mean


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
    return weighted_mean(differences, weights * usable)


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
    squared = mean_where(errors**2, others)
    size = mean_where((given.gather(1, places) - given) ** 2, others)
    usable = weights * others.any(dim=1)
    return weighted_mean(squared, usable) / weighted_mean(size, usable).clamp_min(1e-6)


def embedding_loss(
    query_vectors: Tensor, document_vectors: Tensor, *, wanted: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Rank the documents of a step as another embedding model does, whatever its dimension.

    loss = Σᵢ wᵢ · KL( softmaxⱼ(tᵢⱼ/T) ‖ softmaxⱼ(cos(qᵢ, dⱼ)/T) ) / Σᵢ wᵢ, over all documents j of the step

    `wanted` (pairs, documents) holds the other model's cosines t.

    Reference: EmbedDistill, Kim et al. 2023, https://arxiv.org/abs/2301.12005 (the score-based part).
    """
    return listwise_loss(
        query_vectors, document_vectors, teacher=wanted / temperature, weights=weights, temperature=temperature
    )
