"""Draw a general query set: by hash, so that it is the same on every machine, and without what the project holds."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import chain
from pathlib import Path

from dialekt.errors import InputError
from dialekt.evaluation.general.records import GeneralMaterial
from dialekt.models.lexical import Bm25
from dialekt.store.hashing import hash_text
from dialekt.store.tables import read_records, write_records
from dialekt.types import Document, Qrel, Query, Split

CANDIDATES = 20
FEWEST_QUERIES = 40
MOST_READ = 50_000
"""Documents that are held in memory and searched for candidates, beside the answers."""


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
    `documents`, BM25's best candidates by rising rank among the first 50,000 by hash, then others by hash. Raises
    `InputError` when fewer than 40 queries, whatever `queries` is, have an answer that the project does not hold.
    """
    general = [query for query in material.queries if _identity(query.text) not in own.queries]
    positives = [qrel for qrel in material.qrels if qrel.grade > 0]
    drawn = _draw_documents(material.documents, own, {qrel.document_id for qrel in positives})
    answered = {qrel.query_id for qrel in positives if qrel.document_id in drawn.answers}
    usable = [query for query in general if query.id in answered]
    if len(usable) < FEWEST_QUERIES:
        raise InputError(
            f"only {len(usable)} of {len(material.queries)} general queries have an answer and are not the project's "
            f"own, at least {FEWEST_QUERIES} are needed: half of them choose, half measure",
            hint='set evaluation.general to a BEIR folder with more, or to "off" to do without the guard',
        )
    chosen = _divide(usable, most=queries)
    asked = {query.id for query in chosen}
    qrels = [qrel for qrel in positives if qrel.query_id in asked and qrel.document_id in drawn.answers]
    kept = _with_answers(drawn.kept, material.documents, own, {qrel.document_id for qrel in qrels})
    dropped = {
        "documents_of_the_project": drawn.dropped,
        "queries_of_the_project": len(material.queries) - len(general),
    }
    return GeneralMaterial(_pool(kept, chosen, qrels, most=documents), chosen, qrels), dropped


@dataclass(frozen=True, slots=True)
class _DrawnDocuments:
    """Documents of no project, drawn by hash, by their place; which answers there are; how many the project holds."""

    kept: dict[int, Document]
    answers: frozenset[str]
    dropped: int


def _draw_documents(documents: Iterable[Document], own: ProjectTexts, answers: AbstractSet[str]) -> _DrawnDocuments:
    """Read all documents once, and hold `MOST_READ` of them at most."""
    found: set[str] = set()
    counts = Counter[str]()

    def general() -> Iterator[tuple[int, Document]]:
        for place, document in enumerate(documents):
            if _identity(document.content) in own.documents:
                counts["dropped"] += 1
                continue
            if document.id in answers:
                found.add(document.id)
            yield place, document

    kept = nsmallest(MOST_READ, general(), key=lambda item: (_turn(item[1].id), item[0]))
    return _DrawnDocuments(dict(kept), frozenset(found), counts["dropped"])


def _with_answers(
    kept: dict[int, Document], documents: Iterable[Document], own: ProjectTexts, answers: AbstractSet[str]
) -> list[Document]:
    """Return what was drawn and all answers, in their own order; read again only where an answer is missing."""
    if answers - {document.id for document in kept.values()}:
        kept = kept | {
            place: document
            for place, document in enumerate(documents)
            if document.id in answers and _identity(document.content) not in own.documents
        }
    return [kept[place] for place in sorted(kept)]


def _turn(name: str) -> str:
    """Return the hash by whose order things are drawn."""
    return hash_text(f"general {name}")


def _divide(queries: Sequence[Query], *, most: int) -> list[Query]:
    """Take queries by hash, in turn to choose by and to measure by, so that the second kind stays unseen."""
    drawn = sorted(queries, key=lambda query: _turn(query.id))[: 2 * most]
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
    others = sorted(range(len(documents)), key=lambda row: _turn(documents[row].id))
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
