"""Bringing a corpus into an index, again and again, without undoing what was written elsewhere.

What a corpus said of a document the last time is remembered. Only what the corpus has changed since is written: a
document that was edited or removed through the server stays so until its source changes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dialekt.index.documents import Documents, content_hash
from dialekt.index.filters import tags_of
from dialekt.index.words import set_language
from dialekt.store.hashing import hash_json
from dialekt.store.sqlite import Database
from dialekt.types import Document, Language, Progress, ReportProgress, no_progress

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """Whole documents that the corpus has, has changed or added since the last time, and has no more."""

    documents: int
    changed: int
    removed: int


def import_corpus(
    database: Database,
    units: Sequence[Document],
    *,
    language: Language | None = None,
    progress: ReportProgress = no_progress,
) -> ImportFacts:
    """Write what is new in a corpus. Interrupted, the next import does the rest.

    `units` are documents or chunks; the chunks of one document follow each other. `language` is that of their words;
    None leaves it as it was.
    """
    documents = Documents(database)
    if language is not None:
        with database.writing() as connection:
            set_language(connection, language)
    groups = dict(_by_document(units))
    identities = {document: _identity(group) for document, group in groups.items()}
    with database.reading() as connection:
        before = dict(connection.execute("SELECT document, identity FROM imports").fetchall())
    changed = [document for document, identity in identities.items() if before.get(document) != identity]
    gone = [document for document in before if document not in identities]
    for start in range(0, len(changed), _AT_ONCE):
        part = changed[start : start + _AT_ONCE]
        documents.write([unit for document in part for unit in groups[document]], may_move=True)
        _remember(database, [(document, identities[document]) for document in part])
        progress(Progress("read documents", start + len(part), len(changed)))
    for start in range(0, len(gone), _AT_ONCE):
        part = gone[start : start + _AT_ONCE]
        documents.write([], deleted=part)
        _forget(database, part)
    return ImportFacts(len(groups), len(changed), len(gone))


def _by_document(units: Iterable[Document]) -> Iterator[tuple[str, list[Document]]]:
    groups: dict[str, list[Document]] = {}
    for unit in units:
        groups.setdefault(unit.parent_id or unit.id, []).append(unit)
    yield from groups.items()


def _identity(units: Sequence[Document]) -> str:
    return hash_json([(unit.id, content_hash(unit), tags_of(unit.metadata)) for unit in units])


def _remember(database: Database, rows: Sequence[tuple[str, str]]) -> None:
    with database.writing() as connection:
        connection.executemany("INSERT OR REPLACE INTO imports VALUES (?, ?)", rows)


def _forget(database: Database, documents: Sequence[str]) -> None:
    with database.writing() as connection:
        connection.executemany("DELETE FROM imports WHERE document = ?", [(document,) for document in documents])
