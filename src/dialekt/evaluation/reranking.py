"""Does a cross-encoder rank the dev queries better than the student whose first hits it reads?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import CUTOFF, judge, ndcg, tabulate
from dialekt.measures.retrieval import Collection, dense_run, read_collection, require_same_corpus, rows_of_queries
from dialekt.measures.runs import best_chunk_of_each_parent
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.models.topk import TopK, top_k
from dialekt.models.vectors import load_vectors
from dialekt.store.tables import read_records
from dialekt.types import DevComparison, Qrel, Query, Split

ScorePairs = Callable[[Sequence[str], Sequence[str], NDArray[np.int64]], NDArray[np.float32]]
"""Queries, documents and row numbers of both (pairs, 2) → a score per pair, higher for a better answer."""

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class RerankingInputs:
    """Folders of the corpus, the split and the student's vectors, and how much is read.

    `depth` is how many of the student's best units the teacher reads per query, of up to `max_queries` dev queries.
    """

    corpus: Path
    split: Path
    vectors: Path
    depth: int
    max_queries: int
    minimum_grade: float = 1.0
    seed: int = 13


def compare(inputs: RerankingInputs, score: ScorePairs) -> DevComparison:
    """Rerank the student's best units of every dev query and compare NDCG@10, query by query.

    A document scores what its best unit scores (MaxP). What lies beyond the depth keeps the student's order behind
    what was read, so that a small depth costs the teacher nothing.
    """
    collection, vectors = read_collection(inputs.corpus), load_vectors(inputs.vectors)
    require_same_corpus(collection, vectors, inputs.vectors)
    queries = _dev_queries(inputs)
    if not queries:
        return DevComparison(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    read = top_k(rows_of_queries(vectors, queries), vectors.document_vectors, inputs.depth)
    reranked = best_chunk_of_each_parent(_rerank(read, collection, queries, score), collection.parents, inputs.depth)
    student = dense_run(collection, vectors, queries, depth=CUTOFF)
    gains = tabulate(
        judge(read_records(inputs.split / "qrels.parquet", Qrel), minimum_grade=inputs.minimum_grade),
        query_ids=student.query_ids,
        document_ids=collection.document_ids,
    )
    return _comparison(
        ndcg(student.indices, gains), ndcg(_filled(reranked.indices, student.indices), gains), seed=inputs.seed
    )


def _dev_queries(inputs: RerankingInputs) -> list[Query]:
    """Draw dev queries without replacement; they keep their order."""
    queries = [query for query in read_records(inputs.split / "queries.parquet", Query) if query.split is Split.DEV]
    drawn = np.random.default_rng(inputs.seed).permutation(len(queries))[: inputs.max_queries]
    return [queries[row] for row in sorted(drawn.tolist())]


def _rerank(read: TopK, collection: Collection, queries: Sequence[Query], score: ScorePairs) -> TopK:
    """Order each query's units by the teacher's scores; the student is ahead among equal ones."""
    rows, ranks = np.nonzero(read.indices >= 0)
    units, documents = np.unique(read.indices[rows, ranks], return_inverse=True)
    texts = [collection.texts[unit] for unit in units.tolist()]
    pairs = np.stack([rows, documents], axis=1).astype(np.int64)  # (pairs, 2)
    scores = np.full(read.scores.shape, -np.inf, dtype=np.float32)
    scores[rows, ranks] = score([query.text for query in queries], texts, pairs)
    order = np.argsort(-scores, axis=1, kind="stable")
    return TopK(np.take_along_axis(read.indices, order, axis=1), np.take_along_axis(scores, order, axis=1))


def _filled(first: NDArray[np.int64], then: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ranked documents (queries, 10): `first`, and where it ends the rest of `then`. Both end with -1."""
    joined = np.concatenate([first, then], axis=1)  # (queries, both depths)
    ranked = np.full((len(joined), CUTOFF), -1, dtype=np.int64)
    for row, documents in enumerate(joined):
        distinct = list(dict.fromkeys(documents[documents >= 0].tolist()))[:CUTOFF]
        ranked[row, : len(distinct)] = distinct
    return ranked


def _comparison(student: NDArray[np.float64], teacher: NDArray[np.float64], *, seed: int) -> DevComparison:
    gains = teacher - student
    (low, high), = bootstrap_intervals(
        gains[:, None], confidence=CONFIDENCE, resamples=RESAMPLES, seed=seed, bounds=(-1.0, 1.0)
    ).tolist()  # fmt: skip
    return DevComparison(
        student_ndcg=float(student.mean()),
        teacher_ndcg=float(teacher.mean()),
        gain=float(gains.mean()),
        low=low,
        high=high,
        queries=len(gains),
    )
