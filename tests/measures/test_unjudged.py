"""Unjudged documents are counted, and left out on request, as ir-measures would."""

import ir_measures
import numpy as np
import pytest

from dialekt.measures.metrics import Judgments, judge, ndcg, tabulate
from dialekt.measures.runs import Run
from dialekt.measures.unjudged import condense, judged_share, queries_with_judged_negatives
from dialekt.types import Qrel

DOCUMENTS = tuple(f"d{number}" for number in range(40))
QUERIES = tuple(f"q{number}" for number in range(15))


@pytest.fixture
def judgments() -> Judgments:
    """Six judged documents per query, half of them no answers; none for the last query."""
    generator = np.random.default_rng(1)
    chosen = {query: generator.choice(40, 6, replace=False).tolist() for query in QUERIES[:-1]}
    qrels = [
        Qrel(query, f"d{document}", grade=float(place % 3) - (place == 0))
        for query, documents in chosen.items()
        for place, document in enumerate(documents)
    ]
    return judge(qrels, minimum_grade=1)


@pytest.fixture
def run() -> Run:
    """Thirty documents per query in random order; one query has seven results, one none."""
    generator = np.random.default_rng(2)
    indices = np.array([generator.permutation(40)[:30] for _ in QUERIES], dtype=np.int64)
    indices[3, 7:], indices[4] = -1, -1
    scores = np.where(indices >= 0, -np.arange(30.0), -np.inf).astype(np.float32)
    return Run(QUERIES, DOCUMENTS, indices, scores)


def as_mapping(run: Run) -> dict[str, dict[str, float]]:
    """Return the run as ir-measures takes it."""
    return {
        query: {run.document_ids[index]: -float(rank) for rank, index in enumerate(indices) if index >= 0}
        for query, indices in zip(run.query_ids, run.indices.tolist(), strict=True)
    }


def test_the_judged_share_is_that_of_ir_measures(run: Run, judgments: Judgments) -> None:
    """Judged@10 of every query with results and judgments; else 0."""
    given = {query: found for query, found in as_mapping(run).items() if found}
    expected = {
        value.query_id: value.value
        for value in ir_measures.iter_calc([ir_measures.Judged @ 10], judgments.grades, given)
    }
    assert judged_share(run, judgments) == pytest.approx([expected.get(query, 0.0) for query in QUERIES])


def test_condensed_ndcg_is_that_of_the_filtered_run(run: Run, judgments: Judgments) -> None:
    """Our NDCG@10 of the condensed run equals ir-measures' of a run from which we dropped the unjudged ourselves."""
    filtered = {
        query: {document: score for document, score in found.items() if document in judgments.grades.get(query, {})}
        for query, found in as_mapping(run).items()
    }
    expected = {
        value.query_id: value.value
        for value in ir_measures.iter_calc([ir_measures.nDCG @ 10], judgments.grades, filtered)
    }
    found = condense(run, judgments)
    table = tabulate(judgments, query_ids=found.query_ids, document_ids=found.document_ids)
    assert ndcg(found.indices, table) == pytest.approx([expected.get(query, 0.0) for query in QUERIES])


def test_a_condensed_run_is_a_run(run: Run, judgments: Judgments) -> None:
    """Its shape stays, its scores never rise, and free places lie at the end."""
    found = condense(run, judgments)
    assert found.indices.shape == run.indices.shape
    assert (found.indices[-1] == -1).all()
    assert all(np.all(np.diff(row[np.isfinite(row)]) <= 0) for row in found.scores)
    assert ((found.indices == -1) == np.isneginf(found.scores)).all()


def test_queries_with_judged_negatives_are_counted(run: Run, judgments: Judgments) -> None:
    """A grade below the level of an answer is a judged negative."""
    assert queries_with_judged_negatives(run, judgments) == 14
    positives = judge([Qrel(query, "d1", 1.0) for query in QUERIES], minimum_grade=1)
    assert queries_with_judged_negatives(run, positives) == 0
