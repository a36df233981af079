"""Exact top-k."""

import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dialekt.models.topk import select_best, top_k


def full_sort(queries: NDArray[np.float32], documents: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Sort everything: score falling, then index rising; short rows are padded with -1."""
    scores = queries @ documents.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.pad(order, ((0, 0), (0, k - order.shape[1])), constant_values=-1)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(0, 9),
    documents=st.integers(0, 60),
    k=st.integers(1, 20),
    block_rows=st.integers(1, 25),
    query_rows=st.integers(1, 5),
)
def test_blocks_equal_a_full_sort(
    seed: int, queries: int, documents: int, k: int, block_rows: int, query_rows: int
) -> None:
    """Whatever the block sizes, the result is that of sorting everything, ties by rising index included."""
    generator = np.random.default_rng(seed)
    query_vectors = generator.integers(-2, 3, (queries, 3)).astype(np.float32)  # small integers: many ties, no rounding
    document_vectors = generator.integers(-2, 3, (documents, 3)).astype(np.float32)
    result = top_k(query_vectors, document_vectors, k, block_rows=block_rows, query_rows=query_rows)
    assert result.indices.tolist() == full_sort(query_vectors, document_vectors, k).tolist()
    found = result.indices >= 0
    rows, columns = np.nonzero(found)
    expected = (query_vectors[rows] * document_vectors[result.indices[rows, columns]]).sum(axis=1)
    assert result.scores[found].tolist() == expected.tolist()
    assert np.isneginf(result.scores[~found]).all()


@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.integers(-3, 3), min_size=1, max_size=30).map(lambda row: np.array(row, dtype=np.float32)),
    k=st.integers(1, 35),
)
def test_select_best_breaks_ties_by_position(scores: NDArray[np.float32], k: int) -> None:
    """The k best of a row are those of a stable sort."""
    assert select_best(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_a_memory_map_gives_the_same_result(tmp_path: Path) -> None:
    """Document vectors may lie on disk."""
    generator = np.random.default_rng(3)
    documents = generator.standard_normal((500, 8)).astype(np.float32)
    queries = generator.standard_normal((7, 8)).astype(np.float32)
    np.save(tmp_path / "documents.npy", documents)
    mapped = np.load(tmp_path / "documents.npy", mmap_mode="r")
    assert np.array_equal(
        top_k(queries, mapped, 5, block_rows=64).indices, top_k(queries, documents, 5, block_rows=64).indices
    )


def test_memory_does_not_grow_with_queries_times_documents() -> None:
    """Far more scores than fit into the blocks pass through them, not through memory."""
    queries = np.ones((500, 2), dtype=np.float32)
    documents = np.ones((20_000, 2), dtype=np.float32)  # 40 MB of scores
    tracemalloc.start()
    top_k(queries, documents, 3, block_rows=4_096, query_rows=64)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4_000_000
