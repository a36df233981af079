"""Exact search as the reference, and recall against it."""

from pathlib import Path

import numpy as np
import pytest
from tests.index.engines import FILE_ENGINES, clustered, exact_answers, rows_of

from dialekt.index.recall import MAX_TIES, exact_results, recall
from dialekt.index.records import Found, Rows

DIMENSION = 32
QUERIES = clustered(20, DIMENSION, seed=2)


def _found(*ids: str) -> Found:
    return Found(ids, ids, ("",) * len(ids), np.linspace(1.0, 0.5, len(ids), dtype=np.float32))


def _results(rows: Rows, home: Path, k: int) -> list[Found]:
    engine = FILE_ENGINES["exact"].open(home, dimension=DIMENSION)
    engine.load(rows)
    return exact_results(engine, QUERIES, k)


def test_exact_results_equal_float64_over_all_rows(tmp_path: Path) -> None:
    """Rows that come in several chunks give the ids, documents and cosines that one sort over all gives."""
    rows = rows_of(clustered(9_000, DIMENSION, seed=1))
    documents = dict(zip(rows.ids, rows.document_ids, strict=True))
    for found, best in zip(_results(rows, tmp_path, 10), exact_answers(rows, QUERIES, 10), strict=True):
        assert found.ids == tuple(name for name, _ in best)
        assert found.document_ids == tuple(documents[name] for name in found.ids)
        assert np.allclose(found.scores, [score for _, score in best], atol=1e-6)


@pytest.mark.parametrize(("copies", "expected"), [(30, 30), (200, 10 + MAX_TIES)])
def test_results_that_tie_with_the_last_come_along(tmp_path: Path, copies: int, expected: int) -> None:
    """Of a vector that is there many times all are results, up to a limit."""
    vectors = np.repeat(QUERIES[:1], copies, axis=0)
    found = _results(rows_of(np.concatenate([vectors, -QUERIES])), tmp_path, 10)
    assert len(found[0].ids) == expected


def test_an_empty_index_has_no_results_and_nothing_is_missed(tmp_path: Path) -> None:
    """Without rows every query finds nothing, which is all there is."""
    truth = _results(rows_of(np.empty((0, DIMENSION), np.float32)), tmp_path, 10)
    assert [found.ids for found in truth] == [()] * len(QUERIES)
    assert recall([_found()] * len(QUERIES), truth, 10).tolist() == [1.0] * len(QUERIES)


def test_recall_is_the_share_of_the_best_that_was_found() -> None:
    """Order is no matter, results beyond k do not count, an id that comes twice counts once."""
    truth = [_found("a", "b", "c", "d")]
    assert recall([_found("d", "a", "x", "b")], truth, 4).tolist() == [0.75]
    assert recall([_found("x", "y", "a", "b")], truth, 2).tolist() == [0.0]
    assert recall([_found("a", "a")], truth, 2).tolist() == [0.5]
    assert recall([_found()], truth, 2).tolist() == [0.0]


def test_a_tie_counts_as_found() -> None:
    """Whichever of two units with the same score a search gives, it has found the best."""
    truth = [Found(("a", "b", "c"), ("a", "b", "c"), ("", "", ""), np.array([0.9, 0.8, 0.8], np.float32))]
    assert recall([_found("a", "c")], truth, 2).tolist() == [1.0]
    assert recall([_found("b", "c")], truth, 2).tolist() == [1.0]
    assert recall([_found("b", "c")], truth, 1).tolist() == [0.0]
