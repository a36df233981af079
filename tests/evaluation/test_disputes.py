"""The results to judge first are unjudged, near the top, and divide the systems."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialekt.evaluation.disputes import find_disputes
from dialekt.measures.metrics import judge, score_run
from dialekt.measures.runs import Run
from dialekt.types import Qrel

DOCUMENTS = tuple(f"d{number}" for number in range(30))


def run_of(*rankings: Sequence[int]) -> Run:
    """Return a run with the given document numbers per query."""
    depth = max(map(len, rankings))
    indices = np.full((len(rankings), depth), -1, dtype=np.int64)
    for row, ranking in enumerate(rankings):
        indices[row, : len(ranking)] = ranking
    scores = np.where(indices >= 0, -np.arange(depth, dtype=np.float32), -np.inf).astype(np.float32)
    return Run(tuple(f"q{row}" for row in range(len(rankings))), DOCUMENTS, indices, scores)


def test_what_systems_agree_on_and_what_is_judged_is_left_out() -> None:
    """Only unjudged documents at different ranks of the first ten are disputed, the highest first."""
    runs = {"base": run_of([0, 1, 2, 3]), "tuned": run_of([0, 4, 2, 1])}
    found = find_disputes(runs, judge([Qrel("q0", "d3"), Qrel("q0", "d9", 0.0)], minimum_grade=1.0))
    assert [one.document_id for one in found] == ["d4", "d1"]
    ideal = 1 + 1 / math.log2(3)
    assert found[0].weight == pytest.approx(1 / math.log2(3) / ideal)
    assert found[1].weight == pytest.approx((1 / math.log2(3) - 1 / math.log2(5)) / ideal)


def test_one_system_disputes_with_nothing() -> None:
    """All its unjudged results of the first ten are listed, by rank."""
    found = find_disputes({"base": run_of(range(12))}, judge([Qrel("q0", "d0")], minimum_grade=1.0))
    assert [one.document_id for one in found] == [f"d{number}" for number in range(1, 10)]


@given(st.permutations(range(14)), st.permutations(range(14)), st.sets(st.integers(0, 13), min_size=1, max_size=4))
def test_the_weight_is_what_ndcg_hangs_on(first: list[int], second: list[int], positives: set[int]) -> None:
    """Judging a disputed document an answer changes the difference of DCG by its weight, on the ideal's scale."""
    qrels = [Qrel("q0", f"d{number}") for number in positives]
    runs = {"base": run_of(first), "tuned": run_of(second)}
    for one in find_disputes(runs, judge(qrels, minimum_grade=1.0))[:3]:
        before = judge([*qrels, Qrel("other", one.document_id)], minimum_grade=1.0)
        after = judge([*qrels, Qrel("q0", one.document_id)], minimum_grade=1.0)
        count = len(qrels)
        old, new = (sum(1 / math.log2(rank + 1) for rank in range(1, size + 1)) for size in (count, count + 1))

        def difference(judgments: object, ideal: float) -> float:
            scored = [score_run(run, judgments)["NDCG@10"][0] for run in runs.values()]  # type: ignore[arg-type]
            return float(scored[1] - scored[0]) * ideal

        changed = difference(after, new) - difference(before, old)
        assert abs(changed) == pytest.approx(one.weight * new, abs=1e-6)
