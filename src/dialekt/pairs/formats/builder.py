"""What every format reader fills: queries, qrels, inline documents and given negatives, checked once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dialekt.errors import InputError
from dialekt.pairs.records import GivenNegative, GivenQrel, JudgedQuery
from dialekt.store.hashing import hash_text
from dialekt.types import Document

MAX_NEGATIVES_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader is asked to read, and how."""

    path: Path
    minimum_score: float = 0.5
    time_field: str = "timestamp"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the user's files a value stands, for error messages."""

    path: Path
    line: int | None = None


class JudgmentsBuilder:
    """Collects what a format gives. A fault that makes judgments ambiguous raises; anything else is counted."""

    def __init__(self) -> None:
        self.queries: dict[str, JudgedQuery] = {}
        self.documents: dict[str, Document] = {}
        self.document_streams: list[Iterator[Document]] = []
        self.dropped: Counter[str] = Counter()
        self.warnings: list[str] = []
        self._grades: dict[tuple[str, str, str], float] = {}
        self._negatives: dict[str, dict[str, None]] = {}
        self._empty_queries: set[str] = set()

    def add_query(self, query_id: str, text: str, *, place: Place, timestamp: str = "") -> None:
        """Add a query under its given id; the same id with another text raises `InputError`."""
        text = text.strip()
        if not text:
            self.dropped["empty_queries"] += 1
            self._empty_queries.add(query_id)
            return
        known = self.queries.get(query_id)
        if known is None:
            self.queries[query_id] = JudgedQuery(query_id, text, timestamp)
        elif known.text != text:
            raise InputError(
                f"query id {query_id!r} already stands for another text",
                path=place.path,
                line=place.line,
                hint="give each query text its own id",
            )

    def add_query_text(self, text: str, *, timestamp: str = "") -> str | None:
        """Add a query without id; return the id that its text gives, or `None` for an empty one, which is counted."""
        text = text.strip()
        if not text:
            self.dropped["empty_queries"] += 1
            return None
        query_id = hash_text(text)
        self.queries.setdefault(query_id, JudgedQuery(query_id, text, timestamp))
        return query_id

    def add_document(self, document_id: str, text: str, *, place: Place, title: str = "") -> bool:
        """Add an inline document under its given id and return whether it has any text."""
        text, title = text.strip(), title.strip()
        if not text and not title:
            self.dropped["empty_documents"] += 1
            return False
        known = self.documents.get(document_id)
        if known is not None and (known.text, known.title) != (text, title):
            raise InputError(
                f"document id {document_id!r} already stands for another text",
                path=place.path,
                line=place.line,
                hint="give each document text its own id",
            )
        self.documents[document_id] = Document(document_id, text, title, document_id, document_id)
        return True

    def add_document_text(self, text: str, title: str = "") -> str | None:
        """Add a document without id; return its text's id, or `None` for an empty one, which is counted."""
        text, title = text.strip(), title.strip()
        if not text and not title:
            self.dropped["empty_documents"] += 1
            return None
        document_id = hash_text(f"{title} {text}".strip())
        if document_id not in self.documents:
            self.documents[document_id] = Document(document_id, text, title, document_id, document_id)
        return document_id

    def add_qrel(self, query_id: str, document_id: str, grade: float, split: str = "") -> None:
        """Add a judgment. A second judgment of the same pair is counted, and the higher grade stays."""
        key = (query_id, document_id, split)
        if key in self._grades:
            self.dropped["repeated_qrels"] += 1
            grade = max(grade, self._grades[key])
        self._grades[key] = grade

    def add_negative(self, query_id: str, document_id: str) -> None:
        """Add a given negative; those beyond `MAX_NEGATIVES_PER_QUERY` are counted and left out."""
        known = self._negatives.setdefault(query_id, {})
        if document_id in known:
            return
        if len(known) == MAX_NEGATIVES_PER_QUERY:
            self.dropped["given_negatives_beyond_limit"] += 1
            return
        known[document_id] = None

    def iterate_documents(self) -> Iterator[Document]:
        """Yield the inline documents, those read from streams last; an id that came before is left out."""
        seen: set[str] = set()
        for document in chain(self.documents.values(), *self.document_streams):
            if document.id not in seen:
                seen.add(document.id)
                yield document

    def known_qrels(self) -> list[GivenQrel]:
        """Return the judgments of known queries; those of unknown queries are counted as dropped."""
        kept = []
        unknown: set[str] = set()
        for (query_id, document_id, split), grade in self._grades.items():
            if query_id in self.queries:
                kept.append(GivenQrel(query_id, document_id, grade, split))
            elif query_id in self._empty_queries:
                self.dropped["qrels_of_empty_queries"] += 1
            else:
                self.dropped["qrels_of_unknown_queries"] += 1
                unknown.add(query_id)
        if unknown:
            names = ", ".join(repr(name) for name in sorted(unknown)[:5])
            self.warnings.append(f"{len(unknown)} query ids in the qrels have no query text, for example {names}")
        return kept

    def known_negatives(self, qrels: list[GivenQrel]) -> list[GivenNegative]:
        """Return the given negatives of known queries that no judgment calls a positive of the same query."""
        positives = {(qrel.query_id, qrel.document_id) for qrel in qrels if qrel.grade > 0}
        kept = []
        for query_id, documents in self._negatives.items():
            for document_id in documents:
                if query_id not in self.queries:
                    self.dropped["given_negatives_of_unknown_queries"] += 1
                elif (query_id, document_id) in positives:
                    self.dropped["given_negatives_that_are_positives"] += 1
                else:
                    kept.append(GivenNegative(query_id, document_id))
        return kept
