"""Training examples as arrays: tokens cached once, positives and negatives as sorted code tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.models.vectors import Vectors
from dialekt.types import Document, HardNegative, Pair, Qrel, Query, Role, TeacherScore

Tokenise = Callable[[Sequence[str], Role], list[list[int]]]
"""Texts and their role → token ids, with prompt and special tokens."""


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Token ids of many texts in one flat array; text i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def row(self, index: int) -> NDArray[np.int32]:
        """Return the token ids of one text."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per text."""
        return np.diff(self.offsets)

    def cut(self, max_tokens: int) -> "TokenTable":
        """Return a table in which every text has at most `max_tokens` tokens; the last token (separator) stays."""
        rows = [self.ids[start:end] for start, end in pairwise(self.offsets)]
        cut = [row if len(row) <= max_tokens else np.append(row[: max_tokens - 1], row[-1]) for row in rows]
        return _to_table(cut)

    @classmethod
    def of(cls, texts: Sequence[str], role: Role, tokenise: Tokenise) -> "TokenTable":
        """Tokenise texts in slices."""
        rows: list[NDArray[np.int32]] = []
        for start in range(0, len(texts), 4096):
            rows.extend(np.asarray(ids, dtype=np.int32) for ids in tokenise(texts[start : start + 4096], role))
        return _to_table(rows)


def _to_table(rows: Sequence[NDArray[np.int32]]) -> TokenTable:
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    ids = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32)
    return TokenTable(ids.astype(np.int32, copy=False), np.concatenate([[0], np.cumsum(lengths)]))


@dataclass(frozen=True, slots=True)
class Kin:
    """Which documents answer the same thing: chunks of one parent, and near-duplicates. Both (documents,) int64.

    Numbers of parents and of clusters are distinct, so that one table of codes serves both; `count` bounds them.
    """

    parents: NDArray[np.int64]
    clusters: NDArray[np.int64]
    count: int


@dataclass(frozen=True, slots=True)
class PairValues:
    """A number for some (query row, document row): `codes` are query · documents + document, ascending."""

    codes: NDArray[np.int64]
    values: NDArray[np.float32]
    documents: int

    def __len__(self) -> int:
        return len(self.codes)

    def look_up(self, queries: NDArray[np.int32], documents: NDArray[np.int32], default: float) -> NDArray[np.float32]:
        """Return the number of every (query, document), `default` where there is none; (queries, documents)."""
        codes = queries.astype(np.int64)[:, None] * self.documents + documents[None, :]
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[places] == codes, self.values[places], np.float32(default))

    @classmethod
    def of(
        cls,
        numbers: Iterable[tuple[str, str, float]],
        query_row: Mapping[str, int],
        document_row: Mapping[str, int],
    ) -> "PairValues":
        """Build the table from (query id, document id, number); those of unknown ids are left out."""
        known = {
            query_row[query] * len(document_row) + document_row[document]: number
            for query, document, number in numbers
            if query in query_row and document in document_row
        }
        codes = np.array(sorted(known), dtype=np.int64)
        values = np.array([known[code] for code in codes.tolist()], dtype=np.float32)
        return cls(codes, values, len(document_row))


@dataclass(frozen=True, slots=True, eq=False)
class FrozenDocuments:
    """Vectors of documents that training leaves as they are.

    `vectors` is float32 (all documents, dimension), L2-normalised and mapped; `rows` (documents,) says which of them
    each document of the examples has.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]

    def of(self, documents: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the vectors of some documents; (documents, dimension)."""
        return np.ascontiguousarray(self.vectors[self.rows[documents]])


@dataclass(frozen=True, slots=True)
class Examples:
    """Everything a training step needs, by row number.

    Row numbers of queries and documents count the queries with a pair and the documents that occur in a pair or as
    a negative. `answer_codes` holds `query * kin.count + number` for the parent and the cluster of every judged answer,
    also of those that are no pair, sorted, so that no answer of a query is ever used as its negative. `negatives`
    lists rows of hard negatives per query, best first. `weak_negatives` holds the weights of those that count for less
    than 1, `teacher_scores` the logits of a teacher. `frozen` holds the documents' vectors where only the query side
    is tuned, and `document_tokens` no tokens then.
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
    frozen: FrozenDocuments | None = None

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
        query_row, document_row = _rows(self.query_ids), _rows(self.document_ids)
        return replace(
            self,
            negatives=_negative_rows(negatives, query_row, document_row),
            weak_negatives=_weak_negatives(negatives, query_row, document_row),
        )

    def cut(self, *, max_query_tokens: int, max_document_tokens: int) -> "Examples":
        """Return the same examples with texts cut to their first tokens."""
        return replace(
            self,
            query_tokens=self.query_tokens.cut(max_query_tokens),
            document_tokens=self.document_tokens.cut(max_document_tokens),
        )

    def freeze(self, vectors: Vectors) -> "Examples":
        """Return the same examples whose documents keep the given vectors.

        Raises `StorageError` for a document without one.
        """
        known = _rows(vectors.document_ids)
        if missing := [document_id for document_id in self.document_ids if document_id not in known]:
            raise StorageError(
                f"{len(missing)} documents of the examples have no vector",
                hint="the vectors belong to another corpus: run the stage again",
            )
        rows = np.array([known[document_id] for document_id in self.document_ids], dtype=np.int64)
        return replace(self, frozen=FrozenDocuments(vectors.document_vectors, rows))


def build_examples(
    documents: Sequence[Document],
    queries: Sequence[Query],
    pairs: Sequence[Pair],
    negatives: Sequence[HardNegative],
    *,
    tokenise: Tokenise,
    qrels: Sequence[Qrel] = (),
    scores: Sequence[TeacherScore] = (),
    keep_all_documents: bool = False,
) -> Examples:
    """Turn tables into arrays. `keep_all_documents` tokenises the whole corpus, which re-mining needs.

    `qrels` with a grade above 0 are answers too, though they may be no pair: cut by a limit, or of a lower grade.
    """
    used = {pair.document_id for pair in pairs} | {negative.document_id for negative in negatives}
    kept = [document for document in documents if keep_all_documents or document.id in used]
    document_ids = tuple(document.id for document in kept)
    document_row = _rows(document_ids)
    paired = {pair.query_id for pair in pairs}
    asked = [query for query in queries if query.id in paired]
    query_ids = tuple(query.id for query in asked)
    query_row = _rows(query_ids)
    kin = _kin(kept)
    pair_query = np.array([query_row[pair.query_id] for pair in pairs], dtype=np.int32)
    pair_document = np.array([document_row[pair.document_id] for pair in pairs], dtype=np.int32)
    answers = [*zip(pair_query.tolist(), pair_document.tolist(), strict=True)]
    answers += _judged_answers(qrels, query_row, kept)
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
        negatives=_negative_rows(negatives, query_row, document_row),
        weak_negatives=_weak_negatives(negatives, query_row, document_row),
        teacher_scores=PairValues.of(
            ((score.query_id, score.document_id, score.score) for score in scores), query_row, document_row
        ),
    )


def _rows(ids: Sequence[str]) -> dict[str, int]:
    return {identifier: row for row, identifier in enumerate(ids)}


def _weak_negatives(
    negatives: Sequence[HardNegative], query_row: Mapping[str, int], document_row: Mapping[str, int]
) -> PairValues:
    weak = ((item.query_id, item.document_id, item.weight) for item in negatives if item.weight < 1)
    return PairValues.of(weak, query_row, document_row)


def _judged_answers(
    qrels: Sequence[Qrel], query_row: Mapping[str, int], kept: Sequence[Document]
) -> list[tuple[int, int]]:
    """Return (query row, document row) of every judged answer; judgments name parents, and count for their chunks."""
    by_parent: dict[str, list[int]] = {}
    for row, document in enumerate(kept):
        by_parent.setdefault(document.parent_id or document.id, []).append(row)
    return [
        (query_row[qrel.query_id], row)
        for qrel in qrels
        if qrel.grade > 0 and qrel.query_id in query_row
        for row in by_parent.get(qrel.document_id, ())
    ]


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
    negatives: Sequence[HardNegative], query_row: Mapping[str, int], document_row: Mapping[str, int]
) -> tuple[NDArray[np.int32], ...]:
    rows: dict[str, list[int]] = {identifier: [] for identifier in query_row}
    for negative in negatives:
        if negative.query_id in rows and negative.document_id in document_row:
            rows[negative.query_id].append(document_row[negative.document_id])
    return tuple(np.array(rows[identifier], dtype=np.int32) for identifier in query_row)
