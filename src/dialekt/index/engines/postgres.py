"""Vectors in PostgreSQL with pgvector: a table per index version, HNSW over 16-bit copies, exact scores.

Tested with PostgreSQL 18.4 and pgvector 0.8.5. What a call has stored survives a kill of this process; one of the
server too, unless an administrator has turned its `synchronous_commit` off.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import ConfigError
from dialekt.index.engines.checks import check_dimension
from dialekt.index.engines.incoming import each_once
from dialekt.index.engines.postgres_connection import Connection, Server
from dialekt.index.engines.postgres_stages import LINK_BYTES, stage_of
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, EngineSpec, Found, Rows, SearchSettings
from dialekt.types import Progress, ReportProgress, no_progress

# 1,000 is pgvector's most. On 98,000 passages with many near-copies, recall@10 at 200 is .962 to .991 from build to
# build with ef_construction 100, and .991 with 200; at 320 it is .989 to .997 with 256. On 40,000 vectors of documents
# it is .995 at 200 with 100.
EF_SEARCH = {-5: 40, -4: 64, -3: 120, -2: 200, -1: 320, 0: 500, 1: 750, 2: 1_000}
EF_CONSTRUCTION = 256
FEW_ROWS = 64  # so many are written one by one, more are copied into a table beside and taken over from it
BUILD_BYTES = (64 << 20, 1 << 30)  # least and most memory that the server may take to make the index

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_COLUMNS = "id, document_id, hash, tags, space, vector"
_TYPES = ("text", "text", "text", "text[]", "text", "vector")
_REPLACE = "ON CONFLICT (id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))


class PostgresEngine:
    """The rows of an index version, in a table of its name."""

    def __init__(self, spec: EngineSpec, server: Server, table: str):
        self._spec = spec
        self._server = server
        self._table = table
        self._stage = stage_of(spec)
        self._gone = False

    @classmethod
    def open(cls, spec: EngineSpec, *, name: str, folder: Path, url: str | None) -> "PostgresEngine":
        """Open the table of a version, making an empty one where there is none; nothing is put into the folder.

        Raises `ConfigError` for a first stage of int8, and for a table with vectors of another dimension.
        """
        del folder
        assert _NAME.fullmatch(name), f"{name!r} is no name for a table"
        stage_of(spec)
        engine = cls(spec, Server(url), name)
        try:
            engine._server.run(engine._make_table)
        except BaseException:
            engine.close()
            raise
        return engine

    @property
    def efforts(self) -> tuple[int, ...]:
        """Steps of hnsw.ef_search, 0 in their midst; (0,) above 4,000 dimensions, where there is no index."""
        return tuple(EF_SEARCH) if self._stage else (0,)

    def load(self, rows: Rows) -> None:
        """Store rows by way of a table beside."""
        rows = each_once(rows, self._spec)

        def copy(connection: Connection[Any]) -> None:
            beside = f"{self._table}_new"
            with connection.transaction():
                connection.execute(f"CREATE TEMPORARY TABLE {beside} (LIKE {self._table}) ON COMMIT DROP")
                with connection.cursor().copy(f"COPY {beside} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as stream:
                    stream.set_types(_TYPES)
                    for row in _values(rows):
                        stream.write_row(row)
                connection.execute(
                    f"INSERT INTO {self._table} ({_COLUMNS}) SELECT {_COLUMNS} FROM {beside} {_REPLACE}",
                )

        self._server.run(copy)

    def upsert(self, rows: Rows) -> None:
        """Store rows; the next search finds them."""
        if len(rows) > FEW_ROWS:
            self.load(rows)
            return
        rows = each_once(rows, self._spec)
        self._write(f"INSERT INTO {self._table} ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s) {_REPLACE}", _values(rows))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove units."""
        self._server.run(
            lambda connection: connection.execute(f"DELETE FROM {self._table} WHERE id = ANY(%s)", (list(ids),))
        )

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """Replace the tags of units."""
        changed = sorted(zip(ids, tags, strict=True))
        self._write(f"UPDATE {self._table} SET tags = %s WHERE id = %s", [(list(row), unit) for unit, row in changed])

    def finish(self, *, progress: ReportProgress = no_progress) -> None:
        """Make the indexes over tags and vectors; writes to this version wait meanwhile."""
        progress(Progress("index", 0, 1, note="PostgreSQL makes it"))
        memory = self._build_bytes()

        def index(connection: Connection[Any]) -> None:
            with connection.transaction():
                connection.execute(
                    "SELECT set_config('statement_timeout', '0', true), set_config('maintenance_work_mem', "
                    "greatest(pg_size_bytes(current_setting('maintenance_work_mem')), %s) / 1024 || 'kB', true)",
                    (memory,),
                )
                connection.execute(f"CREATE INDEX IF NOT EXISTS {self._table}_tags ON {self._table} USING gin (tags)")
                if self._stage:
                    connection.execute(
                        f"CREATE INDEX IF NOT EXISTS {self._table}_ann ON {self._table} USING hnsw "
                        f"({self._stage.of('vector')} {self._stage.operators}) "
                        f"WITH (m = 16, ef_construction = {EF_CONSTRUCTION})"
                    )
            connection.execute(f"ANALYZE {self._table}")

        self._server.run(index)
        progress(Progress("index", 1, 1))

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query; exactly where the index gave fewer than `limit`."""
        check_dimension(queries, self._spec)
        condition, values = _condition(where)
        parameters = [{"query": query, "limit": limit, **values} for query in queries]
        if settings.exact or self._stage is None:
            return self._ask(self._exact(condition), parameters, ef_search=limit)
        candidates = math.ceil(limit * max(settings.oversampling, 1)) if self._spec.first_stage else limit
        step = min(max(settings.effort, min(EF_SEARCH)), max(EF_SEARCH))
        two = [{**one, "candidates": candidates} for one in parameters]
        found = self._ask(self._in_two_steps(condition), two, ef_search=max(EF_SEARCH[step], candidates))
        short = [place for place, one in enumerate(found) if len(one.ids) < limit]
        again = self._ask(self._exact(condition), [parameters[place] for place in short], ef_search=limit)
        for place, one in zip(short, again, strict=True):
            found[place] = one
        return found

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """Return the rows of those ids that are there."""
        statement = f"SELECT {_selected(vectors=vectors)} FROM {self._table} WHERE id = ANY(%s)"
        return self._rows(statement, (list(ids),))

    def scan(self, *, vectors: bool = False, chunk_rows: int = 4_096) -> Iterator[Rows]:
        """Yield all rows in the order of their ids; a lost connection costs one chunk's reading."""
        statement = f"SELECT {_selected(vectors=vectors)} FROM {self._table} WHERE id > %s ORDER BY id LIMIT %s"
        after = ""
        while rows := self._rows(statement, (after, chunk_rows)):
            yield rows
            after = rows.ids[-1]

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._value(f"SELECT count(*) FROM {self._table}"))

    def size(self) -> EngineSize:
        """Return the bytes of table and indexes; the first search reads the vectors' index, or all where none is."""
        whole = int(self._value(f"SELECT pg_total_relation_size('{self._table}')"))
        index = self._value(f"SELECT pg_relation_size(to_regclass('{self._table}_ann'))")
        return EngineSize(whole, int(index) if index else whole)

    def optimize(self) -> None:
        """Give back the room of what was replaced, and tell the planner what has changed."""
        self._server.run(lambda connection: connection.execute(f"VACUUM (ANALYZE) {self._table}"))

    def close(self) -> None:
        """End the connections."""
        self._server.close()

    def drop(self) -> None:
        """Remove the table."""
        if not self._gone:
            self._server.run(lambda connection: connection.execute(f"DROP TABLE IF EXISTS {self._table}"))
            self._gone = True
            self.close()

    def _make_table(self, connection: Connection[Any]) -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._table,))  # two may open at a time
            connection.execute(
                f'CREATE TABLE IF NOT EXISTS {self._table} (id text COLLATE "C" PRIMARY KEY, '
                "document_id text NOT NULL, hash text NOT NULL, tags text[] NOT NULL, space text NOT NULL, "
                f"vector vector({self._spec.dimension}) NOT NULL)"
            )
            row = connection.execute(
                f"SELECT atttypmod FROM pg_attribute WHERE attrelid = '{self._table}'::regclass AND attname = 'vector'"
            ).fetchone()
        held = row[0] if row else None
        if held != self._spec.dimension:
            raise ConfigError(
                f"the table {self._table} in PostgreSQL has vectors of {held} dimensions, not {self._spec.dimension}",
                hint="another index uses this name; give one of them a database or schema of its own",
            )

    def _write(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        def write(connection: Connection[Any]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(statement, values)

        if values:
            self._server.run(write)

    def _build_bytes(self) -> int:
        """Return what HNSW needs to be made in memory, which is many times faster; bounded."""
        per_row = LINK_BYTES + (self._stage.bytes_per_vector if self._stage else 0)
        least, most = BUILD_BYTES
        return int(min(max(self.count() * per_row, least), most))

    def _exact(self, condition: str) -> str:
        """Return the search that compares the query with every row that passes: no index knows its order."""
        return (
            f"SELECT id, document_id, space, 1 - (vector <=> %(query)s) AS score FROM {self._table} "
            f"WHERE {condition} ORDER BY vector <=> %(query)s, id LIMIT %(limit)s"
        )

    def _in_two_steps(self, condition: str) -> str:
        """Return the search through the index, whose candidates the full vectors put into order."""
        assert self._stage
        return (
            f"SELECT id, document_id, space, 1 - (vector <=> %(query)s) AS score FROM (SELECT * FROM {self._table} "
            f"WHERE {condition} ORDER BY {self._stage.order} LIMIT %(candidates)s) AS candidates "
            "ORDER BY score DESC, id LIMIT %(limit)s"
        )

    def _ask(self, statement: str, parameters: Sequence[dict[str, Any]], *, ef_search: int) -> list[Found]:
        """Send all queries at once and return what each found."""

        def ask(connection: Connection[Any]) -> list[Found]:
            with connection.transaction(), connection.pipeline():
                connection.execute(_SEARCH_SETTINGS, (str(min(ef_search, max(EF_SEARCH.values()))),))
                cursors = [connection.execute(statement, one) for one in parameters]
                return [_found(cursor.fetchall()) for cursor in cursors]

        return self._server.run(ask) if parameters else []

    def _rows(self, statement: str, values: Sequence[object]) -> Rows:
        def read(connection: Connection[Any]) -> list[tuple[Any, ...]]:
            return connection.execute(statement, values, binary=True).fetchall()

        return _rows(self._server.run(read))

    def _value(self, statement: str) -> Any:
        row = self._server.run(lambda connection: connection.execute(statement).fetchone())
        assert row
        return row[0]


# relaxed_order: out of order by a little, which the second step puts right, and nothing is left out for it;
# force_custom_plan: whether the tags' index or the vectors' is better depends on the filter's values
_SEARCH_SETTINGS = (
    "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true), "
    "set_config('plan_cache_mode', 'force_custom_plan', true)"
)


def _condition(where: Filter | None) -> tuple[str, dict[str, list[str]]]:
    """Return a filter as SQL and its parameters."""
    conditions = where.conditions if where else ()
    parts = [f"{'NOT ' * one.negated}tags && %(tags_{place})s" for place, one in enumerate(conditions)]
    values = {f"tags_{place}": sorted(one.tags) for place, one in enumerate(conditions)}
    return " AND ".join(parts) or "true", values


def _selected(*, vectors: bool) -> str:
    return _COLUMNS if vectors else _COLUMNS.removesuffix(", vector")


def _values(rows: Rows) -> list[tuple[object, ...]]:
    tags = [list(one) for one in rows.tags]
    return list(zip(rows.ids, rows.document_ids, rows.hashes, tags, rows.spaces, rows.vectors, strict=True))


def _found(rows: Sequence[tuple[Any, ...]]) -> Found:
    ids, documents, spaces, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Found(tuple(ids), tuple(documents), tuple(spaces), np.array(scores, dtype=np.float32))


def _rows(rows: Sequence[tuple[Any, ...]]) -> Rows:
    """Return rows of the table as ours, with their vectors where they were asked for."""
    columns = [tuple(row[place] for row in rows) for place in range(5)]
    vectors = np.zeros((len(rows), 0), dtype=np.float32)
    if rows and len(rows[0]) > 5:
        vectors = np.stack([row[5].to_numpy() for row in rows])
    ids, documents, hashes, tags, spaces = columns
    return Rows(ids, documents, hashes, tuple(map(tuple, tags)), spaces, vectors)
