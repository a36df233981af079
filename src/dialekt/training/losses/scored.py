"""Objectives for pairs with a grade: scored pairs, graded judgments, judged non-matches."""

from torch import Tensor
from torch.nn import functional

from dialekt.training.losses.scores import cosines, mean_where, weighted_mean


def cosine_loss(query_vectors: Tensor, document_vectors: Tensor, *, grades: Tensor, weights: Tensor) -> Tensor:
    """Squared error of the cosine against the grade.

    loss = Σᵢ wᵢ · meanⱼ( (cos(qᵢ, dⱼ) − gᵢⱼ)² ) / Σᵢ wᵢ, over the documents j whose grade is known

    `grades` (pairs, documents) lies in [0, 1], NaN where unknown; a query without any counts for nothing.

    Reference: Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084 (regression objective).
    """
    known = ~grades.isnan()  # (pairs, documents)
    errors = (cosines(query_vectors, document_vectors) - grades.nan_to_num()) ** 2
    return weighted_mean(mean_where(errors, known), weights * known.any(dim=1))


def cosent_loss(query_vectors: Tensor, document_vectors: Tensor, *, grades: Tensor, temperature: float) -> Tensor:
    """Order all graded pairs of a step: each should have a larger cosine than every pair of a lower grade.

    loss = ln( 1 + Σ exp((cos_b − cos_a)/T) ) over all graded pairs a, b of the step with grade_a > grade_b

    `grades` (pairs, documents), NaN where unknown; zero where no two grades differ.

    Reference: Su 2022, https://kexue.fm/archives/8847 (CoSENT).
    """
    known = ~grades.isnan()
    scores, wanted = cosines(query_vectors, document_vectors)[known] / temperature, grades[known]  # (graded pairs,)
    differences = scores[None, :] - scores[:, None]  # [a, b] = cos_b − cos_a
    ordered = wanted[:, None] > wanted[None, :]
    terms = differences.masked_fill(~ordered, float("-inf")).flatten()
    return functional.pad(terms, (1, 0)).logsumexp(dim=0)
