"""Retrieval ranks whole documents, with BM25 and with vectors at any dimension."""

import numpy as np
import pytest
from tests.world import World

from dialekt.errors import StorageError
from dialekt.measures import retrieval
from dialekt.measures.retrieval import dense_run, lexical_run, merge, read_collection, require_same_corpus, truncate
from dialekt.measures.runs import Run
from dialekt.models.lexical import Bm25
from dialekt.models.topk import TopK, top_k
from dialekt.models.vectors import load_vectors
from dialekt.types import Language, Query


def top_ids(run: Run, row: int, count: int) -> list[str]:
    """Return the first documents of a query."""
    return [run.document_ids[index] for index in run.indices[row, :count].tolist() if index >= 0]


def test_bm25_ranks_whole_documents(world: World) -> None:
    """Chunks count for their parent, and a query without known words finds nothing."""
    collection = read_collection(world.folder("corpus"))
    index = Bm25.build(collection.texts, language=Language.OTHER)
    run = lexical_run(collection, index, [Query("a", "word7"), Query("b", "unheard")], depth=10)
    assert sorted(top_ids(run, 0, 10)) == ["7/0", "7/1", "7/2"]
    assert top_ids(run, 1, 10) == []


def test_vectors_rank_whole_documents(world: World) -> None:
    """The three documents of the query's topic come first, once each."""
    collection, vectors = read_collection(world.folder("corpus")), load_vectors(world.write_vectors("base", noise=0.01))
    run = dense_run(collection, vectors, world.queries[:5], depth=5)
    assert sorted(top_ids(run, 3, 3)) == ["3/0", "3/1", "3/2"]
    assert run.query_ids == ("q0", "q1", "q2", "q3", "q4")
    assert run.scores[3, 0] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("dimension", [4, 8, 16, 99])
def test_cut_vectors_rank_as_if_the_model_were_that_small(
    world: World, dimension: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching block by block equals cutting and scaling everything first."""
    monkeypatch.setattr(retrieval, "_ROWS_PER_BLOCK", 7)
    collection, vectors = read_collection(world.folder("corpus")), load_vectors(world.write_vectors("base", noise=0.6))
    queries = world.queries[:9]
    found = dense_run(collection, vectors, queries, depth=10, dimension=dimension)
    cut = truncate(np.asarray(vectors.document_vectors), dimension)
    expected = top_k(truncate(np.asarray(vectors.query_vectors[:9]), dimension), cut, len(cut))
    best = [collection.parents[row[0]] for row in expected.indices]
    np.testing.assert_array_equal(found.indices[:, 0], best)
    np.testing.assert_allclose(found.scores[:, 0], expected.scores[:, 0], rtol=1e-6)


def test_truncated_vectors_have_length_one() -> None:
    """A row whose first components are all zero stays zero instead of becoming NaN."""
    cut = truncate(np.array([[3, 4, 5], [0, 0, 1]], dtype=np.float32), 2)
    np.testing.assert_allclose(cut, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)


def test_merging_keeps_the_best_of_both() -> None:
    """Equal scores stay in the order of the blocks."""
    first = TopK(np.array([[0, 1]]), np.array([[0.9, 0.5]], dtype=np.float32))
    second = TopK(np.array([[7, -1]]), np.array([[0.5, -np.inf]], dtype=np.float32))
    assert merge(first, second, 3).indices.tolist() == [[0, 1, 7]]


def test_vectors_of_another_corpus_are_refused(world: World) -> None:
    """Neither other documents nor missing queries go unnoticed."""
    folder = world.write_vectors("base", noise=0.1)
    collection, vectors = read_collection(world.folder("corpus")), load_vectors(folder)
    require_same_corpus(collection, vectors, folder)
    shorter = world.changed(documents=world.documents[1:])
    with pytest.raises(StorageError, match=r"vectors are of another corpus \(160 rows, corpus 159\)"):
        require_same_corpus(read_collection(shorter.folder("corpus")), vectors, folder)
    with pytest.raises(StorageError, match=r"1 held-out queries have no vector \(first: 'new'\)"):
        dense_run(collection, vectors, [Query("new", "text")], depth=3)
