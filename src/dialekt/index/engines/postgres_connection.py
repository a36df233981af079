"""Connections to PostgreSQL: a pool that survives a server's restart, and errors that say what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dialekt.errors import ConfigError, DialektError, EndpointError, InputError, MissingExtraError, StorageError

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import Connection, errors
    from psycopg.conninfo import conninfo_to_dict
    from psycopg_pool import ConnectionPool, PoolTimeout
except ImportError as error:
    raise MissingExtraError("postgres", needed_for="an index in PostgreSQL") from error

__all__ = ["MAX_CONNECTIONS", "PATIENCE_SECONDS", "Connection", "Server"]

PATIENCE_SECONDS = 10.0  # so long a call waits for a server that restarts
MAX_CONNECTIONS = 16

Result = TypeVar("Result")
_EXAMPLE = "DIALEKT_INDEX__URL=postgresql://user:password@host:5432/database"


class Server:
    """A PostgreSQL database with pgvector. Safe to use from several threads; a connection each."""

    def __init__(self, url: str | None):
        if not url:
            raise ConfigError("an index in PostgreSQL needs the server's address", hint=f"set {_EXAMPLE}")
        self.place = _place(url)
        with self._explained(), psycopg.connect(url, autocommit=True, connect_timeout=int(PATIENCE_SECONDS)) as first:
            _make_extension(first)
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=PATIENCE_SECONDS,
            kwargs={"autocommit": True},
            configure=register_vector,
            open=True,
        )

    def run(self, work: Callable[[Connection[Any]], Result]) -> Result:
        """Return what the work returns, given a connection; once more where the connection was lost on the way.

        So the work has to be one that may be done twice. Raises `EndpointError`, `StorageError` for a full disk,
        `InputError` for values that PostgreSQL refuses.
        """
        with self._explained():
            try:
                return self._once(work)
            except PoolTimeout:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if not _lost(error):
                    raise
            self._pool.check()  # the others of the pool have ended with the server too
            return self._once(work)

    def close(self) -> None:
        """End all connections."""
        self._pool.close()

    def _once(self, work: Callable[[Connection[Any]], Result]) -> Result:
        with self._pool.connection() as connection:
            return work(connection)

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


def _place(url: str) -> str:
    """Return host and port of an address, never its password."""
    try:
        known = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigError("the index's url is no address of a PostgreSQL server", hint=f"set {_EXAMPLE}") from None
    return f"{known.get('host') or 'localhost'}:{known.get('port') or 5432}"


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
