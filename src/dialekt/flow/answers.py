"""What base and tuned model answer to held-out queries, as texts: for a person who asked to see texts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialekt.store.tables import read_records
from dialekt.types import Document, Qrel, Query


@dataclass(frozen=True, slots=True)
class Found:
    """A document that a system returned. `relevant` says whether the judgments call it an answer."""

    document_id: str
    title: str
    text: str
    relevant: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """The best documents of every system for one query, best first."""

    query_id: str
    query: str
    by_system: Mapping[str, tuple[Found, ...]]


@dataclass(frozen=True, slots=True)
class AnswerSources:
    """Folders of the artefacts that hold rankings, queries and texts; the grade from which a document is an answer."""

    corpus: Path
    split: Path
    evaluation: Path
    minimum_grade: float


def read_answers(
    sources: AnswerSources, query_ids: Sequence[str], *, systems: Sequence[str] = ("base", "tuned"), depth: int = 1
) -> list[Answers]:
    """Return what the systems found for some held-out queries, in the order given."""
    ranked = {system: _best_ids(sources.evaluation, system, query_ids, depth) for system in systems}
    wanted = {item for ranking in ranked.values() for ids in ranking.values() for item in ids}
    documents = _documents(sources.corpus, wanted)
    queries = {query.id: query.text for query in read_records(sources.split / "queries.parquet", Query)}
    relevant = {
        (qrel.query_id, qrel.document_id)
        for qrel in read_records(sources.split / "qrels.parquet", Qrel)
        if qrel.grade >= sources.minimum_grade
    }

    def found(query_id: str, document_id: str) -> Found:
        document = documents[document_id]
        return Found(document_id, document.title, document.text, (query_id, document_id) in relevant)

    return [
        Answers(
            query_id,
            queries[query_id],
            {system: tuple(found(query_id, item) for item in ranked[system].get(query_id, ())) for system in systems},
        )
        for query_id in query_ids
    ]


def _best_ids(evaluation: Path, system: str, query_ids: Collection[str], depth: int) -> dict[str, list[str]]:
    from dialekt.measures.runs import read_run

    run = read_run(evaluation / "runs" / f"{system}.run.gz")
    wanted = set(query_ids)
    return {
        query_id: [run.document_ids[index] for index in run.indices[row, :depth] if index >= 0]
        for row, query_id in enumerate(run.query_ids)
        if query_id in wanted
    }


def _documents(corpus: Path, wanted: Collection[str]) -> dict[str, Document]:
    """Return documents by parent id; of a chunked document its first chunk."""
    found: dict[str, Document] = {}
    for document in read_records(corpus / "documents.parquet", Document):
        name = document.parent_id or document.id
        if name in wanted:
            found.setdefault(name, document)
    return found
