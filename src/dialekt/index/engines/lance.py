"""LanceDB: an index version as files that several processes search and write, approximately for large corpora."""

import importlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Quantization
from dialekt.errors import ConfigError, MissingExtraError, StorageError
from dialekt.index.engines.checks import check_dimension
from dialekt.index.engines.codes import shorten
from dialekt.index.engines.incoming import each_once
from dialekt.index.engines.lance_tables import (
    COLUMNS,
    CommitConflictError,
    lance_errors,
    schema,
    sql_filter,
    sql_ids,
    to_arrow,
    to_rows,
    vectors_of,
)
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, EngineSpec, FirstStage, Found, Rows, SearchSettings
from dialekt.models.topk import select_best
from dialekt.store.atomic import disk_errors
from dialekt.store.lock import exclusive
from dialekt.types import Progress, ReportProgress, no_progress

TABLE = "rows"
MIN_INDEXED = 5_000  # below it comparing with every vector takes no longer
PARTITION_ROWS = 2_048
MIN_PARTITIONS = 4
MIN_PROBES = 32  # with fewer, real text lost more than one in a hundred of the ten best
MORE_CANDIDATES = 30  # than results, since eight-bit codes misplace only neighbours
KEEP_OLD = timedelta(minutes=10)  # for searches and scans that began before
LOCK_SECONDS = 600.0
ATTEMPTS = 8
TIDY_WRITES = 128  # after 300 single rows a search took four times as long
_AT_ONCE = 500
_RQ_MULTIPLE = 8
_FOUND = ("id", "document_id", "space", "vector", "_distance")
_Result = TypeVar("_Result")


class LanceEngine:
    """An index version as one Lance dataset.

    From 5,000 rows on, vectors are searched as scalar-quantised codes in partitions (IVF_SQ), and the best of them
    ordered by the full vectors; a first stage has IVF_SQ (int8), RaBitQ (binary) or IVF_FLAT of the short vectors. Rows
    that came after `finish` are compared one by one until `optimize`, which runs by itself after every 128 writes. An
    effort is the number of partitions that are read; 0 is three in four of them, at least 32.
    """

    def __init__(self, spec: EngineSpec, folder: Path):
        self._spec = spec
        self._folder = folder
        self._writing = threading.Lock()
        self._writes = 0
        self._table = self._open()

    @classmethod
    def open(cls, spec: EngineSpec, folder: Path) -> "LanceEngine":
        """Open the version in a folder of its own, making an empty one where there is none.

        Raises `MissingExtraError` without lancedb, `StorageError` for files of another kind.
        """
        short = spec.first_stage
        if short and short.quantization is Quantization.BINARY and short.dimensions % _RQ_MULTIPLE:
            raise ConfigError(
                f"{short.dimensions} dimensions cannot be binary in LanceDB",
                hint=f"set index.first_stage_dimensions to a multiple of {_RQ_MULTIPLE}",
            )
        return cls(spec, folder)

    @property
    def efforts(self) -> tuple[int, ...]:
        """Numbers of partitions to read, up to all of them; (0,) as long as there is no index."""
        partitions = self._partitions()
        if not partitions:
            return (0,)
        return tuple(sorted({max(1, -(-partitions // share)) for share in (16, 8, 4, 2, 1)}))

    def load(self, rows: Rows) -> None:
        """Store rows; one whose id is there is replaced."""
        self.upsert(rows)

    def finish(self, *, progress: ReportProgress = no_progress) -> None:
        """Gather what was loaded in few files, and make the indexes or bring them up to date."""
        steps: list[Callable[[], None]] = [self._compact, self._index_words, self._index_vectors]
        for done, step in enumerate(steps):
            progress(Progress("index", done, len(steps)))
            step()
        progress(Progress("index", len(steps), len(steps)))

    def upsert(self, rows: Rows) -> None:
        """Store rows; one whose id is there is replaced."""
        rows = each_once(rows, self._spec)
        if rows.ids:
            with self._change():
                self._merge(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove units; one that is not there is no error."""
        with self._change():
            for part in _parts(ids):
                self._retrying(partial(self._table.delete, sql_ids(part)))

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """Replace the tags of units and leave their vectors; one that is not there is no error."""
        wanted = dict(zip(ids, tags, strict=True))
        with self._change():
            held = self.fetch(list(wanted))
            new_tags = tuple(wanted[unit] for unit in held.ids)
            if held.ids:
                self._merge(Rows(held.ids, held.document_ids, held.hashes, new_tags, held.spaces, held.vectors))

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query (queries, dimension) that pass the filter."""
        check_dimension(queries, self._spec)
        if not len(queries) or limit < 1:
            return [_nothing()] * len(queries)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        with lance_errors(self._folder):
            probes = settings.effort or max(MIN_PROBES, -(-3 * self._partitions() // 4))
            found = self._query(queries, limit, settings, where, probes=probes).to_arrow()
            if len(found) < limit * len(queries) and where is None:  # so few are in the partitions that were read
                found = self._query(queries, limit, settings, where, probes=None).to_arrow()
        if len(queries) == 1:
            return [_best(found, queries[0], limit)]
        asked = found.column("query_index").to_numpy()
        return [_best(found.filter(asked == row), query, limit) for row, query in enumerate(queries)]

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """Return the rows of those ids that are there, in any order."""
        columns = [*COLUMNS, "vector"] if vectors else list(COLUMNS)
        with lance_errors(self._folder):
            parts = [
                self._table.search().where(sql_ids(part)).select(columns).limit(len(part)).to_arrow()
                for part in _parts(ids)
            ]
        return to_rows(_concatenated(parts, self._spec, columns))

    def scan(self, *, vectors: bool = False, chunk_rows: int = 4_096) -> Iterator[Rows]:
        """Yield all rows in chunks, as they were when the scan began."""
        import pyarrow as pa

        columns = [*COLUMNS, "vector"] if vectors else list(COLUMNS)
        with lance_errors(self._folder):
            for batch in self._table.search().select(columns).limit(None).to_batches(chunk_rows):
                table = pa.Table.from_batches([batch])
                for start in range(0, len(table), chunk_rows):
                    yield to_rows(table.slice(start, chunk_rows))

    def count(self) -> int:
        """Return the number of rows."""
        with lance_errors(self._folder):
            return int(self._table.count_rows())

    def size(self) -> EngineSize:
        """Return the bytes of all files, older states included, and of the index that a search reads first."""
        with disk_errors(self._folder):
            files = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        index = self._vector_index()
        dimensions = self._spec.first_stage.dimensions if self._spec.first_stage else self._spec.dimension
        first = int(index.size_bytes) if index else self.count() * dimensions * 4
        return EngineSize(disk_bytes=files, first_stage_bytes=first)

    def optimize(self) -> None:
        """Gather small files and take new rows into the indexes; searches that have begun keep the old files."""
        self._compact()

    def close(self) -> None:
        """Nothing is held open between calls."""

    def drop(self) -> None:
        """Remove the version and all of its rows."""
        with disk_errors(self._folder):
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _column(self) -> str:
        """The vectors that are searched first."""
        return "short" if self._spec.first_stage else "vector"

    def _open(self) -> Any:
        os.environ.setdefault(
            "LANCEDB_LOG", "error"
        )  # read when it is loaded; its warnings are of k-means' empty clusters
        try:
            lancedb = importlib.import_module("lancedb")
        except ModuleNotFoundError:
            raise MissingExtraError("index", needed_for="the LanceDB engine") from None
        with disk_errors(self._folder), self._one_writer(), lance_errors(self._folder):
            connection = lancedb.connect(self._folder, read_consistency_interval=timedelta(0))
            return connection.create_table(TABLE, schema=schema(self._spec), exist_ok=True)

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """Hold the version's lock: of two writers that insert the same id at once, Lance would keep both rows."""
        with self._writing, exclusive(self._folder, timeout_seconds=LOCK_SECONDS):
            yield

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock for a write; now and then tidy up after it, since every write makes searches slower."""
        with self._one_writer():
            yield
            self._writes += 1
            due = self._writes % TIDY_WRITES == 0
        if due:
            self.optimize()

    def _merge(self, rows: Rows) -> None:
        table = to_arrow(rows, self._spec)
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        self._retrying(partial(merge.execute, table))

    def _retrying(self, operation: Callable[[], _Result]) -> _Result:
        """Run an operation again when tidying up, which holds no lock, has committed first."""
        for _ in range(ATTEMPTS):
            try:
                with lance_errors(self._folder):
                    return operation()
            except CommitConflictError:
                self._table.checkout_latest()
        raise StorageError(
            f"other writers were faster {ATTEMPTS} times", path=self._folder, hint="try again when they are done"
        )

    def _compact(self) -> None:
        self._retrying(partial(self._table.optimize, cleanup_older_than=KEEP_OLD))

    def _index_words(self) -> None:
        """Make the indexes of ids and tags; those that are there, tidying up has brought up to date."""
        from lancedb.index import BTree, LabelList

        there = {index.name for index in self._indexes()}
        for name, config in (("id", BTree()), ("tags", LabelList())):
            if name not in there and self.count():
                self._retrying(partial(self._table.create_index, name, config=config, name=name))

    def _index_vectors(self) -> None:
        """Make the vectors' index, or make it anew when the rows have doubled or halved since."""
        rows = self.count()
        if rows < MIN_INDEXED:
            return
        partitions = max(MIN_PARTITIONS, rows // PARTITION_ROWS)
        index = self._vector_index()
        if index and _partitions_of(index) <= 2 * partitions and partitions <= 2 * _partitions_of(index):
            return
        config = _index_config(self._spec.first_stage, partitions)
        name = f"{self._column}_{partitions}"
        self._retrying(partial(self._table.create_index, self._column, config=config, name=name))
        if index:
            self._retrying(partial(self._table.drop_index, index.name))

    def _indexes(self) -> list[Any]:
        with lance_errors(self._folder):
            return list(self._table.list_indices())

    def _vector_index(self) -> Any | None:
        found = [index for index in self._indexes() if list(index.columns) == [self._column]]
        return max(found, key=lambda index: index.created_at) if found else None

    def _partitions(self) -> int:
        """Return the number of partitions of the vectors' index, 0 without one."""
        index = self._vector_index()
        return _partitions_of(index) if index else 0

    def _query(
        self,
        queries: NDArray[np.float32],
        limit: int,
        settings: SearchSettings,
        where: Filter | None,
        *,
        probes: int | None,
    ) -> Any:
        """Return the question to Lance: candidates with their vectors, which `_best` orders.

        A filter may leave few rows in the partitions that are read first; then all are.
        """
        short = None if settings.exact else self._spec.first_stage
        asked = shorten(queries, short.dimensions) if short else queries
        vectors: Any = asked[0] if len(asked) == 1 else list(asked)
        query = self._table.search(vectors, vector_column_name="short" if short else "vector").distance_type("cosine")
        query = query.limit(_candidates(limit, settings, short)).select(list(_FOUND))
        if settings.exact:
            query = query.bypass_vector_index()
        elif where or probes is None:
            query = query.minimum_nprobes(probes or MIN_PROBES).maximum_nprobes(0)
        else:
            query = query.nprobes(probes)
        return query.where(sql_filter(where)) if where else query


def _candidates(limit: int, settings: SearchSettings, short: FirstStage | None) -> int:
    """Return how many rows are ordered by their full vectors."""
    if settings.exact:
        return limit
    return max(limit, round(limit * settings.oversampling)) if short else limit + max(MORE_CANDIDATES, limit // 2)


def _index_config(first_stage: FirstStage | None, partitions: int) -> Any:
    from lancedb.index import IvfFlat, IvfRq, IvfSq

    match first_stage.quantization if first_stage else Quantization.INT8:
        case Quantization.NONE:
            return IvfFlat(distance_type="cosine", num_partitions=partitions)
        case Quantization.INT8:
            return IvfSq(distance_type="cosine", num_partitions=partitions)
        case Quantization.BINARY:
            return IvfRq(distance_type="cosine", num_partitions=partitions)


def _partitions_of(index: Any) -> int:
    """Return what the index's name says."""
    return int(index.name.rpartition("_")[2])


def _best(found: Any, query: NDArray[np.float32], limit: int) -> Found:
    """Order candidates by the cosines of their full vectors."""
    scores = vectors_of(found) @ query  # (candidates,)
    order = select_best(scores, limit)
    table = found.select(["id", "document_id", "space"]).take(order)
    ids, documents, spaces = (tuple(table.column(name).to_pylist()) for name in table.column_names)
    return Found(ids, documents, spaces, scores[order])


def _nothing() -> Found:
    return Found((), (), (), np.empty(0, np.float32))


def _concatenated(parts: Sequence[Any], spec: EngineSpec, columns: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.concat_tables(parts) if parts else schema(spec).empty_table().select(columns)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
