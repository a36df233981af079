"""The section on the teacher: a cross-encoder that reads query and document together."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section


class TeacherUse(StrEnum):
    """What a teacher that beats the student is used for."""

    FILTER = "filter"
    RELABEL = "relabel"
    DISTIL = "distil"


TRAINED_HERE = "trained"


class TeacherConfig(Section):
    """A cross-encoder that corrects negatives and teaches the student, if it ranks better than the student on dev."""

    model: str | None = Field(
        default=None,
        description="cross-encoder: Hugging Face name or folder, or 'trained': made here from your pairs; unset: none",
    )
    uses: tuple[TeacherUse, ...] = Field(
        default=(TeacherUse.RELABEL, TeacherUse.DISTIL),
        description="'filter' drops negatives that it rates above the positive, 'relabel' drops them too and makes the "
        "sure ones positives, 'distil' trains towards its scores",
    )
    depth: PositiveInt = Field(default=30, description="documents per dev query that it reranks to be compared")
    minimum_gain: float = Field(
        default=0.0, description="used only when the lower end of its NDCG@10 gain over the student on dev exceeds this"
    )
    relabel_margin: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="a negative must be rated above the positive by this much (logit) to be corrected"
    )
    max_tokens: PositiveInt = Field(default=256, description="longest query and document together")
    epochs: Annotated[float, Field(gt=0)] = Field(default=1.0, description="passes over the pairs, when trained here")
    learning_rate: Annotated[float, Field(gt=0)] = Field(default=1e-4, description="when trained here: the highest")
    negatives_per_pair: PositiveInt = Field(default=4, description="when trained here: wrong documents per pair")
    max_pairs: PositiveInt = Field(default=20_000, description="when trained here: pairs drawn at random from all")
    time_limit_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="when trained here: shorten training to fit"
    )
