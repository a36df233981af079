"""The section on the question before tuning: is it worth it?"""

from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section, Share


class DiagnosisConfig(Section):
    """How `dialekt diagnose` finds out whether tuning is worth it."""

    minutes: Annotated[float, Field(gt=0)] = Field(
        default=4.0, description="time for the probes that are really trained; the rest takes what it takes"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.2, description="largest part of the train queries that the probes learn from"
    )
    seeds: PositiveInt = Field(default=3, description="repetitions of every cheap probe, with other train queries")
    max_documents: PositiveInt = Field(
        default=20_000, description="a larger corpus is sampled: answers, hard candidates, then random documents"
    )
    max_queries: PositiveInt = Field(default=1_000, description="held-out queries that are asked at most")
    least_gain: Annotated[float, Field(ge=0)] = Field(
        default=0.01, description="gain of NDCG@10 from which tuning is worth its trouble"
    )
    confidence: Share = Field(default=0.9, description="of the predicted intervals")
