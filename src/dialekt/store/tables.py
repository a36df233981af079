"""Our own tables: frozen records in Parquet, one row group after the other."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from dialekt.errors import StorageError
from dialekt.store.atomic import disk_errors

Record = TypeVar("Record")
ROWS_PER_GROUP = 50_000


def _schema(record_type: Any) -> pa.Schema:
    hints = get_type_hints(record_type)
    fields = [pa.field(item.name, _arrow_type(hints[item.name])) for item in dataclasses.fields(record_type)]
    return pa.schema(fields)


def _arrow_type(hint: Any) -> pa.DataType:
    plain = {str: pa.large_string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in plain:
        return plain[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return pa.string()
    return pa.large_string()  # a mapping, kept as JSON


def write_records(
    path: Path, records: Iterable[Record], record_type: type[Record], *, notes: Mapping[str, str] | None = None
) -> int:
    """Write frozen records as Parquet and return how many there were. Never holds more than one row group of rows.

    `notes` are about the table as a whole: they lie in its header.
    """
    schema = _schema(record_type)
    if notes:
        schema = schema.with_metadata(notes)
    names = schema.names
    count = 0
    with disk_errors(path), pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[Record] = []
        for record in records:
            batch.append(record)
            if len(batch) == ROWS_PER_GROUP:
                writer.write_table(_to_table(batch, names, schema))
                count += len(batch)
                batch = []
        if batch or not count:
            writer.write_table(_to_table(batch, names, schema))
            count += len(batch)
    return count


def _to_table(records: Sequence[Any], names: Sequence[str], schema: pa.Schema) -> pa.Table:
    columns = {name: [_plain(getattr(record, name)) for record in records] for name in names}
    return pa.table(columns, schema=schema)


def _plain(value: object) -> object:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, Mapping) else value


def read_note(path: Path, name: str) -> str | None:
    """Return a note on a table as a whole, None where it has none of that name."""
    try:
        notes = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError):  # whoever reads its rows says what is wrong
        return None
    value = notes.get(name.encode())
    return value.decode() if value is not None else None


def read_records(path: Path, record_type: type[Record]) -> list[Record]:
    """Read a Parquet table back into records; only the columns that the record has are read."""
    hints = get_type_hints(record_type)
    names = [item.name for item in dataclasses.fields(record_type)]  # type: ignore[arg-type]
    try:
        table = pq.read_table(path, columns=names)
    except FileNotFoundError:
        raise StorageError("the table is missing", path=path, hint="run the stage that writes it again") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"the table is damaged: {error}", path=path, hint="run the stage again") from error
    columns = [_revive(table[name], hints[name]) for name in names]
    return [record_type(*row) for row in zip(*columns, strict=True)]


def _revive(column: pa.ChunkedArray, hint: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if hint in {str, int, float, bool}:
        return values
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return [hint(value) for value in values]
    return [json.loads(value) for value in values]
