"""Retrieve with BM25 and with vectors, at the level of whole documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.measures.runs import Run, rank_parents
from dialekt.models.lexical import Bm25
from dialekt.models.topk import TopK, top_k
from dialekt.models.vectors import Vectors
from dialekt.store.language import read_language
from dialekt.store.tables import read_records
from dialekt.types import Document, Language, Query

_ROWS_PER_BLOCK = 131_072


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """What is searched. A unit is a row of the corpus: a document or a chunk of one.

    `parents` (units,) int64 points into `document_ids`, the ids of whole documents that judgments speak of. `language`
    is None where the corpus does not say: BM25 then looks at the texts.
    """

    unit_ids: tuple[str, ...]
    texts: tuple[str, ...]
    document_ids: tuple[str, ...]
    parents: NDArray[np.int64]
    language: Language | None = None


def read_collection(corpus: Path) -> Collection:
    """Read a corpus artefact."""
    documents = read_records(corpus / "documents.parquet", Document)
    places: dict[str, int] = {}
    parents = [places.setdefault(unit.parent_id or unit.id, len(places)) for unit in documents]
    return Collection(
        unit_ids=tuple(unit.id for unit in documents),
        texts=tuple(unit.content for unit in documents),
        document_ids=tuple(places),
        parents=np.array(parents, dtype=np.int64),
        language=read_language(corpus / "documents.parquet"),
    )


def units_of_documents(collection: Collection) -> dict[str, list[int]]:
    """Return the rows of each whole document's units."""
    units: dict[str, list[int]] = {}
    for row, parent in enumerate(collection.parents.tolist()):
        units.setdefault(collection.document_ids[parent], []).append(row)
    return units


def rows_by_name(collection: Collection) -> dict[str, list[int]]:
    """Return the rows that an id stands for: those of a whole document's units, or that of a unit."""
    return units_of_documents(collection) | {unit: [row] for row, unit in enumerate(collection.unit_ids)}


def lexical_run(collection: Collection, index: Bm25, queries: Sequence[Query], *, depth: int) -> Run:
    """Rank documents with BM25; a query whose words occur nowhere has an empty row."""

    def search(rows: NDArray[np.int64], k: int) -> TopK:
        return index.search([queries[row].text for row in rows], k)

    top = rank_parents(search, collection.parents, queries=len(queries), depth=depth)
    return Run(tuple(query.id for query in queries), collection.document_ids, top.indices, top.scores)


def dense_run(
    collection: Collection,
    vectors: Vectors,
    queries: Sequence[Query],
    *,
    depth: int,
    dimension: int | None = None,
) -> Run:
    """Rank documents by cosine; `dimension` cuts the vectors first, as a Matryoshka model allows."""
    query_vectors = truncate(rows_of_queries(vectors, queries), dimension)

    def search(rows: NDArray[np.int64], k: int) -> TopK:
        return _search_cut(query_vectors[rows], vectors.document_vectors, k, dimension)

    top = rank_parents(search, collection.parents, queries=len(queries), depth=depth)
    return Run(tuple(query.id for query in queries), collection.document_ids, top.indices, top.scores)


def truncate(vectors: NDArray[np.float32], dimension: int | None) -> NDArray[np.float32]:
    """Keep the first `dimension` components and scale each row to length 1 again; a zero row stays zero.

    (rows, full) float32 → (rows, dimension) float32 (Kusupati et al. 2022, "Matryoshka representation learning").
    """
    if dimension is None or dimension >= vectors.shape[1]:
        return vectors
    cut = np.asarray(vectors[:, :dimension], dtype=np.float32)
    lengths: NDArray[np.float32] = np.linalg.norm(cut, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(cut, lengths, out=np.zeros_like(cut), where=lengths > 0)
    return scaled


def _search_cut(
    query_vectors: NDArray[np.float32], document_vectors: NDArray[np.float32], k: int, dimension: int | None
) -> TopK:
    """Search block by block, so that only one block of cut vectors is in memory."""
    if dimension is None or dimension >= document_vectors.shape[1]:
        return top_k(query_vectors, document_vectors, k)
    best: TopK | None = None
    for start in range(0, len(document_vectors), _ROWS_PER_BLOCK):
        block = truncate(document_vectors[start : start + _ROWS_PER_BLOCK], dimension)
        found = top_k(query_vectors, block, k)
        found = TopK(np.where(found.indices >= 0, found.indices + start, -1), found.scores)
        best = found if best is None else merge(best, found, k)
    return best or top_k(query_vectors, document_vectors[:, :dimension], k)


def merge(first: TopK, second: TopK, k: int) -> TopK:
    """Return the k best of two results; `first` is ahead among equal scores."""
    scores = np.concatenate([first.scores, second.scores], axis=1)  # (queries, both widths)
    indices = np.concatenate([first.indices, second.indices], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return TopK(np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1))


def rows_of_queries(vectors: Vectors, queries: Sequence[Query]) -> NDArray[np.float32]:
    """Return the vectors of the queries (queries, dimension); raise `StorageError` when one is missing."""
    rows = {query_id: row for row, query_id in enumerate(vectors.query_ids)}
    missing = [query.id for query in queries if query.id not in rows]
    if missing:
        raise StorageError(
            f"{len(missing)} held-out queries have no vector (first: {missing[0]!r})",
            hint="the vectors were made for another split; run the vectors stage again",
        )
    return np.asarray(vectors.query_vectors[[rows[query.id] for query in queries]], dtype=np.float32)


def require_same_corpus(collection: Collection, vectors: Vectors, folder: Path) -> None:
    """Raise `StorageError` unless row n of the vectors is row n of the corpus."""
    if tuple(vectors.document_ids) != collection.unit_ids:
        raise StorageError(
            f"the vectors are of another corpus ({len(vectors.document_ids)} rows, corpus {len(collection.unit_ids)})",
            path=folder,
            hint="run the vectors stage again",
        )
