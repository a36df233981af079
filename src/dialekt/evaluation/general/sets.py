"""Draw a general query set: by hash, so that it is the same on every machine, and without what the project holds."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from dialekt.errors import InputError
from dialekt.evaluation.general.records import GeneralMaterial
from dialekt.models.lexical import Bm25
from dialekt.store.hashing import hash_text
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Qrel, Query, Split

CANDIDATES = 20
FEWEST_QUERIES = 20


@dataclass(frozen=True, slots=True)
class ProjectTexts:
    """The hashes of a project's documents and queries: what is its own is not general."""

    documents: frozenset[str]
    queries: frozenset[str]


def read_project_texts(corpus: Path, split: Path) -> ProjectTexts:
    """Hash the texts of a corpus and of the queries of all splits."""
    return ProjectTexts(
        frozenset(_identity(document.content) for document in read_records(corpus / "documents.parquet", Document)),
        frozenset(_identity(query.text) for query in read_records(split / "queries.parquet", Query)),
    )


def _identity(text: str) -> str:
    return hash_text(" ".join(text.casefold().split()))


def draw(
    material: GeneralMaterial, own: ProjectTexts, *, queries: int, documents: int
) -> tuple[GeneralMaterial, dict[str, int]]:
    """Return a set of up to `queries` queries to measure by and as many to choose by, and what the project holds of it.

    Those to choose by are of split dev, the others of split test. The pool of documents holds all answers, then, up to
    `documents`, BM25's best candidates by rising rank, then others by hash. Raises `InputError` when fewer than 20
    queries have an answer.
    """
    kept, dropped = _without_own(material, own)
    chosen = _divide(kept.queries, most=queries)
    if len(chosen) < FEWEST_QUERIES:
        raise InputError(
            f"only {len(chosen)} general queries have an answer, at least {FEWEST_QUERIES} are needed",
            hint='set evaluation.general to a larger BEIR folder, or to "off" to do without the guard',
        )
    asked = {query.id for query in chosen}
    qrels = [qrel for qrel in kept.qrels if qrel.query_id in asked]
    return GeneralMaterial(_pool(kept.documents, chosen, qrels, most=documents), chosen, qrels), dropped


def _without_own(material: GeneralMaterial, own: ProjectTexts) -> tuple[GeneralMaterial, dict[str, int]]:
    """Leave out what the project holds, and queries that have no answer in what is left."""
    documents = [item for item in material.documents if _identity(item.content) not in own.documents]
    queries = [query for query in material.queries if _identity(query.text) not in own.queries]
    dropped = {
        "documents_of_the_project": len(material.documents) - len(documents),
        "queries_of_the_project": len(material.queries) - len(queries),
    }
    names = {document.id for document in documents}
    qrels = [qrel for qrel in material.qrels if qrel.grade > 0 and qrel.document_id in names]
    answered = {qrel.query_id for qrel in qrels}
    return GeneralMaterial(documents, [query for query in queries if query.id in answered], qrels), dropped


def _divide(queries: Sequence[Query], *, most: int) -> list[Query]:
    """Take queries by hash, in turn to choose by and to measure by, so that the second kind stays unseen."""
    drawn = sorted(queries, key=lambda query: hash_text(f"general {query.id}"))[: 2 * most]
    return [
        replace(query, split=Split.DEV if place % 2 else Split.TEST, cluster="") for place, query in enumerate(drawn)
    ]


def _pool(
    documents: Sequence[Document], queries: Sequence[Query], qrels: Iterable[Qrel], *, most: int
) -> list[Document]:
    """Return the documents that the queries are asked over, in their own order."""
    if len(documents) <= most:
        return list(documents)
    rows = {document.id: row for row, document in enumerate(documents)}
    answers = (rows[qrel.document_id] for qrel in qrels)
    others = sorted(range(len(documents)), key=lambda row: hash_text(f"general {documents[row].id}"))
    chosen = _fill(answers, chain(_candidates(documents, queries), others), most)
    return [documents[row] for row in sorted(chosen)]


def _candidates(documents: Sequence[Document], queries: Sequence[Query]) -> Iterator[int]:
    index = Bm25.build([document.content for document in documents])
    found = index.search([query.text for query in queries], CANDIDATES).indices  # (queries, candidates)
    yield from (row for column in found.T.tolist() for row in column if row >= 0)


def _fill(first: Iterable[int], then: Iterable[int], most: int) -> Collection[int]:
    chosen = set(first)
    for row in then:
        if len(chosen) >= most:
            break
        chosen.add(row)
    return chosen


def write_set(material: GeneralMaterial, out: Path) -> None:
    """Write documents.parquet, queries.parquet and qrels.parquet."""
    write_records(out / "documents.parquet", material.documents, Document)
    write_records(out / "queries.parquet", material.queries, Query)
    write_records(out / "qrels.parquet", material.qrels, Qrel)
