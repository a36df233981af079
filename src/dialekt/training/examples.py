"""Training examples as arrays: tokens cached once, positives and negatives as sorted code tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dialekt.models.vectors import Vectors
from dialekt.training.tables import FrozenVectors, PairValues, Space, Tokenise, TokenTable, rows_of
from dialekt.types import Document, HardNegative, Pair, PairSource, Qrel, Query, Role, TeacherScore

SOURCES = tuple(PairSource)
"""The sources of pairs, in the order of the numbers that stand for them."""


@dataclass(frozen=True, slots=True)
class Kin:
    """Which documents answer the same thing: chunks of one parent, and near-duplicates. Both (documents,) int64.

    Numbers of parents and of clusters are distinct, so that one table of codes serves both; `count` bounds them.
    """

    parents: NDArray[np.int64]
    clusters: NDArray[np.int64]
    count: int


@dataclass(frozen=True, slots=True)
class Examples:
    """Everything a training step needs, by row number.

    Row numbers of queries and documents count the queries with a pair and the documents that occur in a pair or as
    a negative. `answer_codes` holds `query * kin.count + number` for the parent and the cluster of every judged answer,
    also of those that are no pair, sorted, so that no answer of a query is ever used as its negative. `negatives`
    lists rows of hard negatives per query, best first. `pair_source` holds places in `SOURCES`. `weak_negatives` holds
    the weights of those that count for less than 1, `teacher_scores` the logits of a teacher, `grades` judgments in
    [0, 1] with hard negatives as 0. `frozen` holds the documents' vectors where only the query side is tuned, and
    `document_tokens` no tokens then. `guide` is the space of a model that says which documents are too near to be
    negatives, `wanted` that of a model whose cosines are learnt.
    """

    query_ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    query_tokens: TokenTable
    document_tokens: TokenTable
    pair_query: NDArray[np.int32]
    pair_document: NDArray[np.int32]
    pair_weight: NDArray[np.float32]
    kin: Kin
    answer_codes: NDArray[np.int64]
    negatives: tuple[NDArray[np.int32], ...]
    weak_negatives: PairValues
    teacher_scores: PairValues
    pair_source: NDArray[np.int8]
    grades: PairValues
    frozen: FrozenVectors | None = None
    guide: Space | None = None
    wanted: Space | None = None

    def is_answer(self, queries: NDArray[np.int32], documents: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell for every (query row, document row) whether the document answers the query; (queries, documents)."""
        found = np.zeros((len(queries), len(documents)), dtype=np.bool_)
        for numbers in (self.kin.parents, self.kin.clusters):
            codes = queries.astype(np.int64)[:, None] * self.kin.count + numbers[documents][None, :]
            places = np.minimum(np.searchsorted(self.answer_codes, codes), len(self.answer_codes) - 1)
            found |= self.answer_codes[places] == codes
        return found

    def with_negatives(self, negatives: Sequence[HardNegative]) -> "Examples":
        """Return the same examples with other hard negatives; those of unknown documents are left out."""
        query_row, document_row = rows_of(self.query_ids), rows_of(self.document_ids)
        return replace(
            self,
            negatives=_negative_rows(negatives, query_row, document_row),
            weak_negatives=_weak_negatives(negatives, query_row, document_row),
        )

    def taught(self, scores: Sequence[TeacherScore]) -> "Examples":
        """Return the same examples with a teacher's scores; those of unknown ids are left out."""
        numbers = ((score.query_id, score.document_id, score.score) for score in scores)
        known = PairValues.of(numbers, rows_of(self.query_ids), rows_of(self.document_ids))
        return replace(self, teacher_scores=known)

    def cut(self, *, max_query_tokens: int, max_document_tokens: int) -> "Examples":
        """Return the same examples with texts cut to their first tokens."""
        return replace(
            self,
            query_tokens=self.query_tokens.cut(max_query_tokens),
            document_tokens=self.document_tokens.cut(max_document_tokens),
        )

    def freeze(self, vectors: Vectors) -> "Examples":
        """Return the same examples whose documents keep the given vectors; `StorageError` for one without."""
        found = FrozenVectors.pick(vectors.document_vectors, vectors.document_ids, self.document_ids, of="documents")
        return replace(self, frozen=found)

    def space(self, vectors: Vectors) -> Space:
        """Return the examples in the space of a model; `StorageError` for a text without a vector."""
        return Space.of(vectors, self.query_ids, self.document_ids)


def build_examples(
    documents: Sequence[Document],
    queries: Sequence[Query],
    pairs: Sequence[Pair],
    negatives: Sequence[HardNegative],
    *,
    tokenise: Tokenise,
    qrels: Sequence[Qrel] = (),
    keep_all_documents: bool = False,
    graded: bool = False,
) -> Examples:
    """Turn tables into arrays. `keep_all_documents` tokenises the whole corpus, which re-mining needs.

    `qrels` with a grade above 0 are answers too, though they may be no pair: cut by a limit, or of a lower grade. With
    `graded` all judged documents are kept, and what was judged low stands behind the mined negatives.
    """
    used = {pair.document_id for pair in pairs} | {negative.document_id for negative in negatives}
    if graded:
        used |= {qrel.document_id for qrel in qrels}
    kept = [
        document
        for document in documents
        if keep_all_documents or document.id in used or (graded and document.parent_id in used)
    ]
    document_ids = tuple(document.id for document in kept)
    document_row = rows_of(document_ids)
    paired = {pair.query_id for pair in pairs}
    asked = [query for query in queries if query.id in paired]
    query_ids = tuple(query.id for query in asked)
    query_row = rows_of(query_ids)
    kin = _kin(kept)
    pair_query = np.array([query_row[pair.query_id] for pair in pairs], dtype=np.int32)
    pair_document = np.array([document_row[pair.document_id] for pair in pairs], dtype=np.int32)
    judged = _judged(qrels, query_row, kept)
    answers = [*zip(pair_query.tolist(), pair_document.tolist(), strict=True)]
    answers += [(one.query, row) for one in judged if one.grade > 0 for row in one.documents]
    grades = _grades(pairs, negatives, judged, query_row, document_row) if graded else _no_values(document_row)
    return Examples(
        query_ids=query_ids,
        document_ids=document_ids,
        query_tokens=TokenTable.of([query.text for query in asked], Role.QUERY, tokenise),
        document_tokens=TokenTable.of([document.content for document in kept], Role.DOCUMENT, tokenise),
        pair_query=pair_query,
        pair_document=pair_document,
        pair_weight=np.array([pair.weight for pair in pairs], dtype=np.float32),
        kin=kin,
        answer_codes=_codes(answers, kin),
        negatives=_negative_rows(
            negatives, query_row, document_row, behind=_unpaired(judged, pair_query, pair_document) if graded else ()
        ),
        weak_negatives=_weak_negatives(negatives, query_row, document_row),
        pair_source=np.array([SOURCES.index(pair.source) for pair in pairs], dtype=np.int8),
        grades=grades,
        teacher_scores=_no_values(document_row),
    )


def _weak_negatives(
    negatives: Sequence[HardNegative], query_row: Mapping[str, int], document_row: Mapping[str, int]
) -> PairValues:
    weak = ((item.query_id, item.document_id, item.weight) for item in negatives if item.weight < 1)
    return PairValues.of(weak, query_row, document_row)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A judgment by rows: its query, and the units of the judged document."""

    query: int
    documents: tuple[int, ...]
    grade: float

    @property
    def unit(self) -> int | None:
        """The unit that the grade is true of: of several chunks nobody knows which one was meant, unless none is."""
        return self.documents[0] if len(self.documents) == 1 else None


def _judged(qrels: Sequence[Qrel], query_row: Mapping[str, int], kept: Sequence[Document]) -> list[_Judged]:
    """Return the judgments of known queries and documents; they name parents, and count for their chunks."""
    by_parent: dict[str, list[int]] = {}
    for row, document in enumerate(kept):
        by_parent.setdefault(document.parent_id or document.id, []).append(row)
    return [
        _Judged(query_row[qrel.query_id], tuple(by_parent[qrel.document_id]), qrel.grade)
        for qrel in qrels
        if qrel.query_id in query_row and qrel.document_id in by_parent
    ]


def _unpaired(
    judged: Sequence[_Judged], pair_query: NDArray[np.int32], pair_document: NDArray[np.int32]
) -> list[_Judged]:
    """Return the judgments of documents that are no pair of their query."""
    paired = set(zip(pair_query.tolist(), pair_document.tolist(), strict=True))
    return [one for one in judged if (one.query, one.unit) not in paired]


def _grades(
    pairs: Sequence[Pair],
    negatives: Sequence[HardNegative],
    judged: Sequence[_Judged],
    query_row: Mapping[str, int],
    document_row: Mapping[str, int],
) -> PairValues:
    """Return the known grades over the highest one: of hard negatives 0, then of judgments, and above all of pairs."""
    count = len(document_row)
    known = {
        query_row[item.query_id] * count + document_row[item.document_id]: 0.0
        for item in negatives
        if item.query_id in query_row and item.document_id in document_row
    }
    known |= {one.query * count + one.unit: max(one.grade, 0.0) for one in judged if one.unit is not None}
    known |= {query_row[pair.query_id] * count + document_row[pair.document_id]: pair.grade for pair in pairs}
    return PairValues.by_code(known, count, scale=max(known.values(), default=1.0))


def _no_values(document_row: Mapping[str, int]) -> PairValues:
    return PairValues.by_code({}, len(document_row))


def _kin(kept: Sequence[Document]) -> Kin:
    numbers: dict[tuple[str, str], int] = {}
    parents = [numbers.setdefault(("parent", document.parent_id or document.id), len(numbers)) for document in kept]
    clusters = [
        numbers.setdefault(("cluster", document.duplicate_of or document.id), len(numbers)) for document in kept
    ]
    return Kin(np.array(parents, dtype=np.int64), np.array(clusters, dtype=np.int64), max(1, len(numbers)))


def _codes(answers: Sequence[tuple[int, int]], kin: Kin) -> NDArray[np.int64]:
    rows = np.array(answers, dtype=np.int64).reshape(-1, 2)
    codes = [rows[:, 0] * kin.count + numbers[rows[:, 1]] for numbers in (kin.parents, kin.clusters)]
    return np.unique(np.concatenate(codes))


def _negative_rows(
    negatives: Sequence[HardNegative],
    query_row: Mapping[str, int],
    document_row: Mapping[str, int],
    *,
    behind: Sequence[_Judged] = (),
) -> tuple[NDArray[np.int32], ...]:
    """Return the rows of every query's negatives, best first, and `behind` them what was judged."""
    rows: list[dict[int, None]] = [{} for _ in query_row]
    for negative in negatives:
        if negative.query_id in query_row and negative.document_id in document_row:
            rows[query_row[negative.query_id]][document_row[negative.document_id]] = None
    for one in behind:
        if one.unit is not None:
            rows[one.query][one.unit] = None
    return tuple(np.array([*found], dtype=np.int32) for found in rows)
