"""A SQLite file that several threads and processes read and write: durable, one writer at a time, many readers."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dialekt.errors import StorageError
from dialekt.store.atomic import disk_errors

BUSY_SECONDS = 60.0
VALUES_AT_ONCE = 500  # in one question: SQLite takes 32,766 at most, in older versions 999
_REPAIR = "restore the file from a backup"


def in_parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield values in parts that one question can name."""
    for start in range(0, len(values), VALUES_AT_ONCE):
        yield values[start : start + VALUES_AT_ONCE]


def marks(values: Sequence[str]) -> str:
    """Return a question mark per value: what stands in `IN (...)` for them."""
    return ", ".join("?" * len(values))


class Database:
    """A file in write-ahead mode; what is committed survives a kill and a power cut. A connection per thread."""

    def __init__(self, path: Path, schema: str):
        self.path = path
        self._local = threading.local()
        self._every: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        self.run(schema)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file, whatever others write meanwhile."""
        with self._errors():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are kept together, or not at all; other writers wait."""
        with self._errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def run(self, script: str) -> None:
        """Run statements that change nothing where they have been run before."""
        with self._errors():
            self._connection().executescript(script)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            for connection in self._every:
                connection.close()
            self._every.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            found.row_factory = sqlite3.Row
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = FULL")
            found.execute("PRAGMA foreign_keys = ON")
            with self._lock:
                self._every.append(found)
            self._local.connection = found
        return found

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what to do about a full disk, a lock that is held for too long, and a damaged file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_FULL:
                return StorageError(
                    "the disk is full; nothing was changed", path=self.path, hint="free some space and try again"
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return StorageError(
                    f"another process has been writing for {BUSY_SECONDS:.0f} s",
                    path=self.path,
                    hint="wait for it to end, then try again",
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return StorageError(
                    f"cannot be opened or written: {error}", path=self.path, hint="check the folder and its permissions"
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return StorageError(f"the file is damaged: {error}", path=self.path, hint=_REPAIR)
            case sqlite3.SQLITE_IOERR:
                return StorageError(f"the disk failed: {error}", path=self.path, hint="check disk and free space")
        return error
