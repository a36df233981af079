"""Cosines of positives and of their competitors, as counts."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.world import World

from dialekt.evaluation.similarity import Cosines, histogram, measure_cosines, separation
from dialekt.measures.metrics import judge
from dialekt.measures.retrieval import dense_run, read_collection, rows_of_queries
from dialekt.models.vectors import load_vectors
from dialekt.types import Qrel


def array(*values: float) -> NDArray[np.float64]:
    """Make an array of floats."""
    return np.array(values, dtype=np.float64)


def test_histograms_count_every_cosine() -> None:
    """Forty bins over [-1, 1]; rounding beyond 1 falls into the last bin."""
    found = histogram(array(-1.0, -0.999, 0.01, 0.97, 1.0, 1.0000001))
    assert len(found.counts) == 40
    assert (found.counts[0], found.counts[20], found.counts[39]) == (2, 1, 3)
    assert sum(histogram(array()).counts) == 0


def test_separation_is_the_share_of_pairs_in_the_right_order() -> None:
    """Ties count half; without positives or negatives nothing can be said."""
    assert separation(Cosines(array(0.9, 0.5), array(0.5, 0.1))) == pytest.approx(3.5 / 4)
    assert separation(Cosines(array(0.9), array())) == 0.5


def test_a_document_counts_once_with_its_best_chunk(world: World) -> None:
    """Cosines are those of the query with its positives, and of the ten best documents that are no positives."""
    collection, vectors = read_collection(world.folder("corpus")), load_vectors(world.write_vectors("base", noise=0.3))
    queries = world.queries[:4]
    qrels = [*world.qrels, Qrel("q0", "missing")]
    rows = rows_of_queries(vectors, queries)
    documents = np.asarray(vectors.document_vectors)
    run = dense_run(collection, vectors, queries, depth=100)
    found = measure_cosines(
        collection, judge(qrels, minimum_grade=1), run, query_vectors=rows, document_vectors=documents
    )
    assert (len(found.positives), len(found.negatives)) == (8, 40)
    units = [collection.unit_ids.index(name) for name in ("0/0", "0/2#0", "0/2#1")]
    whole, first, second = (documents[units] @ rows[0]).tolist()
    np.testing.assert_allclose(found.positives[:2], [whole, max(first, second)], rtol=1e-5)
    assert separation(found) > 0.5
