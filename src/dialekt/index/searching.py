"""Searching one release: vectors, optionally words too, units collapsed to whole documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.index.documents import Documents
from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import Filter
from dialekt.index.records import Found, SearchSettings

RANK_CONSTANT = 60  # of reciprocal rank fusion, as its authors chose it
FUSED_DEPTH = 100  # documents of each ranking that fusion looks at
_MOST_UNITS_PER_RESULT = 64


@dataclass(frozen=True, slots=True)
class Hit:
    """A whole document and its best unit. `score` is a cosine, or a fused score in a hybrid search."""

    document_id: str
    unit_id: str
    score: float
    space: str


class Searcher:
    """The rows of one index version, with the documents that they are about."""

    def __init__(self, documents: Documents, engine: VectorEngine, settings: SearchSettings):
        self.documents = documents
        self.engine = engine
        self.settings = settings

    def search(
        self,
        vectors: NDArray[np.float32],
        *,
        k: int,
        where: Filter | None = None,
        settings: SearchSettings | None = None,
        texts: Sequence[str] | None = None,
    ) -> list[list[Hit]]:
        """Return the best k documents of every query (queries, dimension), best first.

        With the queries' `texts` the ranking is joined with that of BM25 (Cormack, Clarke & Büttcher 2009:
        each document gets Σ 1 / (60 + rank)).
        """
        depth = k if texts is None else max(k, FUSED_DEPTH)
        dense = self._dense(vectors, depth, settings or self.settings, where)
        if texts is None:
            return dense
        return [fuse(hits, self._lexical(text, depth, where), k) for hits, text in zip(dense, texts, strict=True)]

    def _dense(
        self, vectors: NDArray[np.float32], k: int, settings: SearchSettings, where: Filter | None
    ) -> list[list[Hit]]:
        """Ask for more units until every query has k documents, or there are no more units."""
        results: list[list[Hit]] = [[] for _ in vectors]
        open_queries, limit = list(range(len(vectors))), k
        while open_queries:
            found = self.engine.search(vectors[open_queries], limit, settings=settings, where=where)
            for query, units in zip(open_queries, found, strict=True):
                results[query] = collapse(units, k)
            full = {query for query, units in zip(open_queries, found, strict=True) if len(units.ids) >= limit}
            open_queries = [query for query in open_queries if query in full and len(results[query]) < k]
            limit *= 4
            if limit > k * _MOST_UNITS_PER_RESULT:
                break
        return results

    def _lexical(self, text: str, k: int, where: Filter | None) -> list[Hit]:
        hits = self.documents.search_words(text, 2 * k, where=where or Filter())
        return _first_of_each((Hit(hit.document_id, hit.id, hit.score, "") for hit in hits), k)


def collapse(units: Found, k: int) -> list[Hit]:
    """Return the best k whole documents of ranked units: a document is as good as its best unit."""
    rows = zip(units.document_ids, units.ids, units.scores.tolist(), units.spaces, strict=True)
    return _first_of_each((Hit(document, unit, score, space) for document, unit, score, space in rows), k)


def fuse(dense: Sequence[Hit], lexical: Sequence[Hit], k: int) -> list[Hit]:
    """Join two rankings by reciprocal rank; of equal scores the one that comes first in `dense` leads."""
    scores: dict[str, float] = {}
    hits: dict[str, Hit] = {}
    for ranking in (dense, lexical):
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.document_id] = scores.get(hit.document_id, 0.0) + 1 / (RANK_CONSTANT + rank)
            hits.setdefault(hit.document_id, hit)
    best = sorted(scores, key=lambda document: -scores[document])[:k]
    return [Hit(document, hits[document].unit_id, scores[document], hits[document].space) for document in best]


def _first_of_each(hits: Iterable[Hit], k: int) -> list[Hit]:
    kept: dict[str, Hit] = {}
    for hit in hits:
        kept.setdefault(hit.document_id, hit)
        if len(kept) == k:
            break
    return list(kept.values())
