"""Between rows and Lance: Arrow tables, conditions in its SQL, its errors in ours."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dialekt.errors import StorageError
from dialekt.index.engines.codes import shorten
from dialekt.index.filters import Condition, Filter
from dialekt.index.records import EngineSpec, Rows

COLUMNS = ("id", "document_id", "hash", "tags", "space")
_CONFLICT = "conflict"


class CommitConflictError(Exception):
    """Another writer was faster; the same operation can be tried again."""


def schema(spec: EngineSpec) -> pa.Schema:
    """Return the columns of a version: texts, tags, the full vector and, before a first stage, a short one."""
    fields = [pa.field(name, pa.list_(pa.string()) if name == "tags" else pa.string()) for name in COLUMNS]
    fields.append(pa.field("vector", pa.list_(pa.float32(), spec.dimension)))
    if spec.first_stage:
        fields.append(pa.field("short", pa.list_(pa.float32(), spec.first_stage.dimensions)))
    return pa.schema(fields)


def to_arrow(rows: Rows, spec: EngineSpec) -> pa.Table:
    """Return rows as a table of the version's schema."""
    texts = (rows.ids, rows.document_ids, rows.hashes, [list(tags) for tags in rows.tags], rows.spaces)
    kinds = schema(spec)
    columns = [pa.array(values, kinds.field(name).type) for name, values in zip(COLUMNS, texts, strict=True)]
    columns.append(_vector_column(rows.vectors))
    if spec.first_stage:
        columns.append(_vector_column(shorten(rows.vectors, spec.first_stage.dimensions)))
    return pa.Table.from_arrays(columns, schema=kinds)


def to_rows(table: pa.Table) -> Rows:
    """Return a table as rows; without a vector column they have vectors of width 0."""
    columns = {name: table.column(name).to_pylist() for name in COLUMNS}
    return Rows(
        ids=tuple(columns["id"]),
        document_ids=tuple(columns["document_id"]),
        hashes=tuple(columns["hash"]),
        tags=tuple(tuple(tags) for tags in columns["tags"]),
        spaces=tuple(columns["space"]),
        vectors=vectors_of(table) if "vector" in table.column_names else np.empty((len(table), 0), np.float32),
    )


def vectors_of(table: pa.Table) -> NDArray[np.float32]:
    """Return the vector column as float32 (rows, dimension)."""
    column = table.column("vector")
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(table), column.type.list_size)


def sql_filter(where: Filter) -> str:
    """Return a filter as a condition on the tags column."""
    return " AND ".join(_sql_condition(condition) for condition in where.conditions)


def sql_ids(ids: Sequence[str]) -> str:
    """Return the condition that a row has one of the ids."""
    return f"id IN ({_literals(ids)})"


@contextmanager
def lance_errors(folder: Path) -> Iterator[None]:
    """Say what to do about a full disk and damaged files; raise `CommitConflictError` for a lost race."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        message = str(error)
        if _CONFLICT in message.lower():
            raise CommitConflictError from error
        if "no space left" in message.lower():
            raise StorageError(
                "the disk is full; nothing was changed", path=folder, hint="free some space and try again"
            ) from error
        fault = "the schema does not match" if "schema" in message.lower() else type(error).__name__
        raise StorageError(  # without the library's words, which may quote a filter
            f"the LanceDB files cannot be used: {fault}",
            path=folder,
            hint="check disk and permissions; if files are damaged, drop this index version and build it again",
        ) from error


def _vector_column(vectors: NDArray[np.float32]) -> Any:
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _sql_condition(condition: Condition) -> str:
    holds = f"array_has_any(tags, [{_literals(sorted(condition.tags))}])"
    return f"NOT {holds}" if condition.negated else holds


def _literals(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
