"""The facts of an evaluation are JSON, and JSON can be read back."""

import json
from dataclasses import asdict

import pytest

from dialekt.errors import StorageError
from dialekt.evaluation.records import (
    Comparison,
    EvaluationFacts,
    Fusion,
    FusionMethod,
    Histogram,
    LeakFacts,
    QueryChange,
    SystemResult,
    facts_from_json,
)
from dialekt.types import Interval


@pytest.fixture
def facts() -> EvaluationFacts:
    """Small facts that use every record."""
    interval = {"NDCG@10": Interval(0.5, 0.4, 0.6)}
    return EvaluationFacts(
        queries=3,
        documents=9,
        systems=(
            SystemResult("bm25", None, interval),
            SystemResult("hybrid_base", 32, interval, Fusion(FusionMethod.CONVEX, 0.3, 60, 0.7, 5), 0.7),
        ),
        comparisons=(Comparison("hybrid_base", "bm25", "NDCG@10", 0.1, -0.1, 0.3, 0.2, 2, 1, 0),),
        minimum_detectable_effect=0.2,
        standard_deviation=0.3,
        recommendation="bm25",
        recommendation_reason="nothing beats it",
        strongest_baseline="bm25",
        similarity={"base_positives": Histogram(-1.0, 1.0, (0, 3))},
        separation={"base": 0.9},
        wins=(QueryChange("q1", 0.1, 0.3, 0.2),),
        losses=(),
        leaks=LeakFacts(1, 2, 3, 4, 5, 0.9),
    )


def test_facts_survive_json(facts: EvaluationFacts) -> None:
    """What asdict writes as JSON reads back as equal records."""
    assert facts_from_json(json.loads(json.dumps(asdict(facts)))) == facts


def test_lookups_find_or_return_none(facts: EvaluationFacts) -> None:
    """A system or comparison that was not evaluated is None."""
    assert facts.result("bm25") == facts.systems[0]
    assert facts.result("tuned") is None
    assert facts.comparison("hybrid_base", "bm25") == facts.comparisons[0]
    assert facts.comparison("tuned", "base") is None


@pytest.mark.parametrize("damage", [{"systems": None}, {"unknown": 1}, {"leaks": {}}])
def test_damaged_facts_are_refused(facts: EvaluationFacts, damage: dict[str, object]) -> None:
    """Facts of another shape raise an error that says what to do."""
    with pytest.raises(StorageError, match="evaluation facts are damaged"):
        facts_from_json(asdict(facts) | damage)
