"""Reading what mining needs from the artefacts of the rooms before it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dialekt.config import NegativesConfig
from dialekt.errors import StorageError
from dialekt.negatives.candidates import Floats
from dialekt.negatives.tables import (
    HeldOutDocument,
    KnownNegative,
    MiningTables,
    document_codes,
    document_table,
    query_table,
)
from dialekt.negatives.words import kept_hits, search_words
from dialekt.store.language import read_language
from dialekt.store.tables import read_records
from dialekt.types import (
    Divide,
    Document,
    Pair,
    Qrel,
    Query,
    ReportProgress,
    Retriever,
    Split,
    no_progress,
    one_by_one,
)


@dataclass(frozen=True, slots=True)
class NegativesInputs:
    """Artefact folders. `minimum_grade` is the grade from which a judgment makes a positive (`pairs.minimum_grade`)."""

    corpus: Path
    pairs: Path
    vectors: Path
    seed: int
    minimum_grade: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """The tables, and where the texts behind them lie. `unknown_given` given negatives name no document."""

    inputs: NegativesInputs
    tables: MiningTables
    query_texts: Mapping[str, str]
    unknown_given: int

    def document_texts(self, wanted: Collection[str]) -> dict[str, str]:
        """Read the contents of some documents, by id."""
        return {document.id: document.content for document in _documents(self.inputs) if document.id in wanted}


def read_sources(
    config: NegativesConfig,
    inputs: NegativesInputs,
    *,
    hits: Path,
    divide: Divide = one_by_one,
    progress: ReportProgress = no_progress,
) -> Sources:
    """Read the artefacts into tables. BM25's hits are taken from the folder `hits` if it has them, else searched."""
    documents = _documents(inputs)
    given = read_records(inputs.pairs / "known_negatives.parquet", KnownNegative)
    codes = document_codes(documents)
    table = document_table(
        documents,
        codes,
        held_out=read_records(inputs.pairs / "held_out_documents.parquet", HeldOutDocument),
        category_field=config.same_category_field,
    )
    queries = query_table(
        table,
        codes,
        pairs=read_records(inputs.pairs / "pairs.parquet", Pair),
        qrels=read_records(inputs.pairs / "qrels.parquet", Qrel),
        given=given,
        minimum_grade=inputs.minimum_grade,
    )
    texts = _texts_of(queries.ids, inputs)
    lexical = None
    if Retriever.BM25 in config.retrievers and config.per_query:
        lexical = kept_hits(hits, shape=(len(queries.ids), min(config.depth, len(documents))))
        if lexical is None:
            contents = [document.content for document in documents]
            lexical = search_words(
                contents,
                list(texts.values()),
                depth=config.depth,
                language=read_language(inputs.corpus / "documents.parquet"),
                divide=divide,
                progress=progress,
            )
    unknown = sum(negative.document_id not in codes for negative in given)
    return Sources(inputs, MiningTables(table, queries, lexical), texts, unknown)


def vectors_in_order(folder: Path, tables: MiningTables) -> tuple[Floats, Floats]:
    """Return query and document vectors in the order of the tables; raise `StorageError` for those of others."""
    from dialekt.models.vectors import load_vectors

    vectors = load_vectors(folder)
    documents, queries = tables.documents, tables.queries
    if vectors.document_ids != documents.ids:
        raise StorageError(
            "the document vectors were made from another corpus",
            path=folder,
            hint="run the vectors stage again",
        )
    places = {query_id: row for row, query_id in enumerate(vectors.query_ids)}
    missing = sum(query_id not in places for query_id in queries.ids)
    if missing:
        raise StorageError(
            f"{missing} of {len(queries.ids)} train queries have no vector",
            path=folder,
            hint="run the vectors stage again",
        )
    rows = np.array([places[query_id] for query_id in queries.ids], dtype=np.int64)
    return vectors.query_vectors[rows], vectors.document_vectors


def _documents(inputs: NegativesInputs) -> list[Document]:
    return read_records(inputs.corpus / "documents.parquet", Document)


def _texts_of(query_ids: Sequence[str], inputs: NegativesInputs) -> dict[str, str]:
    """Return the texts of the queries to mine for, in their order; refuse queries that are not for training."""
    queries = read_records(inputs.pairs / "queries.parquet", Query)
    texts = {query.id: query.text for query in queries if query.split is Split.TRAIN}
    unknown = [query_id for query_id in query_ids if query_id not in texts]
    if unknown:
        raise StorageError(
            f"training pairs name {unknown[0]!r} (and {len(unknown) - 1} more), which is no train query",
            hint="the tables do not belong together; run the pairs stage again",
        )
    return {query_id: texts[query_id] for query_id in query_ids}
