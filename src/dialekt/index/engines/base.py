"""The interface of everything that holds vectors, and how one is opened."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dialekt.config import IndexEngine
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, EngineSpec, Found, Rows, SearchSettings
from dialekt.types import ReportProgress, no_progress


class VectorEngine(Protocol):
    """The rows of one index version. Safe to use from several threads.

    What a call has stored when it returns survives a kill. Errors: `EndpointError` for a server that cannot be
    reached (the call can be repeated), `StorageError` for a full disk and damaged files, `InputError` for vectors of
    another dimension.
    """

    @property
    def efforts(self) -> tuple[int, ...]:
        """How hard a search can try, from fastest to most thorough; 0 is the default. (0,) where it is always exact."""

    def load(self, rows: Rows) -> None:
        """Store rows in bulk, before `finish`; a row whose id is there is replaced."""

    def finish(self, *, progress: ReportProgress = no_progress) -> None:
        """Make the engine's indexes over what was loaded; may be repeated."""

    def upsert(self, rows: Rows) -> None:
        """Store rows one can search at once; a row whose id is there is replaced."""

    def delete(self, ids: Sequence[str]) -> None:
        """Remove units; one that is not there is no error."""

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """Replace the tags of units and leave their vectors; one that is not there is no error."""

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query (queries, dimension) that pass the filter.

        There are `limit` of them wherever so many rows pass, however few those are among all.
        """

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """Return the rows of those ids that are there, in any order."""

    def scan(self, *, vectors: bool = False, chunk_rows: int = 4_096) -> Iterator[Rows]:
        """Yield all rows in chunks, in any order, as they were when the scan began or later."""

    def count(self) -> int:
        """Return the number of rows."""

    def size(self) -> EngineSize:
        """Return how many bytes the version takes."""

    def optimize(self) -> None:
        """Tidy up after many small writes; searches go on meanwhile."""

    def close(self) -> None:
        """Let go of files and connections."""

    def drop(self) -> None:
        """Remove the version and all of its rows. Nothing to remove is no error."""


def open_engine(spec: EngineSpec, *, name: str, folder: Path, url: str | None) -> VectorEngine:
    """Open the vectors of an index version, making an empty one where there is none.

    `name` is the version's (i1, i2, ...), `folder` its own for engines with files, `url` that of a server.
    Raises `MissingExtraError`, `ConfigError` without a url for a server, `EndpointError` if it cannot be reached.
    """
    match spec.engine:
        case IndexEngine.EXACT:
            from dialekt.index.engines.exact import ExactEngine

            return ExactEngine.open(spec, folder)
        case IndexEngine.LANCEDB:
            from dialekt.index.engines.lance import LanceEngine

            return LanceEngine.open(spec, folder)
        case IndexEngine.PGVECTOR:
            from dialekt.index.engines.postgres import PostgresEngine

            return PostgresEngine.open(spec, name=name, folder=folder, url=url)
        case IndexEngine.QDRANT:
            from dialekt.index.engines.qdrant import QdrantEngine

            return QdrantEngine.open(spec, name=name, folder=folder, url=url)
        case IndexEngine.AUTO:
            raise AssertionError("auto is resolved before an index version is made")
