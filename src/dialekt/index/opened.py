"""An index as a process has it open: documents, catalogue, engines, and how the log reaches the vectors."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine
from dialekt.errors import NotFoundError
from dialekt.index.catalogue import Catalogue
from dialekt.index.documents import Documents, content_hash
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.filters import tags_of
from dialekt.index.records import Embed, Rows
from dialekt.index.schema import FILE_NAME, open_database
from dialekt.store.lock import exclusive
from dialekt.store.sqlite import Database
from dialekt.types import Document, Role

LOCK_SECONDS = 600.0  # others apply what this process wanted to apply: waiting for them is no loss
APPLIED_AT_ONCE = 512


class OpenIndex:
    """Safe to use from several threads; any number of processes may have the same index open."""

    def __init__(self, folder: Path, database: Database, url: str | None):
        self.folder = folder
        self.documents = Documents(database)
        self.catalogue = Catalogue(database)
        self.database = database
        self._url = url
        self._engines: dict[str, VectorEngine] = {}
        self._opening = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, url: str | None = None, create: bool = False) -> "OpenIndex":
        """Open an index; `url` is that of the server which holds its vectors, where one does.

        Raises `NotFoundError` where there is none and none is to be made.
        """
        if not create and not (folder / FILE_NAME).is_file():
            raise NotFoundError("there is no index yet", path=folder, hint="dialekt index build makes one")
        return cls(folder, open_database(folder), url)

    def engine(self, version: str) -> VectorEngine:
        """Return the vectors of an index version, opened once per process. Raises what `open_engine` raises."""
        with self._opening:
            found = self._engines.get(version)
            if found is None:
                name = f"dialekt_{self.catalogue.namespace}_{version}"
                spec = self.catalogue.version(version).spec
                url = url_for(spec.engine, self._url)
                found = open_engine(spec, name=name, folder=self.folder / "versions" / version, url=url)
                self._engines[version] = found
            return found

    def release_engine(self, version: str) -> None:
        """Close the vectors of an index version in this process."""
        with self._opening:
            engine = self._engines.pop(version, None)
        if engine is not None:
            engine.close()

    @contextmanager
    def holding(self, version: str) -> Iterator[None]:
        """Be the only one, of all threads and processes, who changes the vectors of an index version.

        Whoever needs this and a transaction of the index takes this first.
        """
        with exclusive(self.folder / "locks" / version, timeout_seconds=LOCK_SECONDS):
            yield

    def apply(self, version: str, embed: Embed) -> int:
        """Bring an index version to the end of the log; return the position that it holds then.

        What was written before the call is in the vectors after it, whoever applied it. Costs nothing when nothing is
        pending. Interrupted anywhere, the next call does what is left.
        """
        position, tail = self.catalogue.version(version).position, self.documents.tail()
        if position >= tail:
            return position
        with self.holding(version):
            position = self.apply_held(version, embed)
            self.catalogue.set_position(version, position)
        return position

    def apply_held(self, version: str, embed: Embed) -> int:
        """Do what `apply` does for a caller who holds the version and records the position."""
        found = self.catalogue.version(version)
        changes = self.documents.changes_since(found.position)
        for start in range(0, len(changes.units), APPLIED_AT_ONCE):
            self._apply_units(version, found.space, changes.units[start : start + APPLIED_AT_ONCE], embed)
        return changes.sequence

    def close(self) -> None:
        """Let go of everything."""
        for version in list(self._engines):
            self.release_engine(version)
        self.database.close()

    def _apply_units(self, version: str, space: str, units: Sequence[str], embed: Embed) -> None:
        """Make the rows of some units what the documents say."""
        engine = self.engine(version)
        now = self.documents.read(units)
        gone = [unit for unit in units if unit not in now]
        if gone:
            engine.delete(gone)
        if not now:
            return
        rows = engine.fetch(list(now), vectors=False)
        known = dict(zip(rows.ids, zip(rows.hashes, rows.document_ids, strict=True), strict=True))
        same = [unit for unit in now.values() if known.get(unit.id) == (content_hash(unit), unit.parent_id)]
        if same:
            engine.patch([unit.id for unit in same], [tags_of(unit.metadata) for unit in same])
        kept = {unit.id for unit in same}
        changed = [unit for unit in now.values() if unit.id not in kept]
        if changed:
            vectors = embed([unit.content for unit in changed], Role.DOCUMENT)
            engine.upsert(rows_of(changed, space, vectors))


def url_for(engine: IndexEngine, urls: str | None) -> str | None:
    """Return the address of an engine's server among those that were given, separated by blanks."""
    is_postgres = engine is IndexEngine.PGVECTOR
    found = [url for url in (urls or "").split() if url.startswith("postgres") is is_postgres]
    return found[0] if found else None


def rows_of(units: Sequence[Document], space: str, vectors: NDArray[np.float32]) -> Rows:
    """Return the rows of units with their vectors (units, dimension), which are of a space."""
    return Rows(
        ids=tuple(unit.id for unit in units),
        document_ids=tuple(unit.parent_id for unit in units),
        hashes=tuple(content_hash(unit) for unit in units),
        tags=tuple(tags_of(unit.metadata) for unit in units),
        spaces=(space,) * len(units),
        vectors=vectors,
    )
