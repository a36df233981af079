"""The result table and the comparisons as rows of text, the same for the terminal and the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from dialekt.evaluation.records import (
    METRICS,
    Comparison,
    EvaluationFacts,
    Fusion,
    FusionMethod,
    Interval,
    SystemResult,
)

_LABELS = {
    "bm25": "BM25",
    "base": "Base model",
    "hybrid_base": "Hybrid (BM25 + base)",
    "tuned": "Tuned model",
    "hybrid_tuned": "Hybrid (BM25 + tuned)",
}
_ORDER = ("bm25", "base", "hybrid_base", "tuned", "hybrid_tuned")
_DASH = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """One number as text: "0.751", and its interval "0.727 – 0.774"."""

    value: str
    interval: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """One system of the result table. `best` names the metrics in which no other row shown has a higher mean."""

    system: str
    label: str
    dimension: str
    cells: tuple[Cell, ...]
    recommended: bool
    best: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One comparison. `verdict` is "better", "worse" or "no proven difference"."""

    label: str
    metric: str
    difference: str
    interval: str
    p_value: str
    queries: str
    verdict: str


def result_rows(facts: EvaluationFacts, *, metrics: Sequence[str] = METRICS) -> tuple[TableRow, ...]:
    """Return the main systems, from BM25 to the tuned hybrid."""
    found = (facts.result(name) for name in _ORDER)
    return _rows(facts, [result for result in found if result is not None], metrics)


def dimension_rows(facts: EvaluationFacts, *, metrics: Sequence[str] = METRICS) -> tuple[TableRow, ...]:
    """Return base and tuned at every dimension, the largest first; empty when only one was measured."""
    dense = [result for result in facts.systems if result.system.partition("@")[0] in {"base", "tuned"}]
    dense.sort(key=lambda result: (-(result.dimension or 0), result.system))
    return _rows(facts, dense, metrics) if any("@" in result.system for result in dense) else ()


def comparison_rows(facts: EvaluationFacts, *, metrics: Sequence[str] = METRICS) -> tuple[ComparisonRow, ...]:
    """Return the comparisons in the order in which they were made, of the wanted metrics."""
    return tuple(_comparison_row(item) for item in facts.comparisons if item.metric in metrics)


def label(system: str) -> str:
    """Return how a system is called in tables: "hybrid_tuned" → "Hybrid (BM25 + tuned)"."""
    name = system.partition("@")[0]
    return _LABELS.get(name, name)


def describe_fusion(fusion: Fusion) -> str:
    """Say in words how a hybrid joins its two rankings."""
    share = f"BM25 weight {fusion.lexical_weight:.2g}"
    match fusion.method:
        case FusionMethod.RRF:
            return f"reciprocal rank fusion, k = {fusion.rank_constant}, {share}"
        case FusionMethod.CONVEX:
            return f"convex combination of scores, {share}"


def _rows(facts: EvaluationFacts, results: Sequence[SystemResult], metrics: Sequence[str]) -> tuple[TableRow, ...]:
    highest = {metric: max((result.metrics[metric].value for result in results), default=0.0) for metric in metrics}
    return tuple(
        TableRow(
            system=result.system,
            label=label(result.system),
            dimension=_DASH if result.dimension is None else str(result.dimension),
            cells=tuple(_cell(result.metrics[metric]) for metric in metrics),
            recommended=result.system == facts.recommendation,
            best=tuple(result.metrics[metric].value >= highest[metric] for metric in metrics),
        )
        for result in results
    )


def _cell(interval: Interval) -> Cell:
    return Cell(f"{interval.value:.3f}", f"{interval.low:.3f} {_DASH} {interval.high:.3f}")


def _comparison_row(item: Comparison) -> ComparisonRow:
    return ComparisonRow(
        label=f"{label(item.system)} − {label(item.against)}",
        metric=item.metric,
        difference=_signed(item.difference),
        interval=f"{_signed(item.low)} to {_signed(item.high)}",
        p_value="< 0.001" if item.p_value < 0.001 else f"{item.p_value:.3f}",
        queries=f"{item.wins} / {item.ties} / {item.losses}",
        verdict="better" if item.low > 0 else "worse" if item.high < 0 else "no proven difference",
    )


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
