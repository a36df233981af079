"""Runs keep rankings as arrays and read back from TREC files as they were written."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dialekt.errors import InputError
from dialekt.measures.runs import Run, best_chunk_of_each_parent, rank_parents, read_run, write_run
from dialekt.models.topk import TopK, top_k


@pytest.fixture
def run() -> Run:
    """Two queries, one with a tie, one with a single result; ids that TREC files cannot hold as they are."""
    return Run(
        ("q 1", "q2"),
        ("a", "50% off.md", "c\td"),
        np.array([[1, 0, 2], [2, -1, -1]]),
        np.array([[0.5, 0.5, 0.25], [1.5, -np.inf, -np.inf]], dtype=np.float32),
    )


def ranked(run: Run) -> dict[str, list[str]]:
    """Return document ids per query, best first."""
    return {
        query_id: [run.document_ids[index] for index in row if index >= 0]
        for query_id, row in zip(run.query_ids, run.indices.tolist(), strict=True)
    }


def test_a_written_run_reads_back_in_the_same_order(run: Run, tmp_path: Path) -> None:
    """Ids with white space and percent signs survive; ties keep their order when a reader sorts by score."""
    write_run(tmp_path / "x.run.gz", run, system="base")
    assert ranked(read_run(tmp_path / "x.run.gz")) == ranked(run)


def test_equal_runs_give_equal_bytes(run: Run, tmp_path: Path) -> None:
    """The compressed file holds no time and no name, so its hash identifies its content."""
    write_run(tmp_path / "x.run.gz", run, system="base")
    write_run(tmp_path / "y.run.gz", run, system="base")
    assert (tmp_path / "x.run.gz").read_bytes() == (tmp_path / "y.run.gz").read_bytes()


def test_a_malformed_run_file_names_the_line(tmp_path: Path) -> None:
    """A row with missing columns or a score that is no number is an error with file and line."""
    path = tmp_path / "x.run"
    path.write_text("q1 Q0 d1 1 0.5 base\nq1 Q0 d2\n")
    with pytest.raises(InputError, match=r"x\.run:2: has 3 columns, expected 6"):
        read_run(path)
    path.write_text("q1 Q0 d1 1 high base\n")
    with pytest.raises(InputError, match=r"x\.run:1: the score 'high' is not a number"):
        read_run(path)


def test_selected_rows_keep_their_rankings(run: Run) -> None:
    """Selecting queries reorders ids, indices and scores together."""
    assert ranked(run.select(np.array([1]))) == {"q2": ["c\td"]}


def test_a_parent_scores_what_its_best_chunk_scores() -> None:
    """Only the first chunk of each parent stays, in rank order; the rest is padding."""
    top = TopK(
        np.array([[3, 2, 0, 1], [1, 0, -1, -1]]),
        np.array([[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, -np.inf, -np.inf]], dtype=np.float32),
    )
    parents = np.array([0, 0, 1, 1])
    best = best_chunk_of_each_parent(top, parents, 3)
    np.testing.assert_array_equal(best.indices, [[1, 0, -1], [0, -1, -1]])
    np.testing.assert_allclose(best.scores, [[0.9, 0.7, -np.inf], [0.5, -np.inf, -np.inf]], rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    chunks=st.integers(1, 60),
    kinds=st.integers(1, 20),
    depth=st.integers(1, 12),
)
def test_parents_are_ranked_exactly_however_many_chunks_they_have(
    seed: int, chunks: int, kinds: int, depth: int
) -> None:
    """Looking deeper only where needed finds the same parents as scoring every chunk."""
    generator = np.random.default_rng(seed)
    parents = np.unique(generator.integers(0, kinds, chunks), return_inverse=True)[1].astype(np.int64)
    queries = generator.normal(size=(4, 3)).astype(np.float32)
    documents = generator.normal(size=(chunks, 3)).astype(np.float32)

    def search(rows: NDArray[np.int64], k: int) -> TopK:
        return top_k(queries[rows], documents, k)

    found = rank_parents(search, parents, queries=4, depth=depth)
    scores = top_k(queries, documents, chunks)
    expected = best_chunk_of_each_parent(scores, parents, depth)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)  # products of other shapes round otherwise
