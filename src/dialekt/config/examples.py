"""The sections on training examples: pairs and hard negatives."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from dialekt.config.section import PositiveInt, Section
from dialekt.types import PairSource, Retriever


class PairsConfig(Section):
    """Which judgments become training pairs, and how the sources of pairs are mixed."""

    minimum_grade: float = Field(default=1.0, description="a judgment from this grade on is a positive")
    max_positives_per_query: PositiveInt | None = Field(
        default=None, description="best grades first; unset: all positives become pairs"
    )
    leave_out: tuple[PairSource, ...] = Field(default=(), description="sources that training does without")
    source_weights: Mapping[PairSource, Annotated[float, Field(gt=0)]] = Field(
        default={PairSource.LOGS: 1.0, PairSource.SYNTHETIC: 0.5},
        description="weight in the loss of a pair by its source; a source that is not named has 1",
    )
    source_caps: Mapping[PairSource, PositiveInt] = Field(
        default={}, description="most pairs of a source, the heaviest first; a source that is not named has no limit"
    )


class NegativeSampling(StrEnum):
    """How negatives are drawn from the candidates that survived the guard."""

    TOP = "top"
    RANDOM = "random"


class NegativesConfig(Section):
    """Candidates, guard and sampling of hard negatives."""

    per_query: Annotated[int, Field(ge=0)] = Field(
        default=4, description="hard negatives kept per query; training draws from them"
    )
    retrievers: tuple[Retriever, ...] = Field(
        default=(Retriever.BM25, Retriever.DENSE), description="who proposes candidates: 'bm25', 'dense' or both"
    )
    depth: PositiveInt = Field(default=100, description="candidates per retriever and query")
    rank_from: PositiveInt = Field(default=1, description="first retrieval rank that may be a negative")
    margin: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.95, description="a candidate must score below this share of the positive's score (NV-Retriever)"
    )
    sampling: NegativeSampling = Field(
        default=NegativeSampling.TOP, description="'top' takes the best ranks, 'random' draws among all that survived"
    )
    same_category_field: str | None = Field(
        default=None, description="metadata field in which a negative must equal the positive"
    )
    examples: Annotated[int, Field(ge=0)] = Field(
        default=0, description="texts of this many decisions per rule in the audit; 0 keeps texts out"
    )

    @field_validator("retrievers")
    @classmethod
    def _only_searching_retrievers(cls, retrievers: tuple[Retriever, ...]) -> tuple[Retriever, ...]:
        """Refuse `given`: negatives that came with the judgments are always used, and nothing searches for them."""
        if Retriever.GIVEN in retrievers:
            raise ValueError("only 'bm25' and 'dense' can search; given negatives are used without being named here")
        return retrievers
