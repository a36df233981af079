"""The section on training."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator

from dialekt.config.section import PositiveInt, Section
from dialekt.types import PairSource


class Precision(StrEnum):
    """Number format of the matrix products in training."""

    FP32 = "fp32"
    BF16 = "bf16"


class ObjectiveName(StrEnum):
    """What a training step can minimise; docs/objectives.md says when to take which."""

    RANKING = "ranking"
    SYMMETRIC = "symmetric"
    TRIPLET = "triplet"
    COSINE = "cosine"
    COSENT = "cosent"
    LISTWISE = "listwise"
    MARGIN_MSE = "margin_mse"
    EMBEDDING = "embedding"


class TunedSide(StrEnum):
    """Which of the two encoders training changes: that of queries and documents alike, or that of queries alone."""

    BOTH = "both"
    QUERY = "query"


class TrainingMethod(StrEnum):
    """What training changes: all weights, small matrices that are merged into them, or a map that is put behind."""

    FULL = "full"
    LORA = "lora"
    ADAPTER = "adapter"


SCORED_OBJECTIVES = frozenset({ObjectiveName.LISTWISE, ObjectiveName.MARGIN_MSE})
"""Objectives that follow a cross-encoder's scores."""

TAUGHT_OBJECTIVES = SCORED_OBJECTIVES | {ObjectiveName.EMBEDDING}
"""Objectives that follow a cross-encoder or a larger embedding model, beside the pairs."""


class TrainingConfig(Section):
    """How the model is tuned. Everything unset is derived from data and machine, printed and recorded."""

    method: TrainingMethod | None = Field(
        default=None,
        description="full: all weights; lora: low-rank matrices beside the linear layers, merged in at the end; "
        "adapter: a map behind the model (section adapter); unset: full, or adapter where model.base is an endpoint",
    )
    lora_rank: PositiveInt | None = Field(default=None, description="of the matrices of 'lora'; unset: 16")
    freeze_embeddings: bool = Field(default=False, description="leave the word and position embeddings as they are")
    frozen_layers: Annotated[int, Field(ge=0)] = Field(
        default=0, description="leave this many of the lowest layers as they are, the embeddings too"
    )
    side: TunedSide = Field(
        default=TunedSide.BOTH,
        description="query: documents keep the base model's vectors, so that its index stays valid; for a smaller gain",
    )
    seed: int | None = Field(
        default=None, description="of the training alone, to tell luck from gain; unset: project.seed"
    )
    epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="passes over the pairs; unset: fewer the more pairs there are"
    )
    batch_size: Annotated[int, Field(ge=2)] | None = Field(default=None, description="pairs per step")
    mini_batch_tokens: PositiveInt | None = Field(
        default=None, description="gradient caching: forward and backward in pieces of this many tokens"
    )
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="highest learning rate; it falls to zero in a straight line"
    )
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="part of the steps in which the learning rate rises"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=0.01, description="of AdamW")
    temperature: Annotated[float, Field(gt=0)] = Field(
        default=0.05, description="cosines are divided by this before the softmax of the loss"
    )
    objectives: Mapping[ObjectiveName, Annotated[float, Field(gt=0)]] | None = Field(
        default=None,
        description="what is minimised, with weights: a name, a list of names, names joined by +, or a table such as "
        "{ranking = 1.0, cosent = 0.5}; unset: ranking, and listwise as much where a teacher's scores are",
    )
    objective_sources: Mapping[ObjectiveName, tuple[PairSource, ...]] = Field(
        default={}, description="sources of pairs that an objective learns from; one that is not named learns from all"
    )
    distil_from: str | None = Field(
        default=None,
        description="a larger embedding model, by name, folder or address (openai:https://host/v1#model), whose "
        "cosines the objective 'embedding' learns",
    )
    distil_api_key_variable: str | None = Field(
        default=None, description="environment variable with the key of that address"
    )
    mask_above: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="a document is no negative of a query if the base model gives it more than this share of the "
        "positive's cosine; unset: only judged answers and near-duplicates are no negatives",
    )
    hard_negatives: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="mined negatives per positive document and step"
    )
    max_query_tokens: PositiveInt | None = Field(
        default=None, description="longest query in training; unset: 95% of them fit"
    )
    max_document_tokens: PositiveInt | None = Field(
        default=None, description="longest document in training; unset: 95% of them fit, up to a limit of the device"
    )
    precision: Precision | None = Field(
        default=None, description="of the matrix products; unset: the fastest that was measured on this machine"
    )
    evaluations: PositiveInt | None = Field(
        default=None, description="times the dev queries are scored during training"
    )
    patience: PositiveInt = Field(
        default=3, description="stop after this many dev evaluations without a better NDCG@10"
    )
    remine_every: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="mine again with the model under training every this part of an epoch"
    )
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="shorten training, dev scores included, to fit; the schedule still ends at zero"
    )
    max_tuned_share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="of the mixture; unset: 1, or 0.5 where the dev queries were made from documents"
    )
    interpolate: bool = Field(
        default=True, description="choose the mixture of base and tuned weights on the dev queries"
    )

    def without_scores(self) -> Self:
        """Return the settings where there is no cross-encoder: objectives that follow one are left out."""
        return self._without(SCORED_OBJECTIVES)

    def without_teachers(self) -> Self:
        """Return the settings of a short training that is given pairs and negatives alone."""
        return self._without(TAUGHT_OBJECTIVES).model_copy(update={"distil_from": None})

    def _without(self, names: frozenset[ObjectiveName]) -> Self:
        kept = {name: weight for name, weight in (self.objectives or {}).items() if name not in names}
        named = kept if self.objectives else frozenset(ObjectiveName) - names
        sources = {name: value for name, value in self.objective_sources.items() if name in named}
        return self.model_copy(update={"objectives": kept or None, "objective_sources": sources})

    @field_validator("objectives", mode="before")
    @classmethod
    def _named_objectives(cls, given: object) -> object:
        """Read a name, names joined by +, or a list of names as objectives of equal weight."""
        if isinstance(given, str):
            given = [name.strip() for name in given.split("+")]
        return dict.fromkeys(given, 1.0) if isinstance(given, Sequence) else given
