"""Candidates of a block of queries: BM25's hits, the dense hits and the given negatives, each document once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.negatives.ragged import Integers, Ragged
from dialekt.negatives.rules import BM25, DENSE, GIVEN

Floats = NDArray[np.float32]
CELLS_PER_GATHER = 16_384  # document vectors copied at a time: 25 MB at 384 dimensions


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What one retriever found, best first; (queries, width), document -1 and score NaN where there is nothing.

    A score is the cosine, and NaN while it is unknown.
    """

    retriever: int
    documents: Integers
    scores: Floats

    @property
    def ranks(self) -> Integers:
        """Retrieval ranks from 1; (queries, width)."""
        return np.broadcast_to(np.arange(1, self.documents.shape[1] + 1), self.documents.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The documents that a block of queries may take as negatives; every array is (queries, width).

    A document stands once per query, with its best rank, under the retriever that gave it that rank (dense when both
    did, given before both). Cells without a candidate hold document -1.
    """

    documents: Integers
    ranks: Integers
    retrievers: NDArray[np.int8]
    scores: Floats
    found_by_several: NDArray[np.bool_]


def cosines(query_vectors: Floats, document_vectors: Floats, documents: Integers) -> Floats:
    """Return the cosine of every query with its documents; shape as `documents` (queries, width), NaN for document -1.

    Vectors are L2-normalised rows (queries, dimension) and (documents, dimension). Copies a bounded part of the
    document vectors at a time, so they may lie in a memory-mapped file.
    """
    scores = np.full(documents.shape, np.nan, dtype=np.float32)
    rows, columns = np.nonzero(documents >= 0)
    for start in range(0, len(rows), CELLS_PER_GATHER):
        part = slice(start, start + CELLS_PER_GATHER)
        queries = query_vectors[rows[part]]  # (cells, dimension)
        neighbours = np.asarray(document_vectors[documents[rows[part], columns[part]]], dtype=np.float32)
        scores[rows[part], columns[part]] = np.einsum("cd,cd->c", queries, neighbours)
    return scores


def dense_hits(indices: Integers, scores: Floats) -> Hits:
    """Return what exact dense search found; (queries, depth)."""
    return Hits(DENSE, indices, np.where(indices >= 0, scores, np.float32(np.nan)))


def lexical_hits(indices: NDArray[np.int32]) -> Hits:
    """Return what BM25 found; (queries, depth). Its own scores say nothing about a cosine, so they are left out."""
    return Hits(BM25, indices.astype(np.int64), np.full(indices.shape, np.nan, dtype=np.float32))


def given_hits(given: Ragged, parents: Integers, query_vectors: Floats, document_vectors: Floats) -> Hits:
    """Return the negatives that the user named, hardest first; of a chunked document the chunk nearest to the query."""
    documents = given.padded()  # (queries, width)
    scores = cosines(query_vectors, document_vectors, documents)
    hardest_first = np.argsort(-scores, axis=1, kind="stable")  # NaN, the empty cells, sort last
    documents = np.take_along_axis(documents, hardest_first, axis=1)
    scores = np.take_along_axis(scores, hardest_first, axis=1)
    repeated = _repeats(np.where(documents >= 0, parents[documents], -1))
    documents, scores = np.where(repeated, -1, documents), np.where(repeated, np.float32(np.nan), scores)
    filled_first = np.argsort(documents < 0, axis=1, kind="stable")
    return Hits(
        GIVEN,
        np.take_along_axis(documents, filled_first, axis=1),
        np.take_along_axis(scores, filled_first, axis=1),
    )


def _repeats(values: Integers) -> NDArray[np.bool_]:
    """Return which cells hold a value that stands further left in the same row; -1 never counts; (rows, width)."""
    order = np.argsort(values, axis=1, kind="stable")
    ascending = np.take_along_axis(values, order, axis=1)
    again = np.zeros(values.shape, dtype=np.bool_)
    again[:, 1:] = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
    repeated = np.zeros_like(again)
    np.put_along_axis(repeated, order, again, axis=1)
    return repeated


def preference(ranks: Integers, retrievers: NDArray[np.int8]) -> Integers:
    """Return the order in which candidates are preferred, smallest first: given, then by rank, dense before BM25."""
    return np.where(retrievers == GIVEN, 0, 2 * ranks + (retrievers == BM25))


def unite(hits: Sequence[Hits]) -> Candidates:
    """Merge what several retrievers found for the same queries; (queries, sum of widths)."""
    documents = np.concatenate([found.documents for found in hits], axis=1)  # (queries, width)
    ranks = np.concatenate([found.ranks for found in hits], axis=1)
    scores = np.concatenate([found.scores for found in hits], axis=1)
    codes = [np.full(found.documents.shape, found.retriever, dtype=np.int8) for found in hits]
    retrievers = np.concatenate(codes, axis=1)
    preferred = preference(ranks, retrievers)
    order = np.argsort(documents * (preferred.max(initial=0) + 1) + preferred, axis=1, kind="stable")
    documents, ranks, retrievers, scores = (
        np.take_along_axis(values, order, axis=1) for values in (documents, ranks, retrievers, scores)
    )
    same = documents[:, 1:] == documents[:, :-1]  # a cell holds the same document as the cell left of it
    first = np.ones(documents.shape, dtype=np.bool_)
    first[:, 1:] = ~same
    several = np.zeros(documents.shape, dtype=np.bool_)
    several[:, :-1] = same
    return Candidates(np.where(first, documents, -1), ranks, retrievers, scores, several & first & (documents >= 0))


def with_cosines(candidates: Candidates, query_vectors: Floats, document_vectors: Floats) -> Candidates:
    """Fill in the cosines that dense search has not already computed."""
    unknown = np.where(np.isnan(candidates.scores), candidates.documents, -1)
    computed = cosines(query_vectors, document_vectors, unknown)
    return Candidates(
        documents=candidates.documents,
        ranks=candidates.ranks,
        retrievers=candidates.retrievers,
        scores=np.where(unknown >= 0, computed, candidates.scores),
        found_by_several=candidates.found_by_several,
    )
