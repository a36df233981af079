"""Documents and queries as integer arrays: everything that mining asks about a candidate, without touching a text."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import ConfigError, StorageError
from dialekt.negatives.ragged import Integers, Ragged
from dialekt.types import Document, Pair, Qrel, Retriever


@dataclass(frozen=True, slots=True)
class KnownNegative:
    """A document that the sources name as no answer of a query; `weight` in (0, 1] is what the loss gives it."""

    query_id: str
    document_id: str
    weight: float = 1.0
    retriever: Retriever = Retriever.GIVEN


@dataclass(frozen=True, slots=True)
class HeldOutDocument:
    """A document that answers held-out queries only, by its own or its parent's id."""

    document_id: str


@dataclass(frozen=True, slots=True, eq=False)
class DocumentTable:
    """The corpus, one row per retrievable unit. A *code* is a row, or, from `len(ids)` on, a chunked parent."""

    ids: Sequence[str]
    parents: Integers  # (documents,) code of the parent; the row itself for a whole document
    clusters: Integers  # (documents,) code that near-duplicates share; the row itself when there are none
    held_out: NDArray[np.bool_]  # (documents,)
    categories: Integers | None  # (documents,) category of each document, -1 without one; None: not asked for
    links: Ragged  # code → near-duplicate clusters of its rows, those of one member left out
    members: Ragged  # code → rows: a row's own, a parent's chunks


@dataclass(frozen=True, slots=True, eq=False)
class QueryTable:
    """The queries that are mined for, ascending by id, with what their judgments say; one row per query."""

    ids: Sequence[str]
    trained: Ragged  # rows of the documents the query is trained towards: at least one each
    positives: Ragged  # codes judged positive
    positive_documents: Ragged  # codes of the positives' parents
    positive_clusters: Ragged  # near-duplicate clusters with a positive, or a chunk of one, in them
    positive_categories: Ragged  # categories of the trained documents; empty when not asked for
    partial: Ragged  # codes judged above 0 and below a positive's grade
    rejected: Ragged  # codes judged 0 or less
    given: Ragged  # rows of documents that the sources name as negatives
    passed_over: Mapping[tuple[int, int], float]  # weight by (query, document) row of those that a log saw passed over


@dataclass(frozen=True, slots=True, eq=False)
class MiningTables:
    """What mining needs besides vectors. `lexical_rows` (queries, depth) are BM25's hits, -1 where there are fewer."""

    documents: DocumentTable
    queries: QueryTable
    lexical_rows: NDArray[np.int32] | None


def document_codes(documents: Sequence[Document]) -> dict[str, int]:
    """Number every id: documents by their row, then parents and cluster names that are no documents themselves."""
    codes = {document.id: row for row, document in enumerate(documents)}
    for document in documents:
        for name in (document.parent_id, document.duplicate_of):
            if name:
                codes.setdefault(name, len(codes))
    return codes


def document_table(
    documents: Sequence[Document],
    codes: Mapping[str, int],
    *,
    held_out: Iterable[HeldOutDocument],
    category_field: str | None,
) -> DocumentTable:
    """Turn documents into arrays; raise `ConfigError` when no document has the category field."""
    rows = np.arange(len(documents), dtype=np.int64)
    parents = np.array([codes[document.parent_id or document.id] for document in documents], dtype=np.int64)
    clusters = np.array([codes[document.duplicate_of or document.id] for document in documents], dtype=np.int64)
    barred = np.zeros(len(codes), dtype=np.bool_)
    barred[[codes[item.document_id] for item in held_out if item.document_id in codes]] = True
    held = barred[rows] | barred[parents]
    held |= np.isin(clusters, clusters[held])  # a near-duplicate of a held-out unit carries the same text
    own_and_parent = np.concatenate([rows, parents])  # (2 * documents,)
    shared = np.bincount(clusters)[clusters] > 1
    return DocumentTable(
        ids=[document.id for document in documents],
        parents=parents,
        clusters=clusters,
        held_out=held,
        categories=None if category_field is None else _categories(documents, category_field),
        links=Ragged.build(own_and_parent[np.tile(shared, 2)], np.tile(clusters[shared], 2), row_count=len(codes)),
        members=Ragged.build(own_and_parent, np.tile(rows, 2), row_count=len(codes)),
    )


def _categories(documents: Sequence[Document], category_field: str) -> Integers:
    """Number the values of a metadata field; -1 for a document without it."""
    numbers: dict[str, int] = {}
    categories = np.full(len(documents), -1, dtype=np.int64)
    for row, document in enumerate(documents):
        value = document.metadata.get(category_field)
        if value:
            categories[row] = numbers.setdefault(value, len(numbers))
    if numbers:
        return categories
    known = sorted({name for document in documents for name in document.metadata})
    near = difflib.get_close_matches(category_field, known, n=3, cutoff=0.4) or known[:10]
    raise ConfigError(
        f"negatives.same_category_field = {category_field!r}: no document has this metadata field",
        hint=f"the documents have: {', '.join(near)}" if near else "the documents have no metadata; leave it unset",
    )


def query_table(
    documents: DocumentTable,
    codes: Mapping[str, int],
    *,
    pairs: Sequence[Pair],
    qrels: Sequence[Qrel],
    given: Sequence[KnownNegative],
    minimum_grade: float,
) -> QueryTable:
    """Turn the judgments of the queries that have a pair into arrays; other queries are not mined for."""
    ids = sorted({pair.query_id for pair in pairs})
    rows = {query_id: row for row, query_id in enumerate(ids)}
    _require_known(pairs, codes, document_count=len(documents.ids))

    def group(links: Iterable[Qrel | Pair | KnownNegative]) -> Ragged:
        known = [
            (rows[link.query_id], codes[link.document_id])
            for link in links
            if link.query_id in rows and link.document_id in codes
        ]
        table = np.array(known, dtype=np.int64).reshape(-1, 2)
        return Ragged.build(table[:, 0], table[:, 1], row_count=len(ids))

    trained = group(pairs)
    positives = trained.union(group(qrel for qrel in qrels if qrel.grade >= minimum_grade))
    return QueryTable(
        ids=ids,
        trained=trained,
        positives=positives,
        positive_documents=_parents_of(positives, documents),
        positive_clusters=positives.follow(documents.links),
        positive_categories=_categories_of(trained, documents),
        partial=group(qrel for qrel in qrels if 0 < qrel.grade < minimum_grade),
        rejected=group(qrel for qrel in qrels if qrel.grade <= 0),
        given=group(given).follow(documents.members),
        passed_over=_passed_over(given, rows, codes, documents),
    )


def _passed_over(
    known: Sequence[KnownNegative], rows: Mapping[str, int], codes: Mapping[str, int], documents: DocumentTable
) -> dict[tuple[int, int], float]:
    weights = {}
    for negative in known:
        if negative.retriever is Retriever.SKIPPED and negative.query_id in rows and negative.document_id in codes:
            code = codes[negative.document_id]
            start, stop = documents.members.offsets[code : code + 2]
            for document in documents.members.values[start:stop].tolist():
                weights[rows[negative.query_id], document] = negative.weight
    return weights


def _require_known(pairs: Sequence[Pair], codes: Mapping[str, int], *, document_count: int) -> None:
    unknown = sum(codes.get(pair.document_id, document_count) >= document_count for pair in pairs)
    if unknown:
        raise StorageError(
            f"{unknown} of {len(pairs)} training pairs name a document that the corpus does not have",
            hint="the pairs were made from another corpus; run the pairs stage again",
        )


def _parents_of(sets: Ragged, documents: DocumentTable) -> Ragged:
    """Replace rows by their parents; the code of a parent stays."""
    is_row = sets.values < len(documents.ids)
    parents = sets.values.copy()
    parents[is_row] = documents.parents[sets.values[is_row]]
    return Ragged.build(sets.rows, parents, row_count=sets.row_count)


def _categories_of(trained: Ragged, documents: DocumentTable) -> Ragged:
    if documents.categories is None:
        return Ragged.build(trained.rows[:0], trained.values[:0], row_count=trained.row_count)
    categories = documents.categories[trained.values]
    return Ragged.build(trained.rows[categories >= 0], categories[categories >= 0], row_count=trained.row_count)
