"""The dev set that scores a model under training: some dev queries over a bounded pool of documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import CUTOFF, GainTable, Judgments, judge, ndcg, tabulate
from dialekt.measures.retrieval import (
    Collection,
    read_collection,
    require_same_corpus,
    rows_of_queries,
    units_of_documents,
)
from dialekt.measures.runs import rank_parents
from dialekt.models.lexical import Bm25
from dialekt.models.topk import TopK, top_k
from dialekt.models.vectors import load_vectors
from dialekt.store.tables import read_records
from dialekt.types import Qrel, Query, ReportProgress, Split, no_progress

UNITS_PER_POSITIVE = 8


@dataclass(frozen=True, slots=True)
class DevInputs:
    """Folders of the corpus, the split and the base model's vectors; from which grade on a document is a positive."""

    corpus: Path
    split: Path
    vectors: Path
    minimum_grade: float = 1.0
    seed: int = 13


@dataclass(frozen=True, slots=True, eq=False)
class DevSet:
    """Texts to encode, and what is needed to score their vectors.

    `document_ids` and `document_texts` are units (documents or chunks); `parents` (units,) int64 says to which
    whole document of `parent_ids` each belongs. `gains` is laid out over `query_ids` and `parent_ids`.
    """

    query_ids: tuple[str, ...]
    query_texts: tuple[str, ...]
    document_ids: tuple[str, ...]
    document_texts: tuple[str, ...]
    parent_ids: tuple[str, ...]
    parents: NDArray[np.int64]
    gains: GainTable

    @property
    def texts(self) -> int:
        """How many texts one scoring encodes."""
        return len(self.query_texts) + len(self.document_texts)


def make_dev_set(
    inputs: DevInputs,
    *,
    max_queries: int,
    max_documents: int,
    candidates: int = 50,
    among: Sequence[str] | None = None,
    progress: ReportProgress = no_progress,
) -> DevSet:
    """Draw up to `max_queries` dev queries and a pool of up to `max_documents` units of the corpus for them.

    `among` names the queries to draw from, of whatever split, instead of all dev queries.

    The pool holds, in this order until it is full: the queries' positives (all of them, even beyond the limit; of
    a long document its eight best units), the best `candidates` units of the base model and of BM25 by rising
    rank, then random units. A split without dev queries gives an empty set.
    """
    collection, vectors = read_collection(inputs.corpus), load_vectors(inputs.vectors)
    require_same_corpus(collection, vectors, inputs.vectors)
    wanted = None if among is None else frozenset(among)
    every = [
        query
        for query in read_records(inputs.split / "queries.parquet", Query)
        if (query.split is Split.DEV if wanted is None else query.id in wanted)
    ]
    generator = np.random.default_rng(inputs.seed)
    queries = _sample(every, max_queries, generator)
    qrels = read_records(inputs.split / "qrels.parquet", Qrel)
    judgments = judge(qrels, minimum_grade=inputs.minimum_grade)
    query_vectors = rows_of_queries(vectors, queries)
    positives = list(_positive_units(collection, judgments, queries, query_vectors, vectors.document_vectors))
    dense = top_k(query_vectors, vectors.document_vectors, candidates)
    index = Bm25.build(collection.texts, language=collection.language, progress=progress)
    lexical = index.search([query.text for query in queries], candidates)
    filling = generator.permutation(len(collection.unit_ids)).tolist() if queries else []
    pool = _fill(positives, chain(_by_rank(dense, lexical), filling), max_documents)
    return _lay_out(collection, queries, judgments, pool)


def _sample(queries: Sequence[Query], most: int, generator: np.random.Generator) -> list[Query]:
    """Draw queries without replacement; they keep their order."""
    drawn = generator.permutation(len(queries))[:most]
    return [queries[row] for row in sorted(drawn.tolist())]


def _positive_units(
    collection: Collection,
    judgments: Judgments,
    queries: Sequence[Query],
    query_vectors: NDArray[np.float32],
    document_vectors: NDArray[np.float32],
) -> Iterator[int]:
    """Yield the units of every positive; of a document with many units those that the base model finds nearest."""
    units = units_of_documents(collection)
    for row, query in enumerate(queries):
        for document_id in judgments.positives(query.id):
            found = units.get(document_id, [])
            if len(found) > UNITS_PER_POSITIVE:
                cosines = document_vectors[found] @ query_vectors[row]
                nearest = np.argsort(-cosines, kind="stable")[:UNITS_PER_POSITIVE]
                found = [found[place] for place in nearest.tolist()]
            yield from found


def _by_rank(dense: TopK, lexical: TopK) -> Iterator[int]:
    """Yield candidates by rising rank over all queries, so that a full pool is fair to every query."""
    for rank in range(dense.indices.shape[1]):
        for top in (dense, lexical):
            yield from (index for index in top.indices[:, rank].tolist() if index >= 0)


def _fill(first: Iterable[int], then: Iterable[int], most: int) -> NDArray[np.int64]:
    """Return the distinct units of `first`, and of `then` until there are `most`, in the order of the corpus."""
    pool = set(first)
    for unit in then:
        if len(pool) >= most:
            break
        pool.add(unit)
    return np.array(sorted(pool), dtype=np.int64)


def _lay_out(collection: Collection, queries: Sequence[Query], judgments: Judgments, pool: NDArray[np.int64]) -> DevSet:
    kept, parents = np.unique(collection.parents[pool], return_inverse=True)
    query_ids = tuple(query.id for query in queries)
    parent_ids = tuple(collection.document_ids[parent] for parent in kept.tolist())
    return DevSet(
        query_ids=query_ids,
        query_texts=tuple(query.text for query in queries),
        document_ids=tuple(collection.unit_ids[unit] for unit in pool.tolist()),
        document_texts=tuple(collection.texts[unit] for unit in pool.tolist()),
        parent_ids=parent_ids,
        parents=parents.astype(np.int64),
        gains=tabulate(judgments, query_ids=query_ids, document_ids=parent_ids),
    )


def pool_vectors(dev_set: DevSet, vectors: Path) -> NDArray[np.float32]:
    """Return the vectors that the set's units have in a vectors artefact; (units, dimension)."""
    found = load_vectors(vectors)
    rows = {unit_id: row for row, unit_id in enumerate(found.document_ids)}
    return found.document_vectors[[rows[unit_id] for unit_id in dev_set.document_ids]]


def dev_scores(
    dev_set: DevSet, query_vectors: NDArray[np.float32], document_vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return NDCG@10 of each dev query (queries,) from vectors in the order of the set's texts."""

    def search(rows: NDArray[np.int64], k: int) -> TopK:
        return top_k(query_vectors[rows], document_vectors, k)

    if not dev_set.query_ids:
        return np.zeros(0)
    top = rank_parents(search, dev_set.parents, queries=len(dev_set.query_ids), depth=CUTOFF)
    return ndcg(top.indices, dev_set.gains)


def score_dev(dev_set: DevSet, query_vectors: NDArray[np.float32], document_vectors: NDArray[np.float32]) -> float:
    """Return the mean NDCG@10 over the dev queries, 0 when there are none."""
    scores = dev_scores(dev_set, query_vectors, document_vectors)
    return float(scores.mean()) if len(scores) else 0.0
