"""One first stage in memory: shortlists, reranking, full search beside it."""

import numpy as np
import pytest
from tests.index.engines import clustered, exact_answers, rows_of

from dialekt.config import Quantization
from dialekt.index.measuring import FullSearch, measure_stage, search_fully
from dialekt.index.records import FirstStage

DIMENSION = 32
VECTORS = clustered(300, DIMENSION, seed=1)
QUERIES = clustered(25, DIMENSION, seed=2)


def test_full_search_is_exact() -> None:
    """Its ten best are those of float64."""
    full = search_fully(VECTORS, QUERIES)
    rows = rows_of(VECTORS)
    for indices, best in zip(full.indices.tolist(), exact_answers(rows, QUERIES, 10), strict=True):
        assert [rows.ids[index] for index in indices] == [name for name, _ in best]
    assert full.milliseconds > 0


@pytest.mark.parametrize("kind", list(Quantization))
def test_a_shortlist_of_everything_gives_what_full_search_gives(kind: Quantization) -> None:
    """However coarse the codes, what decides the order are the full vectors."""
    full = search_fully(VECTORS, QUERIES)
    measured = measure_stage(VECTORS, QUERIES, FirstStage(8, kind), (1.0, 30.0, 64.0))
    for place in (1, 2):
        assert np.array_equal(measured.indices[place], full.indices)
        assert np.allclose(measured.scores[place], full.scores, atol=1e-6)
    assert not np.array_equal(measured.indices[0], full.indices)
    assert len(measured.milliseconds) == 3


def test_a_corpus_smaller_than_ten_is_found_whole() -> None:
    """Shortlists are no longer than the corpus, nothing is missing, and the places left over are empty."""
    full = search_fully(VECTORS[:6], QUERIES)
    measured = measure_stage(VECTORS[:6], QUERIES, FirstStage(8, Quantization.BINARY), (1.0, 4.0))
    assert np.array_equal(measured.indices[0], full.indices)
    assert (full.indices[:, 6:] == -1).all()
    assert full.overlap(np.arange(25), measured.scores[0]).tolist() == [1.0] * 25


def test_overlap_counts_ties() -> None:
    """A result as good as the last of the best is one of them."""
    scores = np.full((1, 10), -np.inf, dtype=np.float32)
    scores[0, :2] = 0.9, 0.8
    full = FullSearch(np.zeros((1, 10), dtype=np.int64), scores, 1.0)
    found = np.array([[0.9, 0.8 - 5e-7], [0.9, 0.7], [0.5, 0.4]], dtype=np.float32)
    shares = [full.overlap(np.array([0]), one[None])[0] for one in found]
    assert shares == [1.0, 0.5, 0.0]
