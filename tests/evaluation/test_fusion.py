"""Hybrids join two rankings, and the dev queries choose how."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialekt.evaluation.fusion import choose_fusion, default_fusion, fuse
from dialekt.evaluation.records import Fusion, FusionMethod
from dialekt.measures.metrics import judge, ndcg, score_run, tabulate
from dialekt.measures.runs import Run
from dialekt.types import Qrel

DOCUMENTS = tuple(f"d{number}" for number in range(12))


def make_run(rankings: list[list[tuple[int, float]]], depth: int) -> Run:
    """Build a run from (document, score) pairs, best first."""
    indices = np.full((len(rankings), depth), -1, dtype=np.int64)
    scores = np.full((len(rankings), depth), -np.inf, dtype=np.float32)
    for row, ranking in enumerate(rankings):
        for rank, (document, score) in enumerate(ranking):
            indices[row, rank], scores[row, rank] = document, score
    return Run(tuple(f"q{row}" for row in range(len(rankings))), DOCUMENTS, indices, scores)


def random_runs(seed: int) -> tuple[Run, Run]:
    """Two runs of four queries; the first finds nothing for some of them."""
    generator = np.random.default_rng(seed)

    def ranking(length: int) -> list[tuple[int, float]]:
        scores = np.sort(generator.integers(0, 20, length) / 4)[::-1].tolist()
        return list(zip(generator.permutation(12)[:length].tolist(), scores, strict=True))

    return (
        make_run([ranking(length) for length in generator.integers(0, 6, 4)], 5),
        make_run([ranking(5) for _ in range(4)], 5),
    )


def reciprocal_rank_sums(runs: tuple[Run, Run], row: int, weight: float) -> dict[int, float]:
    """Add up weighted reciprocal ranks with dictionaries, the plain way."""
    sums: dict[int, float] = {}
    for run, share in zip(runs, (weight, 1 - weight), strict=True):
        for rank, index in enumerate(run.indices[row].tolist(), start=1):
            if index >= 0:
                sums[index] = sums.get(index, 0.0) + share / (60 + rank)
    return sums


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weight=st.sampled_from([0.1, 0.5, 0.8]))
def test_reciprocal_rank_fusion_equals_its_formula(seed: int, weight: float) -> None:
    """The array form gives what adding w / (k + rank) in a dictionary gives."""
    runs = random_runs(seed)
    fused = fuse(*runs, Fusion(FusionMethod.RRF, weight, 60), depth=8)
    for row in range(4):
        sums = reciprocal_rank_sums(runs, row, weight)
        expected = sorted(sums, key=lambda index: (-round(sums[index], 12), index))[:8]
        found = [index for index in fused.indices[row].tolist() if index >= 0]
        assert [round(sums[index], 12) for index in found] == [round(sums[index], 12) for index in expected]
        scores = fused.scores[row, : len(found)]
        np.testing.assert_allclose(scores, [sums[index] for index in found], rtol=1e-5)


def test_convex_fusion_equals_a_calculation_by_hand() -> None:
    """A full list is scaled from its lowest score, a list that holds all that matched from zero."""
    lexical = make_run([[(0, 8.0), (1, 2.0)]], 3)
    dense = make_run([[(1, 0.9), (2, 0.7), (3, 0.5)]], 3)
    fused = fuse(lexical, dense, Fusion(FusionMethod.CONVEX, 0.25, 60), depth=5)
    assert fused.indices[0].tolist() == [1, 2, 0, 3, -1]
    np.testing.assert_allclose(fused.scores[0, :4], [0.25 * 0.25 + 0.75, 0.375, 0.25, 0.0], atol=1e-6)
    assert fused.scores[0, 4] == -np.inf


@pytest.mark.parametrize("method", list(FusionMethod))
def test_fusing_with_an_empty_ranking_keeps_the_other(method: FusionMethod) -> None:
    """Where BM25 matches no word the hybrid ranks as dense does; where nothing is found it is empty."""
    lexical = make_run([[], []], 3)
    dense = make_run([[(4, 0.9), (2, 0.7), (3, 0.5)], []], 3)
    fused = fuse(lexical, dense, Fusion(method, 0.5, 60), depth=3)
    assert fused.indices.tolist() == [[4, 2, 3], [-1, -1, -1]]


@pytest.mark.parametrize("method", list(FusionMethod))
def test_equal_scores_are_shared_alike(method: FusionMethod) -> None:
    """A list whose scores are all equal gives no division by zero, and ties go to the lower index."""
    run = make_run([[(2, 0.5), (5, 0.5)]], 2)
    fused = fuse(run, run, Fusion(method, 0.5, 60), depth=2)
    assert fused.indices.tolist() == [[2, 5]]


def test_the_dev_queries_choose_the_better_retriever() -> None:
    """Where BM25 finds every answer and dense none, the choice leans on it; its score is the fused run's."""
    wrong = [(document, 1.0 - document / 20) for document in range(1, 10)]
    lexical = make_run([[(0, 9.0), *wrong[:2]]] * 20, 10)
    dense = make_run([[*wrong, (0, 0.1)]] * 20, 10)
    judgments = judge([Qrel(f"q{row}", "d0") for row in range(20)], minimum_grade=1)
    table = tabulate(judgments, query_ids=lexical.query_ids, document_ids=DOCUMENTS)
    chosen = choose_fusion(lexical, dense, table, rank_constant=60)
    assert chosen.lexical_weight > 0.5
    assert chosen.dev_queries == 20
    fused = fuse(lexical, dense, chosen, depth=10)
    assert chosen.dev_score == pytest.approx(ndcg(fused.indices, table).mean())
    assert chosen.dev_score == pytest.approx(score_run(fused, judgments)["NDCG@10"].mean())


def test_plain_fusion_stays_where_dev_queries_cannot_decide() -> None:
    """Without dev queries, with few of them, or when all choices tie, both rankings count the same."""
    empty = make_run([], 3)
    table = tabulate(judge([], minimum_grade=1), query_ids=(), document_ids=DOCUMENTS)
    assert choose_fusion(empty, empty, table, rank_constant=60) == default_fusion(60)
    for queries in (3, 30):
        run = make_run([[(0, 1.0), (1, 0.5)]] * queries, 2)
        judgments = judge([Qrel(f"q{row}", "d1") for row in range(queries)], minimum_grade=1)
        table = tabulate(judgments, query_ids=run.query_ids, document_ids=DOCUMENTS)
        chosen = choose_fusion(run, run, table, rank_constant=60)
        assert (chosen.method, chosen.lexical_weight) == (FusionMethod.RRF, 0.5)
        assert chosen.dev_score == pytest.approx(1 / np.log2(3))
