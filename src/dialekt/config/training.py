"""The section on training."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class Precision(StrEnum):
    """Number format of the matrix products in training."""

    FP32 = "fp32"
    BF16 = "bf16"


class Distillation(StrEnum):
    """How the student is trained towards a teacher's scores."""

    LISTWISE = "listwise"
    MARGIN_MSE = "margin_mse"


class TunedSide(StrEnum):
    """Which of the two encoders training changes: that of queries and documents alike, or that of queries alone."""

    BOTH = "both"
    QUERY = "query"


class TrainingMethod(StrEnum):
    """What training changes: the model's own weights, or a map that is put behind them and leaves them alone."""

    FULL = "full"
    ADAPTER = "adapter"


class TrainingConfig(Section):
    """How the model is tuned. Everything unset is derived from data and machine, printed and recorded."""

    method: TrainingMethod | None = Field(
        default=None, description="unset: full, or adapter where model.base is an endpoint; see the section adapter"
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
    distillation: Distillation = Field(
        default=Distillation.LISTWISE, description="how a teacher's scores are learned, where there are any"
    )
    distillation_weight: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="part of the loss that a teacher's scores have; the rest is contrastive"
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
