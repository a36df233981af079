"""The sections on what comes out: evaluation, registry, report."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dialekt.config.section import PositiveInt, Section, Share


class EvaluationConfig(Section):
    """What is measured on the held-out queries."""

    depth: Annotated[int, Field(ge=100)] = Field(default=100, description="documents kept per query and system")
    confidence: Share = Field(default=0.95, description="of the intervals")
    resamples: PositiveInt = Field(default=10_000, description="bootstrap resamples, and sign flips of the paired test")
    hybrid_rank_constant: PositiveInt = Field(
        default=60, description="k of reciprocal rank fusion (Cormack et al. 2009)"
    )
    max_dev_queries: PositiveInt = Field(default=300, description="dev queries that training scores at each checkpoint")
    wins_and_losses: PositiveInt = Field(default=20, description="largest changes of a query kept, of each kind")
    labels: Path = Field(
        default=Path("labels.csv"),
        description="what people said of top results (dialekt judge read); counts for held-out queries",
    )
    slice_fields: tuple[str, ...] | None = Field(
        default=None, description="metadata fields of documents to slice by; unset: those with few values; empty: none"
    )
    threshold_precision: Share = Field(
        default=0.8, description="part of the results above a calibrated threshold that should be answers"
    )
    general: str = Field(
        default="builtin",
        description="general queries that guard against forgetting: 'builtin', 'nanobeir', 'off' or a BEIR folder",
    )
    general_queries: Annotated[int, Field(ge=20)] = Field(
        default=200, description="general queries that are asked at most"
    )
    max_general_loss: Annotated[float, Field(ge=0)] = Field(
        default=0.03, description="of NDCG@10 on general queries: more is refused by the gate and by the mixture"
    )


class RegistryConfig(Section):
    """Where versions live and what promotion asks for."""

    path: Path = Field(default=Path("registry"), description="folder of the versions and of the promotion log")
    minimum_gain: float = Field(
        default=0.0, description="the lower end of the interval of the NDCG@10 gain must lie above this"
    )


class ReportConfig(Section):
    """What the report shows."""

    texts: bool = Field(default=False, description="show query and document texts of wins and losses")
