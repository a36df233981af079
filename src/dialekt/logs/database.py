"""The scratch database of the log room: on disk, in bounded memory, with steps that tell how far they are."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dialekt.errors import ConfigError, StorageError
from dialekt.types import Progress, ReportProgress, no_progress

DATABASE_NAME = "scratch.duckdb"
SPILL_NAME = "scratch.spill"
MEMORY_SHARE = 4  # a quarter of the machine's
SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def open_database(folder: Path, *, memory_limit: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a new database in a folder and remove it at the end, however that comes.

    Tables that outgrow `memory_limit` (unset: a quarter of the machine's memory) spill into the folder.
    Raises `ConfigError` for a limit that is no size, `StorageError` when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove(folder)
    connection = duckdb.connect(str(folder / DATABASE_NAME))
    try:
        _set_up(connection, folder, memory_limit)
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise StorageError(
            f"the log does not fit: {first_line(error)}",
            path=folder,
            hint="raise logs.memory_limit, or free disk space: what does not fit in memory goes there",
        ) from error
    finally:
        connection.close()
        _remove(folder)


def run_step(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    *,
    label: str,
    parameters: Sequence[object] | Mapping[str, object] | None = None,
    progress: ReportProgress = no_progress,
) -> None:
    """Run one statement and report how far it is, in percent; Ctrl-C stops it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(connection.execute, sql, parameters)
        try:
            progress(Progress(label, 0, 100, "percent"))
            while wait([future], timeout=SECONDS_BETWEEN_LOOKS).not_done:
                progress(Progress(label, int(max(connection.query_progress(), 0)), 100, "percent"))
        except BaseException:
            connection.interrupt()
            raise
        future.result()


def first_line(error: Exception) -> str:
    """Return the first line of a foreign error, which names no row of the user's."""
    return str(error).partition("\n")[0].removesuffix(".")


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _set_up(connection: duckdb.DuckDBPyConnection, folder: Path, memory_limit: str) -> None:
    limit = memory_limit or f"{_memory_bytes() // MEMORY_SHARE // 2**20}MiB"
    try:
        connection.execute(f"SET memory_limit = {literal(limit)}")
    except duckdb.ParserException:
        raise ConfigError(f"logs.memory_limit = {limit!r} is no size", hint="for example '4GB' or '800MB'") from None
    connection.execute(f"SET temp_directory = {literal(str(folder / SPILL_NAME))}")
    connection.execute("SET TimeZone = 'UTC'")  # a time without a zone is UTC
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")


def count_of(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Return the one whole number that a query gives."""
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _remove(folder: Path) -> None:
    for name in (DATABASE_NAME, f"{DATABASE_NAME}.wal"):
        (folder / name).unlink(missing_ok=True)
    spill = folder / SPILL_NAME
    if spill.is_dir():
        for file in spill.iterdir():
            file.unlink()
        spill.rmdir()
