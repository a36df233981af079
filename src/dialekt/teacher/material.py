"""The pairs and hard negatives as row numbers into their texts: what a teacher is trained on and what it scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import InputError, StorageError
from dialekt.store.tables import read_records
from dialekt.teacher.records import TeacherInputs
from dialekt.types import Document, HardNegative, Pair, Qrel, Query


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Training pairs and hard negatives, and the texts that they name: nothing else of corpus or queries.

    `pair_rows` (pairs, 2) and `negative_rows` (negatives, 2) hold rows of `query_texts` and `document_texts`.
    `kin` (documents,) is equal for documents of one parent or with nearly the same text, chained.
    `judged` are the (query row, document row) couples of which the judgments say something.
    """

    pairs: Sequence[Pair]
    negatives: Sequence[HardNegative]
    query_texts: Sequence[str]
    document_texts: Sequence[str]
    pair_rows: NDArray[np.int64]
    negative_rows: NDArray[np.int64]
    kin: NDArray[np.int64]
    judged: frozenset[tuple[int, int]]


def read_material(inputs: TeacherInputs) -> Material:
    """Read the tables; raise `InputError` without a pair, `StorageError` when they do not belong together."""
    pairs = read_records(inputs.examples / "pairs.parquet", Pair)
    if not pairs:
        raise InputError("there is no training pair", hint="lower pairs.minimum_grade, or give more judgments")
    negatives = read_records(inputs.negatives / "negatives.parquet", HardNegative)
    queries = {query.id: query.text for query in read_records(inputs.examples / "queries.parquet", Query)}
    documents = {item.id: item for item in read_records(inputs.corpus / "documents.parquet", Document)}
    couples = [(item.query_id, item.document_id) for item in pairs]
    couples += [(item.query_id, item.document_id) for item in negatives]
    query_rows = _rows([query for query, _ in couples], queries, "query")
    document_rows = _rows([document for _, document in couples], documents, "document")
    named = [documents[name] for name in document_rows]
    rows = np.array([(query_rows[query], document_rows[document]) for query, document in couples], dtype=np.int64)
    return Material(
        pairs=pairs,
        negatives=negatives,
        query_texts=[queries[name] for name in query_rows],
        document_texts=[document.content for document in named],
        pair_rows=rows[: len(pairs)],
        negative_rows=rows[len(pairs) :],
        kin=_kin(named),
        judged=_judged(inputs, query_rows, named),
    )


def _rows(names: Sequence[str], known: Mapping[str, object], kind: str) -> dict[str, int]:
    """Number the names in the order of their first use."""
    rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
    missing = sum(name not in known for name in rows)
    if missing:
        raise StorageError(
            f"pairs and negatives name a {kind} that is not there, {missing} of {len(rows)}",
            hint="they were made from another corpus or split; run the journey again",
        )
    return rows


def _kin(documents: Sequence[Document]) -> NDArray[np.int64]:
    """Number groups of documents that share a parent or a text."""
    groups: dict[str, int] = {}
    kin = np.zeros(len(documents), dtype=np.int64)
    for row, document in enumerate(documents):
        names = {document.parent_id or document.id, document.duplicate_of or document.id}
        known = [groups[name] for name in names if name in groups]
        kin[row] = min(known, default=row)
        if len(set(known)) > 1:  # this document joins two groups
            joined = max(known)
            groups = {name: int(kin[row]) if group == joined else group for name, group in groups.items()}
            kin[:row][kin[:row] == joined] = kin[row]
        groups |= dict.fromkeys(names, int(kin[row]))
    return kin


def _judged(
    inputs: TeacherInputs, query_rows: Mapping[str, int], named: Sequence[Document]
) -> frozenset[tuple[int, int]]:
    """Return the couples that were judged; a judgment of a whole document speaks of all its chunks."""
    units: dict[str, list[int]] = {}
    for row, document in enumerate(named):
        for name in {document.id, document.parent_id or document.id}:
            units.setdefault(name, []).append(row)
    qrels = read_records(inputs.examples / "qrels.parquet", Qrel)
    return frozenset(
        (query_rows[qrel.query_id], row)
        for qrel in qrels
        if qrel.query_id in query_rows
        for row in units.get(qrel.document_id, ())
    )
