"""The result table reads the same wherever it is shown."""

from dataclasses import replace

import pytest

from dialekt.evaluation.records import (
    Comparison,
    EvaluationFacts,
    Fusion,
    FusionMethod,
    Interval,
    LeakFacts,
    SystemResult,
)
from dialekt.evaluation.table import (
    Cell,
    comparison_rows,
    describe_fusion,
    dimension_rows,
    result_rows,
)


def result(system: str, value: float, dimension: int | None) -> SystemResult:
    """Make a result with one metric."""
    return SystemResult(system, dimension, {"NDCG@10": Interval(value, value - 0.1, value + 0.1)})


@pytest.fixture
def facts() -> EvaluationFacts:
    """Results in the order in which they are measured."""
    return EvaluationFacts(
        queries=100,
        documents=900,
        systems=(
            result("bm25", 0.4, None),
            result("base", 0.5, 384),
            result("hybrid_base", 0.55, 384),
            result("rrf_base", 0.54, 384),
            result("base@128", 0.45, 128),
            result("tuned", 0.7, 384),
            result("tuned@128", 0.65, 128),
        ),
        comparisons=(
            Comparison("tuned", "base", "NDCG@10", 0.2, 0.1234, 0.3, 0.0001, 60, 10, 30),
            Comparison("tuned", "base", "MRR@10", -0.0001, -0.1, 0.1, 0.5, 1, 2, 97),
            Comparison("base", "bm25", "NDCG@10", -0.1, -0.2, -0.05, 0.012, 10, 60, 30),
        ),
        minimum_detectable_effect=0.02,
        standard_deviation=0.2,
        recommendation="tuned",
        recommendation_reason="",
        strongest_baseline="hybrid_base",
        similarity={},
        separation={},
        wins=(),
        losses=(),
        leaks=LeakFacts(0, 0, 0, 0, 0, 0.9),
    )


def test_main_systems_have_one_row_each(facts: EvaluationFacts) -> None:
    """Values and intervals with three decimals; the recommended and the best are marked."""
    rows = result_rows(facts, metrics=("NDCG@10",))
    assert [(row.label, row.dimension, row.recommended, row.best) for row in rows] == [
        ("BM25", "–", False, (False,)),
        ("Base model", "384", False, (False,)),
        ("Hybrid (BM25 + base)", "384", False, (False,)),
        ("Tuned model", "384", True, (True,)),
    ]
    assert rows[3].cells == (Cell("0.700", "0.600 – 0.800"),)


def test_dimensions_come_largest_first(facts: EvaluationFacts) -> None:
    """Base and tuned at each dimension, without hybrids; nothing when only one dimension was measured."""
    rows = dimension_rows(facts, metrics=("NDCG@10",))
    assert [(row.system, row.dimension) for row in rows] == [
        ("base", "384"),
        ("tuned", "384"),
        ("base@128", "128"),
        ("tuned@128", "128"),
    ]
    assert dimension_rows(replace(facts, systems=facts.systems[:4])) == ()


def test_comparisons_say_what_is_proven(facts: EvaluationFacts) -> None:
    """Real minus signs, no negative zero, small p-values as a bound."""
    better, undecided, worse = comparison_rows(facts)
    assert better.label == "Tuned model − Base model"
    assert (better.difference, better.interval) == ("+0.200", "+0.123 to +0.300")
    assert (better.p_value, better.queries, better.verdict) == ("< 0.001", "60 / 30 / 10", "better")
    assert (undecided.difference, undecided.verdict) == ("0.000", "no proven difference")
    assert (worse.interval, worse.p_value, worse.verdict) == ("−0.200 to −0.050", "0.012", "worse")
    assert [row.metric for row in comparison_rows(facts, metrics=("MRR@10",))] == ["MRR@10"]


def test_fusion_is_described_in_words() -> None:
    """Method and weight, and the constant where it counts."""
    assert describe_fusion(Fusion(FusionMethod.RRF, 0.5, 60)) == "reciprocal rank fusion, k = 60, BM25 weight 0.5"
    assert describe_fusion(Fusion(FusionMethod.CONVEX, 0.3, 60)) == "convex combination of scores, BM25 weight 0.3"
