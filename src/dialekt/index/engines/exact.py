"""Exact search in files: rows in SQLite, what is compared in memory. For small corpora, and as the reference."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.index.engines.checks import check_dimension
from dialekt.index.engines.incoming import each_once
from dialekt.index.engines.resident import Held, ResidentRows, View
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, EngineSpec, Found, Rows, SearchSettings
from dialekt.models.topk import NO_DOCUMENT, select_best
from dialekt.store.atomic import disk_errors
from dialekt.store.sqlite import Database, in_parts, marks
from dialekt.types import ReportProgress, no_progress

_Sliced = TypeVar("_Sliced", Sequence[Any], NDArray[np.float32])
FILE_NAME = "rows.sqlite"
_READ_ROWS = 4_096
_QUERY_ROWS = 64
_SPARSE = 0.25  # below this share of passing rows their vectors are gathered, above it all are multiplied
_KEPT_GONE = 100_000

# A row never changes: a new state of a unit is a new row, so that a process that knows all up to a number reads on from
# there. `gone` lists rows that were replaced or removed.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL, hash TEXT NOT NULL,
    tags TEXT NOT NULL, space TEXT NOT NULL, vector BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS gone (sequence INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS rows_gone AFTER DELETE ON rows BEGIN INSERT INTO gone (n) VALUES (old.n); END;
"""
_INSERT = "INSERT INTO rows (id, document, hash, tags, space, vector) VALUES (?, ?, ?, ?, ?, ?)"
_COUNTERS = """
SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'rows'), (SELECT seq FROM sqlite_sequence WHERE name = 'gone'),
    (SELECT min(sequence) FROM gone)
"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """How far the memory has read: the last row, and the last one that is gone."""

    row: int = 0
    gone: int = 0


class ExactEngine:
    """An index version in one SQLite file. Several processes may write; each follows the others at its next search.

    Without a first stage the vectors are in memory and every search is exact. With one, only its codes are, and the
    candidates' full vectors are read from the file.
    """

    efforts: tuple[int, ...] = (0,)

    def __init__(self, spec: EngineSpec, folder: Path):
        self._spec = spec
        self._folder = folder
        self._database = Database(folder / FILE_NAME, _SCHEMA)
        self._lock = threading.Lock()
        self._resident = ResidentRows(spec.first_stage)
        self._seen = _Seen()

    @classmethod
    def open(cls, spec: EngineSpec, folder: Path) -> "ExactEngine":
        """Open the version in a folder of its own, making an empty one where there is none. Raises `StorageError`."""
        engine = cls(spec, folder)
        with engine._database.reading() as connection:
            row = connection.execute("SELECT length(vector) FROM rows LIMIT 1").fetchone()
        if row and row[0] != 4 * spec.dimension:
            raise StorageError(
                f"the vectors have {row[0] // 4} dimensions, not {spec.dimension}",
                path=folder / FILE_NAME,
                hint="drop this index version and build it again",
            )
        return engine

    def load(self, rows: Rows) -> None:
        """Store rows; one whose id is there is replaced."""
        self.upsert(rows)

    def finish(self, *, progress: ReportProgress = no_progress) -> None:  # noqa: ARG002 - there is nothing to make
        """Read what was loaded into memory, so that the first search does not wait for it."""
        self._follow(None)

    def upsert(self, rows: Rows) -> None:
        """Store rows; one whose id is there is replaced."""
        rows = each_once(rows, self._spec)
        vectors = np.ascontiguousarray(rows.vectors, dtype="<f4")
        columns = zip(rows.ids, rows.document_ids, rows.hashes, rows.tags, rows.spaces, vectors, strict=True)
        stored = [
            (unit, document, content, _dump(tags), space, vector.tobytes())
            for unit, document, content, tags, space, vector in columns
        ]
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM rows WHERE id = ?", [(unit,) for unit in rows.ids])
            connection.executemany(_INSERT, stored)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove units; one that is not there is no error."""
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM rows WHERE id = ?", [(unit,) for unit in ids])

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """Replace the tags of units and leave their vectors; one that is not there is no error."""
        with self._database.writing() as connection:
            for unit, unit_tags in zip(ids, tags, strict=True):
                row = connection.execute("SELECT * FROM rows WHERE id = ?", (unit,)).fetchone()
                if row is not None:
                    connection.execute("DELETE FROM rows WHERE id = ?", (unit,))
                    new = (unit, row["document"], row["hash"], _dump(unit_tags), row["space"], row["vector"])
                    connection.execute(_INSERT, new)

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query (queries, dimension) that pass the filter."""
        check_dimension(queries, self._spec)
        view = self._follow(where)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        if not view.alive.any():
            return [_nothing()] * len(queries)
        if view.coder is None:
            return [found for part in _parts(queries, _QUERY_ROWS) for found in _compare(view, part, limit)]
        if settings.exact:
            return self._read_all(view, queries, limit)
        return self._two_stages(view, queries, limit, settings.oversampling)

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """Return the rows of those ids that are there, in any order."""
        with self._database.reading() as connection:
            found = [
                row
                for part in in_parts(ids)
                for row in connection.execute(f"{_select(vectors)} WHERE id IN ({marks(part)})", part)
            ]
        return self._rows(found, vectors=vectors)

    def scan(self, *, vectors: bool = False, chunk_rows: int = _READ_ROWS) -> Iterator[Rows]:
        """Yield all rows in chunks by rising id: each id once, as it is when its chunk is read."""
        last = ""
        while True:
            with self._database.reading() as connection:
                found = connection.execute(
                    f"{_select(vectors)} WHERE id > ? ORDER BY id LIMIT ?", (last, chunk_rows)
                ).fetchall()
            if not found:
                return
            last = found[-1]["id"]
            yield self._rows(found, vectors=vectors)

    def count(self) -> int:
        """Return the number of rows."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    def size(self) -> EngineSize:
        """Return the bytes of the file and of what a search reads in memory."""
        self._follow(None)
        with disk_errors(self._folder), self._lock:
            files = sum(path.stat().st_size for path in self._folder.glob(f"{FILE_NAME}*"))
            return EngineSize(disk_bytes=files, first_stage_bytes=self._resident.size_bytes)

    def optimize(self) -> None:
        """Shorten the list of rows that are gone; who has not read so far reads all rows afresh."""
        with self._database.writing() as connection:
            last = connection.execute(_COUNTERS).fetchone()[1] or 0
            connection.execute("DELETE FROM gone WHERE sequence <= ?", (last - _KEPT_GONE,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def drop(self) -> None:
        """Remove the version and all of its rows."""
        self.close()
        with self._lock:
            self._resident, self._seen = ResidentRows(self._spec.first_stage), _Seen()
        with disk_errors(self._folder):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _follow(self, where: Filter | None) -> View:
        """Read what any process has written since the last search, and return the rows that pass."""
        with self._lock:
            with self._database.reading() as connection:
                row, gone, oldest = (number or 0 for number in connection.execute(_COUNTERS).fetchone())
                if self._resident.stale or oldest > self._seen.gone + 1:
                    self._resident, self._seen = ResidentRows(self._spec.first_stage), _Seen(0, gone)
                if gone > self._seen.gone:
                    numbers = connection.execute("SELECT n FROM gone WHERE sequence > ?", (self._seen.gone,))
                    self._resident.remove([one["n"] for one in numbers])
                if row > self._seen.row:
                    self._read_on(connection, gone)
                self._seen = _Seen(row, gone)
            return self._resident.view(where)

    def _read_on(self, connection: sqlite3.Connection, gone: int) -> None:
        found = connection.execute(
            "SELECT n, id, document, tags, space, vector FROM rows WHERE n > ? ORDER BY n", (self._seen.row,)
        )
        while part := found.fetchmany(_READ_ROWS):
            held = [Held(row["n"], row["id"], row["document"], row["space"]) for row in part]
            self._resident.add(held, [json.loads(row["tags"]) for row in part], self._vectors(part))
            self._seen = _Seen(held[-1].number, gone)  # an error in the next part must not add these again

    def _two_stages(self, view: View, queries: NDArray[np.float32], limit: int, oversampling: float) -> list[Found]:
        assert view.coder is not None
        count = max(limit, round(limit * oversampling))
        places = view.coder.candidates(view.matrix, queries, count, allowed=view.alive)
        found = []
        for query, candidates in zip(queries, places, strict=True):
            rows = [view.rows[place] for place in candidates.tolist() if place != NO_DOCUMENT]
            found.append(_best(self._read_vectors(rows), query, limit))
        return found

    def _read_all(self, view: View, queries: NDArray[np.float32], limit: int) -> list[Found]:
        """Compare with every full vector, read block by block."""
        best = [_nothing()] * len(queries)
        rows = [view.rows[place] for place in np.flatnonzero(view.alive).tolist()]
        for part in _parts(rows, _READ_ROWS):
            read = self._read_vectors(part)
            best = [
                _merged(before, _best(read, query, limit), limit) for before, query in zip(best, queries, strict=True)
            ]
        return best

    def _read_vectors(self, rows: Sequence[Held]) -> "_Read":
        """Return the full vectors of those rows that are still there."""
        held = {row.id: row for row in rows}  # by id: a row that was written meanwhile has another number
        with self._database.reading() as connection:
            found = [
                row
                for part in in_parts(list(held))
                for row in connection.execute(f"SELECT id, vector FROM rows WHERE id IN ({marks(part)})", part)
            ]
        return _Read([held[row["id"]] for row in found], self._vectors(found))

    def _rows(self, found: Sequence[sqlite3.Row], *, vectors: bool) -> Rows:
        return Rows(
            ids=tuple(row["id"] for row in found),
            document_ids=tuple(row["document"] for row in found),
            hashes=tuple(row["hash"] for row in found),
            tags=tuple(tuple(json.loads(row["tags"])) for row in found),
            spaces=tuple(row["space"] for row in found),
            vectors=self._vectors(found) if vectors else np.empty((len(found), 0), np.float32),
        )

    def _vectors(self, found: Sequence[sqlite3.Row]) -> NDArray[np.float32]:
        flat = np.frombuffer(b"".join(row["vector"] for row in found), dtype="<f4")
        return flat.reshape(len(found), self._spec.dimension).astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """Rows with their full vectors (rows, dimension)."""

    rows: Sequence[Held]
    vectors: NDArray[np.float32]


def _compare(view: View, queries: NDArray[np.float32], limit: int) -> list[Found]:
    """Return the best of the rows in memory."""
    vectors = np.asarray(view.matrix, dtype=np.float32)
    passing = np.flatnonzero(view.alive)
    if len(passing) < _SPARSE * len(vectors):
        scores = queries @ vectors[passing].T  # (queries, passing)
    else:
        scores = (queries @ vectors.T)[:, passing] if len(passing) < len(vectors) else queries @ vectors.T
    found = []
    for row in scores:
        best = select_best(row, limit)
        found.append(_found([view.rows[place] for place in passing[best].tolist()], row[best]))
    return found


def _best(read: _Read, query: NDArray[np.float32], limit: int) -> Found:
    scores = read.vectors @ query  # (rows,)
    best = select_best(scores, limit)
    return _found([read.rows[place] for place in best.tolist()], scores[best])


def _merged(one: Found, other: Found, limit: int) -> Found:
    scores = np.concatenate([one.scores, other.scores])
    order = np.argsort(-scores, kind="stable")[:limit]
    columns = ((one.ids, other.ids), (one.document_ids, other.document_ids), (one.spaces, other.spaces))
    ids, documents, spaces = (tuple((first + second)[place] for place in order) for first, second in columns)
    return Found(ids, documents, spaces, scores[order])


def _found(rows: Sequence[Held], scores: NDArray[np.float32]) -> Found:
    return Found(
        tuple(row.id for row in rows), tuple(row.document_id for row in rows), tuple(row.space for row in rows), scores
    )


def _nothing() -> Found:
    return Found((), (), (), np.empty(0, np.float32))


def _select(vectors: bool) -> str:  # noqa: FBT001
    return f"SELECT id, document, hash, tags, space{', vector' if vectors else ''} FROM rows"


def _dump(tags: Sequence[str]) -> str:
    return json.dumps(list(tags), ensure_ascii=False)


def _parts(items: _Sliced, size: int) -> Iterator[_Sliced]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
