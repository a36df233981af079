"""The promotion gate seldom lets a model through that is only as good as its base."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings, compare
from dialekt.measures.metrics import NDCG
from dialekt.registry.gate import gain_faults
from dialekt.registry.records import Evidence, Gain

PAIRS = 400
TRUE_RATE = 0.025  # of two-sided 5%, the half in which the tuned model seems better
LARGEST_RATE = TRUE_RATE + 2.5 * np.sqrt(TRUE_RATE * (1 - TRUE_RATE) / PAIRS)  # 0.045


def ndcg_at_ten(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return NDCG@10 of one answer at a rank: 0 from rank 11 on."""
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1.0), 0.0)


def equal_models(generator: np.random.Generator, queries: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return NDCG@10 of two equally good models (queries,): hard and easy queries, and half of all ranks the same."""
    hard = generator.gamma(0.7, 8.0, queries)
    ranks = [1 + generator.geometric(1 / (1 + hard)).astype(np.int64) - 1 for _ in range(2)]
    same = generator.random(queries) < 0.5
    return ndcg_at_ten(ranks[0]), ndcg_at_ten(np.where(same, ranks[0], ranks[1]))


@pytest.mark.parametrize("queries", [20, 100, 400])
def test_equal_models_seldom_pass(queries: int) -> None:
    """Of 400 pairs of equal models, at most about 2.5 in 100 show a proven gain: fewer than 5."""
    generator = np.random.default_rng(queries)
    passed = 0
    for trial in range(PAIRS):
        base, tuned = equal_models(generator, queries)
        scores = {"base": {NDCG: base}, "tuned": {NDCG: tuned}}
        found = compare(scores, [("tuned", "base", NDCG)], Settings(0.95, 400, seed=trial))[0]
        gain = Gain(found.metric, found.difference, found.low, found.high, found.p_value)
        evidence = Evidence("split", queries, 1000, (), gain, leak_check_passed=True)
        passed += not gain_faults(evidence, minimum_gain=0.0)
    assert passed / PAIRS <= LARGEST_RATE


def test_the_made_pairs_are_like_real_ones() -> None:
    """They tie often, and their scores are spread over the whole range."""
    base, tuned = equal_models(np.random.default_rng(1), 4000)
    assert 0.4 < np.mean(base == tuned) < 0.8
    assert 0.2 < base.std() < 0.45
