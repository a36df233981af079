"""What training examples are laid out in: token ids, numbers of pairs, vectors that stay as they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.models.vectors import Vectors
from dialekt.types import Role

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
        return cls.by_code(known, len(document_row))

    @classmethod
    def by_code(cls, known: Mapping[int, float], documents: int, *, scale: float = 1.0) -> "PairValues":
        """Build the table from numbers by code, divided by `scale`."""
        codes = np.array(sorted(known), dtype=np.int64)
        values = np.array([known[code] / scale for code in codes.tolist()], dtype=np.float32)
        return cls(codes, values, documents)


@dataclass(frozen=True, slots=True, eq=False)
class FrozenVectors:
    """Vectors that training leaves as they are.

    `vectors` is float32 (all texts, dimension), L2-normalised and mapped; `rows` (texts,) says which of them each
    query or document of the examples has.
    """

    vectors: NDArray[np.float32]
    rows: NDArray[np.int64]

    def of(self, texts: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the vectors of some texts; (texts, dimension)."""
        return np.ascontiguousarray(self.vectors[self.rows[texts]])

    @classmethod
    def pick(
        cls, vectors: NDArray[np.float32], ids: Sequence[str], wanted: Sequence[str], *, of: str
    ) -> "FrozenVectors":
        """Find the vectors of the `wanted` ids; `of` names what they are. Raises `StorageError` for one without."""
        known = rows_of(ids)
        if missing := sum(identifier not in known for identifier in wanted):
            raise StorageError(
                f"{missing} {of} of the examples have no vector",
                hint="the vectors belong to another corpus: run the stage again",
            )
        return cls(vectors, np.array([known[identifier] for identifier in wanted], dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The vectors that a model gives to the queries and documents of the examples."""

    queries: FrozenVectors
    documents: FrozenVectors

    def cosines(self, queries: NDArray[np.int32], documents: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the cosine of every query with every document; (queries, documents)."""
        found: NDArray[np.float32] = self.queries.of(queries) @ self.documents.of(documents).T
        return found

    @classmethod
    def of(cls, vectors: Vectors, query_ids: Sequence[str], document_ids: Sequence[str]) -> "Space":
        """Find the vectors of the examples; raises `StorageError` where one is missing."""
        return cls(
            FrozenVectors.pick(vectors.query_vectors, vectors.query_ids, query_ids, of="queries"),
            FrozenVectors.pick(vectors.document_vectors, vectors.document_ids, document_ids, of="documents"),
        )


def rows_of(ids: Sequence[str]) -> dict[str, int]:
    """Return the row of every id."""
    return {identifier: row for row, identifier in enumerate(ids)}
