"""The documents of an index and the log of their changes: the truth that every index version is made from.

A write is kept here, durably, before anything is embedded. The log says which units changed; what has become of them
is in the table. An index version that applies the log up to its end therefore holds exactly the table, however often a
unit was written, deleted and written again, and wherever it was interrupted.
"""

import json
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dialekt.errors import InputError
from dialekt.index.checksums import row_sum
from dialekt.index.filters import Filter, tags_of
from dialekt.index.records import Checksum
from dialekt.index.words import WordHit, Wording, search_words, wording_of
from dialekt.store.hashing import hash_text
from dialekt.store.sqlite import Database, in_parts, marks
from dialekt.types import Document

MAX_ID_CHARACTERS = 512
KEPT_CHANGES = 10_000  # of a log that is shortened


@dataclass(frozen=True, slots=True)
class Written:
    """What a write changed: the log's last position, how many units, and which release was live at that moment."""

    sequence: int
    changed: int
    live: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Units that changed after a position of the log, up to and with `sequence`."""

    units: tuple[str, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What an index version must say of a unit."""

    document: str
    hash: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All units as they were at a position of the log."""

    entries: Mapping[str, Entry]
    sequence: int


def content_hash(unit: Document) -> str:
    """Return the identity of what is encoded: title and text."""
    return hash_text(unit.content)


def entry_of(unit: Document) -> Entry:
    """Return what an index version must say of a unit."""
    return Entry(_document(unit), content_hash(unit), tags_of(unit.metadata))


class Documents:
    """Documents of an index. Every method is one transaction; any thread or process may call."""

    def __init__(self, database: Database):
        self.database = database

    def write(self, units: Iterable[Document], *, deleted: Sequence[str] = (), may_move: bool = False) -> Written:
        """Put units in the place of everything that their documents were before, and remove whole documents.

        A unit that is already there with the same content and metadata is no change. Raises `InputError` for an
        impossible id or metadata, before anything is written.
        """
        new = [_checked(unit) for unit in units]
        kept = {unit.id for unit in new}
        with self.database.writing() as connection:
            if not may_move:
                _check_owners(connection, new)
            gone = set(_units_of(connection, [*{_document(unit) for unit in new}, *deleted])) - kept
            stored = _entries(connection, list(kept))
            changed = [unit for unit in new if stored.get(unit.id) != entry_of(unit)]
            _remove(connection, gone)
            wording = wording_of(connection)
            connection.executemany(_UPSERT, [_columns(unit, wording) for unit in changed])
            return _logged(connection, [*sorted(gone), *(unit.id for unit in changed)])

    def patch(self, documents: Mapping[str, Mapping[str, str | None]]) -> Written:
        """Change metadata fields of whole documents: a value sets a field, None removes it.

        Documents that are not there are passed over. Raises `InputError` before anything is written.
        """
        changed = []
        for fields in documents.values():
            check_metadata(fields)
        with self.database.writing() as connection:
            for document, fields in documents.items():
                rows = connection.execute("SELECT id, metadata FROM units WHERE document = ?", (document,)).fetchall()
                for row in rows:
                    before = json.loads(row["metadata"])
                    merged = {**before, **fields}
                    after = {name: value for name, value in merged.items() if value is not None}
                    if after != before:
                        connection.execute("UPDATE units SET metadata = ? WHERE id = ?", (_dump(after), row["id"]))
                        changed.append(row["id"])
            return _logged(connection, changed)

    def known(self, documents: Sequence[str]) -> set[str]:
        """Return which of the whole documents are there."""
        with self.database.reading() as connection:
            return {
                row["document"]
                for part in in_parts(documents)
                for row in connection.execute(f"SELECT document FROM units WHERE document IN ({marks(part)})", part)
            }

    def read(self, units: Sequence[str]) -> dict[str, Document]:
        """Return units by id; what is not there is left out."""
        with self.database.reading() as connection:
            return {
                row["id"]: _document_of(row)
                for part in in_parts(units)
                for row in connection.execute(f"SELECT * FROM units WHERE id IN ({marks(part)})", part)
            }

    def whole(self, document: str) -> list[Document]:
        """Return the units of a whole document, in the order in which they were first written; none if it is gone."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT * FROM units WHERE document = ? ORDER BY n", (document,))
            return [_document_of(row) for row in rows]

    def document_ids(self) -> set[str]:
        """Return the ids of all whole documents."""
        with self.database.reading() as connection:
            return {row["document"] for row in connection.execute("SELECT DISTINCT document FROM units")}

    def count(self) -> int:
        """Return the number of units."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM units").fetchone()[0])

    def characters(self) -> int:
        """Return the length of all units, title and text."""
        with self.database.reading() as connection:
            total = connection.execute("SELECT total(length(title) + length(text)) FROM units").fetchone()[0]
        return int(total)

    def sample(self, size: int, *, seed: int) -> list[str]:
        """Return the ids of some units, the same for the same units and seed."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT id FROM units ORDER BY n").fetchall()
        return [row["id"] for row in random.Random(seed).sample(rows, min(size, len(rows)))]  # noqa: S311 - no secret

    def search_words(self, query: str, limit: int, *, where: Filter) -> list[WordHit]:
        """Return the best units for the query's words (BM25), best first."""
        with self.database.reading() as connection:
            return search_words(connection, query, limit, where=where)

    def tail(self) -> int:
        """Return the last position of the log."""
        with self.database.reading() as connection:
            return tail_of(connection)

    def snapshot(self) -> Snapshot:
        """Return what every unit is, all at one position of the log."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT id, document, hash, metadata FROM units")
            entries = {row["id"]: _entry(row) for row in rows}
            return Snapshot(entries, tail_of(connection))

    def changes_since(self, sequence: int) -> Changes:
        """Return which units changed after a position of the log, each once."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT unit FROM changes WHERE sequence > ? GROUP BY unit ORDER BY max(sequence)", (sequence,)
            )
            return Changes(tuple(row["unit"] for row in rows), tail_of(connection))

    def checksum(self) -> tuple[Checksum, int]:
        """Return what all units add up to, and the position of the log at which they do."""
        found = self.snapshot()
        total = sum(row_sum(unit, entry.hash, entry.tags) for unit, entry in found.entries.items())
        return Checksum(len(found.entries), total % (1 << 64)), found.sequence

    def forget_changes(self, until: int, *, keep: int = KEPT_CHANGES) -> None:
        """Shorten the log: every index version has applied it up to here. The last ones stay for who looks just now."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM changes WHERE sequence <= ?", (until - keep,))


_UPSERT = """
INSERT INTO units (id, document, title, text, metadata, hash, title_words, text_words) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET document = excluded.document, title = excluded.title, text = excluded.text,
    metadata = excluded.metadata, hash = excluded.hash, title_words = excluded.title_words,
    text_words = excluded.text_words
"""


def tail_of(connection: sqlite3.Connection) -> int:
    """Return the last position of the log as a transaction sees it, also of a log that was shortened to nothing."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return int(row[0]) if row else 0


def live_of(connection: sqlite3.Connection) -> str:
    """Return the live release as a transaction sees it; empty where none is."""
    row = connection.execute("SELECT release FROM switches ORDER BY n DESC LIMIT 1").fetchone()
    return str(row["release"]) if row else ""


def _logged(connection: sqlite3.Connection, units: Sequence[str]) -> Written:
    now = time.time()
    connection.executemany("INSERT INTO changes (unit, at) VALUES (?, ?)", [(unit, now) for unit in units])
    return Written(tail_of(connection), len(units), live_of(connection))


def _checked(unit: Document) -> Document:
    for name in (unit.id, _document(unit)):
        if not name or len(name) > MAX_ID_CHARACTERS or not name.isprintable():
            raise InputError(
                f"a document cannot have the id {name[:50]!r}",
                hint=f"ids have 1 to {MAX_ID_CHARACTERS} printable characters",
            )
    check_metadata(unit.metadata)
    return unit


def _check_owners(connection: sqlite3.Connection, units: Sequence[Document]) -> None:
    """Raise `InputError` for a unit whose id is that of a part of another document."""
    stored = _entries(connection, [unit.id for unit in units])
    for unit in units:
        owner = stored[unit.id].document if unit.id in stored else _document(unit)
        if owner != _document(unit):
            raise InputError(
                f"the id {unit.id[:50]!r} is that of a part of the document {owner[:50]!r}", hint="choose another id"
            )


def check_metadata(fields: Mapping[str, str | None]) -> None:
    """Raise `InputError` for metadata that not every engine can store."""
    for name, value in fields.items():
        if "\x00" in name or "\x00" in (value or ""):
            raise InputError(f"the metadata field {name[:50]!r} has a NUL character", hint="remove it")


def _document(unit: Document) -> str:
    return unit.parent_id or unit.id


def _columns(unit: Document, wording: Wording) -> tuple[str | None, ...]:
    words = (wording.of_document(unit.title), wording.of_document(unit.text))
    return (unit.id, _document(unit), unit.title, unit.text, _dump(unit.metadata), content_hash(unit), *words)


def _document_of(row: sqlite3.Row) -> Document:
    metadata = json.loads(row["metadata"])
    return Document(row["id"], row["text"], title=row["title"], parent_id=row["document"], metadata=metadata)


def _dump(metadata: Mapping[str, str]) -> str:
    return json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True)


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(row["document"], row["hash"], tags_of(json.loads(row["metadata"])))


def _entries(connection: sqlite3.Connection, units: Sequence[str]) -> dict[str, Entry]:
    return {
        row["id"]: _entry(row)
        for part in in_parts(units)
        for row in connection.execute(
            f"SELECT id, document, hash, metadata FROM units WHERE id IN ({marks(part)})", part
        )
    }


def _units_of(connection: sqlite3.Connection, documents: Sequence[str]) -> Iterator[str]:
    for part in in_parts(documents):
        rows = connection.execute(f"SELECT id FROM units WHERE document IN ({marks(part)})", part)
        yield from [row["id"] for row in rows]


def _remove(connection: sqlite3.Connection, units: Iterable[str]) -> None:
    connection.executemany("DELETE FROM units WHERE id = ?", [(unit,) for unit in units])
