"""A system that finds good documents which nobody judged is not punished for it."""

import numpy as np
import pytest

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.records import UnjudgedFacts
from dialekt.evaluation.unjudged import unjudged_facts
from dialekt.measures.metrics import judge
from dialekt.measures.runs import Run
from dialekt.types import Qrel

SETTINGS = Settings(confidence=0.95, resamples=500, seed=1)
QUERIES = tuple(f"q{number}" for number in range(20))
DOCUMENTS = tuple(f"d{number}" for number in range(12))


def run(*order: int) -> Run:
    """Rank some documents in the same order for every query."""
    indices = np.tile(np.array(order, dtype=np.int64), (20, 1))
    return Run(QUERIES, DOCUMENTS, indices, (-np.arange(len(order)) + np.zeros((20, 1))).astype(np.float32))


def measure(negatives: int) -> UnjudgedFacts:
    """Judge d0 an answer for all queries and d1 none for some; tuned puts four unjudged documents on top."""
    qrels = [Qrel(query, "d0", 1.0) for query in QUERIES] + [Qrel(query, "d1", 0.0) for query in QUERIES[:negatives]]
    runs = {"base": run(1, 0, 2, 3), "tuned": run(4, 5, 6, 7, 0, 1)}
    return unjudged_facts(runs, judge(qrels, minimum_grade=1), SETTINGS)


def test_condensed_lists_see_through_unjudged_documents() -> None:
    """Tuned ranks the answer above the judged negative: a proven gain on condensed lists."""
    found = measure(20)
    shares = {share.system: share for share in found.systems}
    assert shares["base"].judged.value == 0.5
    assert shares["tuned"].judged.value == pytest.approx(2 / 6)
    assert shares["tuned"].condensed.value == 1.0
    assert found.comparison is not None
    assert found.comparison.low > 0
    assert found.meaningful
    assert found.judged_negatives == 20


def test_with_positives_alone_condensed_lists_mean_little() -> None:
    """Where less than half of the queries have a judged negative, the facts say so."""
    assert not measure(9).meaningful
    assert measure(10).meaningful
    assert {share.condensed.value for share in measure(0).systems} == {1.0}


def test_without_a_tuned_model_there_is_no_comparison() -> None:
    """The baselines are measured all the same."""
    found = unjudged_facts({"base": run(0, 1)}, judge([Qrel("q0", "d0")], minimum_grade=1), SETTINGS)
    assert found.comparison is None
    assert [share.system for share in found.systems] == ["base"]
