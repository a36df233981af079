"""What an evaluation found: plain values, so that `dataclasses.asdict` is JSON and JSON can be read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dialekt.errors import StorageError
from dialekt.measures.metrics import METRICS, NDCG
from dialekt.types import Interval

MAIN_SYSTEMS = ("bm25", "base", "tuned", "hybrid_base", "hybrid_tuned")
"""The systems one can deploy, the simplest to operate first."""


@dataclass(frozen=True, slots=True)
class QueryScore:
    """One metric of one system on one test query."""

    query_id: str
    system: str
    metric: str
    value: float


class FusionMethod(StrEnum):
    """How two ranked lists become one."""

    RRF = "rrf"
    CONVEX = "convex"


@dataclass(frozen=True, slots=True)
class Fusion:
    """How a hybrid joins BM25 and dense retrieval, chosen on the dev queries.

    `lexical_weight` is BM25's share in (0, 1). `rank_constant` is the k of reciprocal rank fusion; convex
    fusion ignores it. `dev_score` is the NDCG@10 on `dev_queries` dev queries, None when there were none.
    """

    method: FusionMethod
    lexical_weight: float
    rank_constant: int
    dev_score: float | None = None
    dev_queries: int = 0


@dataclass(frozen=True, slots=True)
class SystemResult:
    """All metrics of one system. `dimension` is None for BM25; `dev_score` is NDCG@10 on the dev queries."""

    system: str
    dimension: int | None
    metrics: dict[str, Interval]
    fusion: Fusion | None = None
    dev_score: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`system` minus `against` on the same queries: mean, interval, sign-flip p-value, counts of queries.

    The interval excludes zero only where the sign-flip test rejects too, so `low > 0` alone is a proven gain.
    """

    system: str
    against: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class QueryChange:
    """NDCG@10 of one test query before and after tuning; `difference` = tuned - base."""

    query_id: str
    base: float
    tuned: float
    difference: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in bins of equal width between `low` and `high`; values outside fall into the outer bins."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LeakFacts:
    """What the leak check looked at. It raises when it finds something, so the counts are of clean things."""

    train_queries: int
    held_out_queries: int
    held_out_documents: int
    pairs: int
    negatives: int
    near_duplicate_similarity: float


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of the test queries, and NDCG@10 before and after on them.

    `dimension` says by what the queries were divided, `value` which part this is. The interval of `difference` (tuned
    minus base) is simultaneous: all slices' intervals hold at once with the stated confidence.
    """

    dimension: str
    value: str
    queries: int
    base: float
    tuned: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class JudgedShare:
    """How much of a system's first ten is judged at all, and NDCG@10 after unjudged documents are left out."""

    system: str
    judged: Interval
    condensed: Interval


@dataclass(frozen=True, slots=True)
class UnjudgedFacts:
    """What unjudged documents may hide: condensed lists (Sakai 2007) count only what was judged.

    `comparison` is tuned minus base on condensed lists, None without a tuned model. `meaningful` is False where only
    positives were judged: then leaving out the unjudged leaves nothing to be wrong about.
    """

    systems: tuple[JudgedShare, ...]
    comparison: Comparison | None
    judged_negatives: int
    meaningful: bool


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which cosine on a result is an answer with the wanted precision: chosen on dev, tried on test.

    `precision` is the share of test results above the threshold that are answers, `recall` the share of findable
    answers above it, `empty` the share of test queries left without any result. `cosine` is None where no threshold
    reaches the target on dev.
    """

    system: str
    target: float
    cosine: float | None
    precision: Interval | None
    recall: Interval | None
    empty: float | None
    queries: int


@dataclass(frozen=True, slots=True)
class GeneralFacts:
    """What tuning did to queries of the general world: `comparison` is tuned minus base, NDCG@10, query by query."""

    name: str
    queries: int
    documents: int
    base: Interval
    tuned: Interval
    comparison: Comparison
    limit: float
    passed: bool


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """Everything that table, report and promotion gate need; no text of a query or document.

    `similarity` has the keys "base_positives", "base_negatives", "tuned_positives", "tuned_negatives":
    cosines of test queries with their positives and with their best-ranked other documents. `separation`
    has "base" and "tuned": the probability that a positive's cosine exceeds such a negative's (ROC AUC).
    `strongest_baseline` is the one of BM25, base and base hybrid that is best on the dev queries. `made_queries` says
    that the test queries were made from documents: then nothing here speaks of people's queries.
    """

    queries: int
    documents: int
    systems: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...]
    minimum_detectable_effect: float
    standard_deviation: float
    recommendation: str
    recommendation_reason: str
    strongest_baseline: str
    similarity: dict[str, Histogram]
    separation: dict[str, float]
    wins: tuple[QueryChange, ...]
    losses: tuple[QueryChange, ...]
    leaks: LeakFacts
    confidence: float = 0.95
    resamples: int = 10_000
    dev_queries: int = 0
    made_queries: bool = False
    metrics: tuple[str, ...] = METRICS
    warnings: tuple[str, ...] = ()
    slices: tuple[Slice, ...] = ()
    unjudged: UnjudgedFacts | None = None
    thresholds: tuple[Threshold, ...] = ()
    general: GeneralFacts | None = None
    labels: int = 0

    def result(self, system: str) -> SystemResult | None:
        """Return the result of a system, None when it was not evaluated."""
        return next((result for result in self.systems if result.system == system), None)

    def comparison(self, system: str, against: str, metric: str = NDCG) -> Comparison | None:
        """Return the comparison of two systems, None when it was not made."""
        wanted = (system, against, metric)
        matches = (pair for pair in self.comparisons if (pair.system, pair.against, pair.metric) == wanted)
        return next(matches, None)


def facts_from_json(values: Mapping[str, Any]) -> EvaluationFacts:
    """Read facts back from JSON (a manifest's `facts`); raise `StorageError` when they do not fit."""
    try:
        return _revive_facts(dict(values))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"the evaluation facts are damaged or of another version: {error}",
            hint="run dialekt evaluate again",
        ) from error


def _revive_facts(values: dict[str, Any]) -> EvaluationFacts:
    return EvaluationFacts(
        **values
        | {
            "systems": tuple(_revive_system(system) for system in values["systems"]),
            "comparisons": tuple(Comparison(**comparison) for comparison in values["comparisons"]),
            "similarity": {
                name: Histogram(**histogram | {"counts": tuple(histogram["counts"])})
                for name, histogram in values["similarity"].items()
            },
            "wins": tuple(QueryChange(**change) for change in values["wins"]),
            "losses": tuple(QueryChange(**change) for change in values["losses"]),
            "leaks": LeakFacts(**values["leaks"]),
            "metrics": tuple(values["metrics"]),
            "warnings": tuple(values["warnings"]),
            "slices": tuple(Slice(**one) for one in values["slices"]),
            "unjudged": values["unjudged"] and _revive_unjudged(values["unjudged"]),
            "thresholds": tuple(_revive_threshold(one) for one in values["thresholds"]),
            "general": values["general"] and _revive_general(values["general"]),
        }
    )


def _revive_unjudged(values: Mapping[str, Any]) -> UnjudgedFacts:
    systems = (
        JudgedShare(one["system"], Interval(**one["judged"]), Interval(**one["condensed"])) for one in values["systems"]
    )
    comparison = values["comparison"] and Comparison(**values["comparison"])
    return UnjudgedFacts(**dict(values) | {"systems": tuple(systems), "comparison": comparison})


def _revive_threshold(values: Mapping[str, Any]) -> Threshold:
    intervals = {name: values[name] and Interval(**values[name]) for name in ("precision", "recall")}
    return Threshold(**dict(values) | intervals)


def _revive_general(values: Mapping[str, Any]) -> GeneralFacts:
    intervals = {name: Interval(**values[name]) for name in ("base", "tuned")}
    return GeneralFacts(**dict(values) | intervals | {"comparison": Comparison(**values["comparison"])})


def _revive_system(values: Mapping[str, Any]) -> SystemResult:
    fusion = values["fusion"]
    return SystemResult(
        **dict(values)
        | {
            "metrics": {name: Interval(**interval) for name, interval in values["metrics"].items()},
            "fusion": fusion and Fusion(**fusion | {"method": FusionMethod(fusion["method"])}),
        }
    )
