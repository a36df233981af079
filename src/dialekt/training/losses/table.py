"""The table of objectives: what each one minimises, what it needs, and how it is called in reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from dialekt.config import ObjectiveName
from dialekt.training.batches import StepBatch
from dialekt.training.losses.distillation import embedding_loss, listwise_loss, margin_mse_loss
from dialekt.training.losses.ranking import ranking_loss, symmetric_loss, triplet_loss
from dialekt.training.losses.scored import cosent_loss, cosine_loss


class Needs(StrEnum):
    """What an objective cannot do without, beside the pairs."""

    NOTHING = "nothing"
    GRADES = "grades"
    TEACHER = "teacher"
    EMBEDDINGS = "embeddings"


StepLoss = Callable[[Tensor, Tensor, StepBatch, float], Tensor]
"""Query vectors, document vectors, what is known of the step, and the temperature → one number."""


@dataclass(frozen=True, slots=True)
class Row:
    """An objective: its name in reports, what it needs, and its loss."""

    title: str
    needs: Needs
    loss: StepLoss


def _over_the_step(loss: Callable[..., Tensor]) -> StepLoss:
    """Return a loss that takes every other document of a step for a negative, as the table calls it."""

    def of(queries: Tensor, documents: Tensor, batch: StepBatch, temperature: float) -> Tensor:
        return loss(
            queries,
            documents,
            targets=batch.targets,
            masked=batch.masked,
            weights=batch.weights,
            temperature=temperature,
            discounts=batch.discounts,
        )

    return of


def _triplet(queries: Tensor, documents: Tensor, batch: StepBatch, _: float) -> Tensor:
    return triplet_loss(queries, documents, targets=batch.targets, masked=batch.masked, weights=batch.weights)


def _cosine(queries: Tensor, documents: Tensor, batch: StepBatch, _: float) -> Tensor:
    return cosine_loss(queries, documents, grades=_of_sources(batch.grades, batch), weights=batch.weights)


def _cosent(queries: Tensor, documents: Tensor, batch: StepBatch, temperature: float) -> Tensor:
    return cosent_loss(queries, documents, grades=_of_sources(batch.grades, batch), temperature=temperature)


def _listwise(queries: Tensor, documents: Tensor, batch: StepBatch, temperature: float) -> Tensor:
    assert batch.teacher is not None
    return listwise_loss(queries, documents, teacher=batch.teacher, weights=batch.weights, temperature=temperature)


def _margin_mse(queries: Tensor, documents: Tensor, batch: StepBatch, temperature: float) -> Tensor:
    assert batch.teacher is not None
    return margin_mse_loss(
        queries,
        documents,
        targets=batch.targets,
        teacher=batch.teacher,
        weights=batch.weights,
        temperature=temperature,
    )


def _embedding(queries: Tensor, documents: Tensor, batch: StepBatch, temperature: float) -> Tensor:
    assert batch.wanted is not None
    return embedding_loss(queries, documents, wanted=batch.wanted, weights=batch.weights, temperature=temperature)


def _of_sources(grades: Tensor | None, batch: StepBatch) -> Tensor:
    """Return the grades of the pairs that count here; those of weight 0 are unknown."""
    assert grades is not None
    return grades.masked_fill((batch.weights == 0)[:, None], torch.nan)


OBJECTIVES: Mapping[ObjectiveName, Row] = {
    ObjectiveName.RANKING: Row("multiple negatives ranking", Needs.NOTHING, _over_the_step(ranking_loss)),
    ObjectiveName.SYMMETRIC: Row("symmetric multiple negatives ranking", Needs.NOTHING, _over_the_step(symmetric_loss)),
    ObjectiveName.TRIPLET: Row("triplets", Needs.NOTHING, _triplet),
    ObjectiveName.COSINE: Row("cosine to the grade", Needs.GRADES, _cosine),
    ObjectiveName.COSENT: Row("CoSENT on grades", Needs.GRADES, _cosent),
    ObjectiveName.LISTWISE: Row("listwise KL towards the teacher", Needs.TEACHER, _listwise),
    ObjectiveName.MARGIN_MSE: Row("MarginMSE towards the teacher", Needs.TEACHER, _margin_mse),
    ObjectiveName.EMBEDDING: Row("KL towards another embedding model", Needs.EMBEDDINGS, _embedding),
}
