"""A Qdrant server, or its client's local mode in a folder; errors that say what to do."""

import shutil
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from filelock import FileLock, Timeout

from dialekt.errors import ConfigError, EndpointError, MissingExtraError, StorageError

try:
    from qdrant_client import QdrantClient, models
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
except ImportError as error:
    raise MissingExtraError("qdrant", needed_for="an index in Qdrant") from error

__all__ = ["CONFLICT", "Connection", "QdrantClient", "UnexpectedResponse", "models"]

TIMEOUT_SECONDS = 60
NOT_FOUND, CONFLICT = 404, 409

Result = TypeVar("Result")


class Connection:
    """A collection's place. Safe to use from several threads; in local mode one at a time."""

    def __init__(self, *, folder: Path, url: str | None):
        self.local = url is None
        self._folder = folder
        self._turn = threading.RLock()
        self._file: sqlite3.Connection | None = None
        if url is None:
            self.place = str(folder)
            self._lock = _lock(folder)
            self._client = QdrantClient(path=str(folder / "qdrant"), force_disable_check_same_thread=True)
            # it says so once above 20,000 points; QdrantEngine.load refuses so many instead
            warnings.filterwarnings("ignore", message="Local mode is not recommended", category=UserWarning)
        else:
            address, key = _address(url)
            self.place = urlsplit(address).netloc
            self._client = QdrantClient(
                url=address, api_key=key or None, timeout=TIMEOUT_SECONDS, check_compatibility=False
            )

    def run(self, work: Callable[[QdrantClient], Result]) -> Result:
        """Return what the work returns; once more where the connection was lost on the way.

        So the work has to be one that may be done twice. Raises `EndpointError` and `StorageError`.
        """
        with self._explained():
            if self.local:
                with self._turn:
                    result = work(self._client)
                    if self._file:
                        self._file.execute("PRAGMA wal_checkpoint(FULL)")
                    return result
            try:
                return work(self._client)
            except ResponseHandlingException:
                return work(self._client)

    def write_ahead(self, collection: str) -> None:
        """Let local mode's file write ahead, kept by one sync per call instead of several per row: 20 ms, measured.

        The client has no setting for it, so this reaches for its connection.
        """
        local: Any = self._client._client
        self._file = local.collections[collection].storage.storage
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        """Let go of the server or the folder."""
        with self._turn:
            self._file = None
            self._client.close()
            if self.local:
                self._lock.release()

    def remove(self) -> None:
        """Close, and remove local mode's folder."""
        self.close()
        if self.local:
            shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ResponseHandlingException as error:
            raise EndpointError(
                f"the Qdrant server at {self.place} cannot be reached: {type(error.source).__name__}",
                hint="see that it runs and lets this machine in; then try again, nothing is lost",
            ) from error
        except UnexpectedResponse as error:
            raise self._refused(error) from error
        except ResourceExhaustedResponse as error:
            raise EndpointError(
                f"the Qdrant server at {self.place} is asked too often", hint="try again a little later"
            ) from error
        except (OSError, sqlite3.DatabaseError) as error:
            raise StorageError(
                f"Qdrant's local mode failed: {error}",
                path=self._folder,
                hint="check disk and free space, then try again",
            ) from error

    def _refused(self, error: UnexpectedResponse) -> EndpointError | StorageError:
        said = f"{error.status_code} {error.reason_phrase}"
        if b"no space left" in error.content.lower():
            return StorageError(f"the disk of the Qdrant server at {self.place} is full", hint="free some space there")
        if error.status_code == NOT_FOUND:
            return StorageError(
                f"the collection of this index version is gone from the Qdrant server at {self.place}",
                hint="dialekt index build makes it again",
            )
        if error.status_code in {401, 403}:
            hint = "give its key in the address: DIALEKT_INDEX__URL=https://:key@host:6333"
            return EndpointError(f"the Qdrant server at {self.place} does not accept the key: {said}", hint=hint)
        return EndpointError(f"the Qdrant server at {self.place} refused: {said}", hint="look into its log")


def _address(url: str) -> tuple[str, str]:
    """Return the server's address without its key, and the key: the password of the url."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in {"http", "https"}:
        raise ConfigError(
            "the index's url is no address of a Qdrant server",
            hint="DIALEKT_INDEX__URL=http://host:6333, or https://:key@host:6333; without any, Qdrant's local mode",
        )
    place = f"[{host}]" if ":" in host else host
    netloc = place if port is None else f"{place}:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, "", "")), parts.password or ""


def _lock(folder: Path) -> FileLock:
    """Hold local mode's folder: it is one process's and one handle's alone."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "open.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(
            "another process has this index version open, and Qdrant's local mode is for one at a time",
            path=folder,
            hint="end the other one, or run a Qdrant server and set DIALEKT_INDEX__URL; lancedb lets several in too",
        ) from None
    return lock
