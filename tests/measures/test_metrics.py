"""Metrics equal ir-measures' other providers, a calculation by hand, and our own array form."""

import math
from collections.abc import Sequence

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures.providers import registry as providers

from dialekt.measures.metrics import METRICS, Judgments, judge, ndcg, score_run, tabulate
from dialekt.measures.runs import Run
from dialekt.types import Qrel

DOCUMENTS = tuple(f"d{number}" for number in range(30))


def make_run(rankings: Sequence[Sequence[int]], *, depth: int = 30) -> Run:
    """Build a run whose scores all tie, so that only the order can decide."""
    indices = np.full((len(rankings), depth), -1)
    for row, ranking in enumerate(rankings):
        indices[row, : len(ranking)] = ranking
    scores = np.where(indices >= 0, 1.0, -np.inf).astype(np.float32)
    return Run(tuple(f"q{row}" for row in range(len(rankings))), DOCUMENTS, indices, scores)


def random_case(seed: int) -> tuple[Run, list[Qrel]]:
    """Rankings of different length over 30 documents, with grades 0 to 3."""
    generator = np.random.default_rng(seed)
    run = make_run([generator.permutation(30)[: generator.integers(0, 31)].tolist() for _ in range(6)])
    qrels = [
        Qrel(f"q{row}", f"d{document}", float(generator.integers(0, 4)))
        for row in range(6)
        for document in generator.permutation(40)[:8]
    ]
    return run, qrels


def test_metrics_equal_a_calculation_by_hand() -> None:
    """Grades 3 and 1 found at ranks 2 and 12 of a query with three positives."""
    run = make_run([[5, 0, *range(10, 19), 29, 1]])
    qrels = [Qrel("q0", "d0", 3), Qrel("q0", "d29", 1), Qrel("q0", "elsewhere", 2), Qrel("q0", "d5", 0)]
    scores = score_run(run, judge(qrels, minimum_grade=1))
    ideal = 3 + 2 / math.log2(3) + 1 / math.log2(4)
    assert scores["NDCG@10"][0] == pytest.approx(3 / math.log2(3) / ideal)
    assert scores["MRR@10"][0] == pytest.approx(1 / 2)
    assert scores["Recall@10"][0] == pytest.approx(1 / 3)
    assert scores["Recall@100"][0] == pytest.approx(2 / 3)


def test_queries_without_results_score_zero_and_keep_their_place() -> None:
    """A query that found nothing is not skipped."""
    scores = score_run(make_run([[], [3]]), judge([Qrel("q0", "d1"), Qrel("q1", "d3")], minimum_grade=1))
    for name in METRICS:
        np.testing.assert_array_equal(scores[name], [0.0, 1.0])


def test_a_run_without_any_result_scores_zero() -> None:
    """An empty run and a run of unjudged queries are zeros, not errors."""
    assert score_run(make_run([[]]), judge([Qrel("q0", "d1")], minimum_grade=1))["MRR@10"].tolist() == [0.0]
    assert score_run(make_run([[1]]), judge([], minimum_grade=1))["NDCG@10"].tolist() == [0.0]


def test_only_grades_from_the_minimum_on_count_as_relevant() -> None:
    """Recall and reciprocal rank look at positives; NDCG gives the lower grade its gain."""
    run = make_run([[0, 1]])
    scores = score_run(run, judge([Qrel("q0", "d0", 1), Qrel("q0", "d1", 2)], minimum_grade=2))
    assert scores["MRR@10"][0] == pytest.approx(0.5)
    assert scores["Recall@10"][0] == pytest.approx(1.0)
    assert scores["NDCG@10"][0] == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


@pytest.mark.parametrize("factor", [0.5, 0.25, 0.1, 1 / 3])
def test_fractional_grades_score_like_whole_ones(factor: float) -> None:
    """Scaling every grade and the minimum by one factor changes no metric."""
    run, qrels = random_case(7)
    whole = score_run(run, judge(qrels, minimum_grade=2))
    scaled = [Qrel(qrel.query_id, qrel.document_id, qrel.grade * factor) for qrel in qrels]
    parts = score_run(run, judge(scaled, minimum_grade=2 * factor))
    for name in METRICS:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


def test_a_minimum_of_zero_makes_grade_zero_a_positive() -> None:
    """Where grade 0 is an answer it gets the lowest gain; negative grades are no answers."""
    judgments = judge([Qrel("q0", "d0", 0), Qrel("q0", "d1", -1)], minimum_grade=0)
    assert judgments.positives("q0") == ["d0"]
    assert judgments.grades["q0"]["d1"] == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), minimum=st.integers(1, 3))
def test_metrics_equal_other_providers(seed: int, minimum: int) -> None:
    """pytrec_eval through us, MS MARCO's reciprocal rank and the array form of NDCG agree query by query."""
    run, qrels = random_case(seed)
    judgments = judge(qrels, minimum_grade=minimum)
    scores = score_run(run, judgments)
    table = tabulate(judgments, query_ids=run.query_ids, document_ids=run.document_ids)
    np.testing.assert_allclose(ndcg(run.indices, table), scores["NDCG@10"], atol=1e-9)
    part = ndcg(run.indices[2:4], table.rows(slice(2, 4)))
    np.testing.assert_allclose(part, scores["NDCG@10"][2:4], atol=1e-9)
    np.testing.assert_allclose(reciprocal_ranks(run, judgments), scores["MRR@10"], atol=1e-9)


def reciprocal_ranks(run: Run, judgments: Judgments) -> list[float]:
    """Score MRR@10 with MS MARCO's own script instead of trec_eval."""
    documents = {
        query_id: {DOCUMENTS[index]: -float(rank) for rank, index in enumerate(row) if index >= 0}
        for query_id, row in zip(run.query_ids, run.indices.tolist(), strict=True)
    }
    measure = ir_measures.RR(rel=judgments.level) @ 10
    found = providers["msmarco"].iter_calc([measure], judgments.grades, documents)
    values = {metric.query_id: metric.value for metric in found}
    return [values.get(query_id, 0.0) for query_id in run.query_ids]
