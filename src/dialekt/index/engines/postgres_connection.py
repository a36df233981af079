"""Connections to PostgreSQL that survive a server's restart, and errors that say what to do.

Not psycopg_pool: after a failure it waits longer and longer before it connects again, in the background, so that a
server that is back is noticed late.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dialekt.errors import ConfigError, DialektError, EndpointError, InputError, MissingExtraError, StorageError

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import Connection, errors
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.pq import TransactionStatus
except ImportError as error:
    raise MissingExtraError("postgres", needed_for="an index in PostgreSQL") from error

__all__ = ["PATIENCE_SECONDS", "Connection", "Server"]

PATIENCE_SECONDS = 10.0  # so long a call waits for a server that restarts, and for one of the connections
MAX_CONNECTIONS = 16

Result = TypeVar("Result")
_DEFAULTS = {  # a server that has gone without a word is noticed in half a minute; what the url says goes first
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_EXAMPLE = "DIALEKT_INDEX__URL=postgresql://user:password@host:5432/database"


class Server:
    """A PostgreSQL database with pgvector. Safe to use from several threads; a connection each."""

    def __init__(self, url: str | None):
        if not url:
            raise ConfigError("an index in PostgreSQL needs the server's address", hint=f"set {_EXAMPLE}")
        known = _parsed(url)
        self.place = f"{known.get('host') or 'localhost'}:{known.get('port') or 5432}"  # without the password
        self._url = make_conninfo(**{**_DEFAULTS, **known})
        self._idle: deque[Connection[Any]] = deque()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        with self._explained(), psycopg.connect(self._url, autocommit=True) as first:
            _make_extension(first)

    def run(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """Return what the work returns, given a connection; once more where the connection was lost on the way.

        So the work has to be one that may be done twice. Raises `EndpointError`, `StorageError` for a full disk,
        `InputError` for values that PostgreSQL refuses.
        """
        with self._explained():
            try:
                return self._once(work)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if not _lost(error):
                    raise
            self.close()  # the others have ended with the server too
            return self._once(work)

    def close(self) -> None:
        """End the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _once(self, work: Callable[[Connection[Any]], Result]) -> Result:
        if not self._free.acquire(timeout=PATIENCE_SECONDS):
            raise psycopg.OperationalError(f"all {MAX_CONNECTIONS} connections are busy")
        try:
            connection = self._connection()
            try:
                return work(connection)
            finally:
                if connection.info.transaction_status is TransactionStatus.IDLE:
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            self._free.release()

    def _connection(self) -> Connection[Any]:
        """Return a connection that was used last, or a new one; wait for a server that is about to be back."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                found = psycopg.connect(self._url, autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                register_vector(found)
                return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> DialektError:
        """Return our error; the server's own first line says no more than names and sizes."""
        said = error.diag.message_primary or " ".join(str(error).split())
        match error:
            case errors.DiskFull():
                return StorageError(
                    f"the disk of the PostgreSQL server at {self.place} is full; nothing was changed: {said}",
                    hint="free some space there (in a container also its shared memory, --shm-size), then try again",
                )
            case errors.InsufficientPrivilege() | errors.UndefinedFile() | errors.FeatureNotSupported():
                return EndpointError(
                    f"the PostgreSQL server at {self.place} does not let this user do it: {said}",
                    hint="as its administrator: install pgvector, CREATE EXTENSION vector, "
                    "and give the user CREATE on the schema",
                )
            case errors.UndefinedTable():
                return StorageError(
                    f"the table of this index version is gone from the PostgreSQL server at {self.place}",
                    hint="dialekt index build makes it again",
                )
            case psycopg.DataError():
                return InputError(f"PostgreSQL cannot keep a value: {said}")
            case psycopg.OperationalError() | psycopg.InterfaceError():
                return EndpointError(
                    f"the PostgreSQL server at {self.place} cannot be reached: {said}",
                    hint="see that it runs and lets this machine and user in; then try again, nothing is lost",
                )
        return EndpointError(f"the PostgreSQL server at {self.place} refused: {said}", hint="look into its log")


def _parsed(url: str) -> dict[str, Any]:
    """Return an address's parts."""
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise ConfigError("the index's url is no address of a PostgreSQL server", hint=f"set {_EXAMPLE}") from None


def _lost(error: psycopg.Error) -> bool:
    """Whether the connection ended, so that another may do better; the server's refusals have a code of their own."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def _make_extension(connection: Connection[Any]) -> None:
    """Make pgvector's types known to the database; two that try at a time would get into each other's way."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('dialekt extension'))")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    version = str(row[0]) if row else ""
    if tuple(map(int, version.split(".")[:2])) < (0, 8):
        raise EndpointError(
            f"the PostgreSQL server has pgvector {version}, which cannot search on under a filter",
            hint="install pgvector 0.8 or later there, then ALTER EXTENSION vector UPDATE",
        )
