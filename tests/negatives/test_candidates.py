"""Candidates: the union of what several retrievers found."""

import numpy as np
import pytest

from dialekt.negatives.candidates import cosines, dense_hits, lexical_hits, unite, with_cosines
from dialekt.negatives.rules import BM25, DENSE

QUERIES = np.array([[1, 0]], np.float32)
DOCUMENTS = np.array([[0.8, 0.6], [0.6, 0.8], [0, 1], [-0.6, 0.8]], np.float32)


def united(dense: list[int], lexical: list[int]) -> dict[int, tuple[int, int]]:
    """Return document → (rank, retriever) of the union of two rankings."""
    scores = np.array([DOCUMENTS[dense] @ QUERIES[0]], np.float32).reshape(1, -1)
    found = unite(
        [dense_hits(np.array([dense], np.int64), scores), lexical_hits(np.array([lexical], np.int32).reshape(1, -1))]
    )
    cells = zip(found.documents[0], found.ranks[0], found.retrievers[0], strict=True)
    return {int(document): (int(rank), int(code)) for document, rank, code in cells if document >= 0}


def test_document_found_twice_keeps_its_better_rank_and_that_retriever() -> None:
    """Document 2 is third by vectors and first by words: it counts as BM25's first."""
    assert united([0, 1, 2], [2, 3, 1]) == {0: (1, DENSE), 1: (2, DENSE), 2: (1, BM25), 3: (2, BM25)}


def test_equal_ranks_are_recorded_as_dense() -> None:
    """A document that both retrievers rank second is recorded as a dense candidate."""
    assert united([0, 1], [2, 1])[1] == (2, DENSE)


def test_query_without_word_hits_keeps_its_dense_candidates() -> None:
    """Empty cells of one retriever add nothing."""
    assert united([0, 1], [-1, -1]) == {0: (1, DENSE), 1: (2, DENSE)}


def test_query_without_any_hit_has_no_candidates() -> None:
    """Two empty rankings make an empty union."""
    assert united([], []) == {}


def test_found_by_several_counts_shared_documents() -> None:
    """The cells of documents that both retrievers found are marked once."""
    dense = dense_hits(np.array([[0, 1, 2]]), np.array([[0.8, 0.6, 0.0]], np.float32))
    assert unite([dense, lexical_hits(np.array([[2, 0, 3]], np.int32))]).found_by_several.sum() == 2


def test_cosines_of_word_hits_are_computed_and_dense_scores_kept() -> None:
    """Every candidate ends with the cosine of its document, whichever retriever it is recorded under."""
    dense = dense_hits(np.array([[0, 1]]), np.array([[0.8, 0.6]], np.float32))
    found = with_cosines(unite([dense, lexical_hits(np.array([[1, 3]], np.int32))]), QUERIES, DOCUMENTS)
    scores = dict(zip(found.documents[0].tolist(), found.scores[0].tolist(), strict=True))
    assert {document: scores[document] for document in (0, 1, 3)} == pytest.approx({0: 0.8, 1: 0.6, 3: -0.6})


def test_cosines_leave_empty_cells_unknown() -> None:
    """A cell without a document has no cosine."""
    assert np.isnan(cosines(QUERIES, DOCUMENTS, np.array([[-1, 0]]))).tolist() == [[True, False]]
