"""Comparisons say what is proven, and the recommendation follows from them."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.evaluation.comparison import (
    Settings,
    compare,
    compare_all,
    largest_changes,
    mean_intervals,
    measured_deviation,
    measured_effect,
    recommend,
)
from dialekt.evaluation.records import Comparison
from dialekt.measures.metrics import METRICS, NDCG
from dialekt.measures.statistics import minimum_detectable_effect

SETTINGS = Settings(confidence=0.95, resamples=2000, seed=1)
Scores = dict[str, dict[str, NDArray[np.float64]]]


def scores_of(means: dict[str, float], *, queries: int = 200, spread: float = 0.2, seed: int = 1) -> Scores:
    """Draw per-query scores around each system's mean, sharing the difficulty of the queries."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, spread, queries)
    values = {
        system: np.clip(mean + difficulty + generator.normal(0, 0.05, queries), 0, 1) for system, mean in means.items()
    }
    return {system: dict.fromkeys(METRICS, column) for system, column in values.items()}


def advice(means: dict[str, float], *, queries: int = 200) -> tuple[str, str]:
    """Return the recommended system and the reason."""
    scores = scores_of(means, queries=queries)
    comparisons = compare_all(scores, strongest_baseline="bm25", settings=SETTINGS)
    found = recommend(comparisons, mean_intervals(scores, SETTINGS), effect=measured_effect(scores, SETTINGS))
    return found.system, found.reason


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.5, 0.5, 0.5, 0.5, 0.5], "bm25"),
        ([0.3, 0.5, 0.5, 0.5, 0.5], "base"),
        ([0.3, 0.5, 0.7, 0.5, 0.7], "tuned"),
        ([0.3, 0.5, 0.7, 0.6, 0.8], "hybrid_tuned"),
        ([0.3, 0.5, 0.5, 0.7, 0.7], "hybrid_base"),
        ([0.7, 0.3, 0.5, 0.5, 0.8], "hybrid_tuned"),
        ([0.7, 0.3, 0.5, 0.5, 0.7], "bm25"),
        ([0.3, 0.5, 0.4, 0.5, 0.4], "base"),
    ],
)
def test_the_simplest_unbeaten_system_is_recommended(means: Sequence[float], expected: str) -> None:
    """A system that costs more to operate must be significantly better."""
    systems = ("bm25", "base", "tuned", "hybrid_base", "hybrid_tuned")
    assert advice(dict(zip(systems, means, strict=True)))[0] == expected


def test_the_reason_gives_the_numbers() -> None:
    """The reason names what was beaten and by how much, and how fine the test set can tell."""
    system, reason = advice({"bm25": 0.3, "base": 0.5, "tuned": 0.7, "hybrid_base": 0.5, "hybrid_tuned": 0.7})
    assert system == "tuned"
    assert reason.startswith("tuned has an NDCG@10 of 0.")
    assert "over base (+0.1" in reason
    assert "it is the simplest to operate of tuned and hybrid_tuned. Differences below 0.0" in reason
    _, clear = advice({"bm25": 0.3, "base": 0.4, "hybrid_base": 0.6})
    assert clear.endswith("Every other system is significantly worse than one of the others.")


def test_few_queries_prove_nothing() -> None:
    """Five unanimous wins are no proof: the interval is the whole range and BM25 stays."""
    assert advice({"bm25": 0.3, "base": 0.5, "hybrid_base": 0.7}, queries=5)[0] == "bm25"


def test_all_metrics_of_the_deciding_pairs_are_compared() -> None:
    """Each pair once on every metric, all other pairs of main systems on NDCG@10; nothing against itself."""
    systems = ("bm25", "base", "tuned", "hybrid_base", "hybrid_tuned", "rrf_base", "tuned@8")
    scores = scores_of(dict.fromkeys(systems, 0.5))
    comparisons = compare_all(scores, strongest_baseline="hybrid_base", settings=SETTINGS)
    keys = [(item.system, item.against, item.metric) for item in comparisons]
    assert len(keys) == len(set(keys))
    assert {("hybrid_tuned", "hybrid_base", metric) for metric in METRICS} <= set(keys)
    assert {("tuned", "base", metric) for metric in METRICS} <= set(keys)
    pairs = {frozenset(key[:2]) for key in keys}
    assert len(pairs) == 10
    assert all(len(pair) == 2 for pair in pairs)


def test_an_interval_excludes_zero_only_where_the_test_rejects() -> None:
    """Four wins and 96 ties: the bootstrap alone would call that a gain, the sign-flip test does not."""
    zeros, wins = np.zeros(100), np.zeros(100)
    wins[:4] = 0.5
    scores = {"base": {NDCG: zeros}, "tuned": {NDCG: wins}}
    [found] = compare(scores, [("tuned", "base", NDCG)], SETTINGS)
    assert found.p_value == pytest.approx(2 / 16)
    assert (found.wins, found.losses, found.ties) == (4, 0, 96)
    assert found.low == 0.0
    assert found.high > found.difference == pytest.approx(0.02)


def test_equal_models_seldom_pass_the_gate() -> None:
    """Of 400 comparisons of equally good systems, a gain is called proven in about 2.5 of 100."""
    generator = np.random.default_rng(3)
    trials = [str(trial) for trial in range(400)]
    scores = {
        system: {trial: np.where(generator.random(40) < 0.5, generator.random(40), 0.0) for trial in trials}
        for system in ("base", "tuned")
    }
    keys = [("tuned", "base", trial) for trial in trials]
    gains = [item.low > 0 for item in compare(scores, keys, Settings(0.95, 1000, 1))]
    assert np.mean(gains) <= 0.05


def test_identical_systems_tie() -> None:
    """No difference anywhere is no gain, with p = 1."""
    values = {"base": {NDCG: np.full(30, 0.4)}, "tuned": {NDCG: np.full(30, 0.4)}}
    expected = Comparison("tuned", "base", NDCG, 0.0, 0.0, 0.0, 1.0, 0, 0, 30)
    assert compare(values, [("tuned", "base", NDCG)], SETTINGS) == (expected,)
    assert compare(values, [], SETTINGS) == ()
    assert largest_changes([str(row) for row in range(30)], values, most=3) == ((), ())


def test_the_largest_changes_are_those_of_the_largest_difference() -> None:
    """Wins and losses are apart, the largest first, equal ones by id, never more than asked for."""
    scores = {
        "base": {NDCG: np.array([0.5, 0.5, 0.5, 0.5, 0.5])},
        "tuned": {NDCG: np.array([0.6, 1.0, 0.0, 0.5, 1.0])},
    }
    wins, losses = largest_changes(["a", "c", "d", "e", "b"], scores, most=2)
    assert [(change.query_id, change.difference) for change in wins] == [("b", 0.5), ("c", 0.5)]
    assert [(change.query_id, change.base, change.tuned) for change in losses] == [("d", 0.5, 0.0)]
    assert largest_changes(["a"], {"base": {NDCG: np.zeros(1)}}, most=2) == ((), ())


def test_the_detectable_effect_is_of_the_measured_spread() -> None:
    """Tuned minus base where there is a tuned model, base hybrid minus base where there is none."""
    scores = {
        "base": {NDCG: np.zeros(4)},
        "hybrid_base": {NDCG: np.array([0.0, 0.2, 0.0, 0.2])},
        "tuned": {NDCG: np.array([0.0, 0.4, 0.0, 0.4])},
    }
    assert measured_deviation(scores) == pytest.approx(0.4 / np.sqrt(3))
    assert measured_effect(scores, SETTINGS) == pytest.approx(minimum_detectable_effect(0.4 / np.sqrt(3), 4))
    del scores["tuned"]
    assert measured_deviation(scores) == pytest.approx(0.2 / np.sqrt(3))
