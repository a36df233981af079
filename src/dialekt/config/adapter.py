"""The section on adapters: maps on frozen vectors."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class AdapterKind(StrEnum):
    """What a map is made of: one matrix, or a small hidden layer whose output is added to the vector."""

    LINEAR = "linear"
    MLP = "mlp"


class AdapterConfig(Section):
    """The map that training.method = "adapter" learns behind a model whose weights stay, or are out of reach."""

    kind: AdapterKind | None = Field(default=None, description="unset: linear")
    hidden_dimension: PositiveInt | None = Field(
        default=None, description="width of the hidden layer of an mlp; unset: a quarter of the dimension, 32 at least"
    )
    shared: bool | None = Field(
        default=None, description="one map for queries and documents; unset: false, each side has its own"
    )
    negatives: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="random documents per step, beside those of the batch; unset: 512, 2,048 if frozen"
    )
    strengths: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        default=None, description="pulls towards the untouched vectors, tried on dev; unset: 0 and 0.1"
    )
