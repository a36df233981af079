"""Files of the log → one table `rows` with the same columns for every format; damaged lines are counted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from dialekt.config import LogsConfig
from dialekt.errors import InputError, StorageError
from dialekt.logs.database import first_line, literal, run_step
from dialekt.logs.faults import damaged_json_lines, fault_of
from dialekt.logs.files import FileKind, LogFile, find_files
from dialekt.logs.layout import Layout, is_ubi, look_at
from dialekt.logs.rows import flat_rows, ubi_layout, ubi_rows
from dialekt.types import ReportProgress, no_progress

FEW_LINES = 5
DAMAGED_SHARE = 0.05
REJECTS_LIMIT = 1_000_000

# counter: who counts the ranks of a file, from 0 or from 1.
# kind: 0 a row of the log, 1 an action line of a bulk export, 2 a line in which nothing is known.
_ROWS = """
    CREATE TABLE rows (
        file_no INTEGER, kind TINYINT, search_no BIGINT, query VARCHAR, document VARCHAR, rank INTEGER,
        action VARCHAR, time DOUBLE, session_no BIGINT, client_no BIGINT, internal BOOLEAN, dwell_seconds DOUBLE,
        propensity DOUBLE, hits VARCHAR[], counter BIGINT
    )
"""
_MACROS = (
    "CREATE MACRO number_of(value) AS CASE WHEN value IS NOT NULL THEN (hash(value) >> 1)::BIGINT END",
    "CREATE MACRO filled(value) AS nullif(trim(value), '')",
    """
    CREATE MACRO known_id(value) AS CASE
        WHEN lower(trim(value)) IN ('', 'null', 'none', 'nan', 'undefined', 'unknown', 'anonymous', '-') THEN NULL
        ELSE trim(value) END
    """,
    """
    CREATE MACRO in_seconds(value) AS CASE
        WHEN NOT isfinite(value) THEN NULL
        WHEN abs(value) >= 1e17 THEN value / 1e9
        WHEN abs(value) >= 1e14 THEN value / 1e6
        WHEN abs(value) >= 1e11 THEN value / 1e3
        ELSE value END
    """,
    """
    CREATE MACRO unix_seconds(value) AS
        coalesce(in_seconds(TRY_CAST(value AS DOUBLE)), epoch(TRY_CAST(value AS TIMESTAMPTZ)))
    """,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: how many files and lines, in which format, and what of it was damaged."""

    format: str
    files: int
    lines: int
    damaged_lines: int
    warnings: tuple[str, ...]


@dataclass
class _Tally:
    lines: int = 0
    damaged: int = 0
    warnings: list[str] = field(default_factory=list)


def read_logs(
    connection: duckdb.DuckDBPyConnection,
    config: LogsConfig,
    *,
    internal_clients: Sequence[str] = (),
    progress: ReportProgress = no_progress,
) -> Reading:
    """Read every file of the log into the table `rows`.

    A few damaged lines are counted; a file of which more than 5% is damaged is an error, and so is one with a line of
    more than 16 MiB or a gzip stream that is cut short: `InputError` with file and line.
    """
    for statement in (_ROWS, *_MACROS):
        connection.execute(statement)
    files = find_files(connection, config.path)
    layouts: dict[LogFile, Layout] = {}
    for file in files:
        with _reading_errors(file):
            layouts[file] = look_at(connection, file)
    connection.execute("SET preserve_insertion_order = false")  # with it, writing a table keeps all of it in memory
    ubi = is_ubi(layouts, config.format)
    layouts = {file: ubi_layout(file, layout) if ubi else layout for file, layout in layouts.items()}
    tally = _Tally()
    for number, (file, layout) in enumerate(layouts.items()):
        columns = ubi_rows(layout) if ubi else flat_rows(file, layout, config)
        sql = _insert(number, columns, file, layout, internal_clients=internal_clients)
        label = f"reading file {number + 1} of {len(files)}"
        with _reading_errors(file):
            run_step(connection, sql, label=label, parameters=[file.address], progress=progress)
        _take_stock(connection, tally, file, number)
    return Reading("ubi" if ubi else "flat", len(files), tally.lines, tally.damaged, tuple(tally.warnings))


def _insert(
    number: int,
    columns: Mapping[str, str],
    file: LogFile,
    layout: Layout,
    *,
    internal_clients: Sequence[str],
) -> str:
    raw = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    patterns = [literal(_as_pattern(name)) for name in internal_clients]
    internal = (
        " OR ".join(f"coalesce(regexp_full_match(client::VARCHAR, {pattern}), false)" for pattern in patterns)
        or "false"
    )
    return f"""
        INSERT INTO rows
        SELECT {number}, kind, number_of(search),
               CASE WHEN strlen(query) > 10000 THEN left(query, 10000) ELSE query END, document,
               TRY_CAST(rank AS INTEGER), action, time, number_of(session), number_of(client),
               {internal}, TRY_CAST(dwell AS DOUBLE), TRY_CAST(propensity AS DOUBLE), hits,
               number_of(hash({number}, application))
        FROM (SELECT {raw} FROM {_reader(file, layout, number)})
    """


def _reader(file: LogFile, layout: Layout, number: int) -> str:
    if file.kind is FileKind.PARQUET:
        return "read_parquet(?)"
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in layout.columns.items())
    if file.kind is FileKind.JSON:
        form = "format = 'array'" if layout.array else "format = 'newline_delimited', ignore_errors = true"
        return f"read_json(?, {form}, columns = {{{columns}}})"
    return f"""read_csv(?, header = true, auto_detect = false, columns = {{{columns}}},
        delim = {literal(layout.delimiter)}, quote = '{layout.quote}', escape = '{layout.quote}', store_rejects = true,
        rejects_table = 'rejects_{number}', rejects_scan = 'scans_{number}', rejects_limit = {REJECTS_LIMIT})"""


def _as_pattern(name: str) -> str:
    """Return a client name in which * stands for anything as a regular expression."""
    special = r"\.+?()[]{}|^$"
    return "".join(".*" if sign == "*" else f"\\{sign}" if sign in special else sign for sign in name)


def _take_stock(connection: duckdb.DuckDBPyConnection, tally: _Tally, file: LogFile, number: int) -> None:
    counts = dict(
        connection.execute("SELECT kind, count(*) FROM rows WHERE file_no = ? GROUP BY kind", [number]).fetchall()
    )
    damaged = counts.get(2, 0)
    named: tuple[int, ...] = ()
    if file.kind is FileKind.SEPARATED:
        rejected = [
            line
            for (line,) in connection.execute(f"SELECT DISTINCT line FROM rejects_{number} ORDER BY line").fetchall()
        ]
        connection.execute(f"DROP TABLE rejects_{number}; DROP TABLE scans_{number}")
        damaged, named = damaged + len(rejected), tuple(rejected[:3])
    elif file.kind is FileKind.JSON and damaged and not file.is_remote:
        named = damaged_json_lines(Path(file.address))
    usable = counts.get(0, 0)
    tally.lines += usable + damaged
    tally.damaged += damaged
    if damaged:
        _judge_damage(tally, file, damaged, usable=usable, named=named)


def _judge_damage(tally: _Tally, file: LogFile, damaged: int, *, usable: int, named: Sequence[int]) -> None:
    where = f", the first at line {', '.join(f'{line:,}' for line in named)}" if named else ""
    said = f"{damaged:,} of {usable + damaged:,} lines are damaged or say nothing of a search{where}"
    if not usable or damaged > max(FEW_LINES, DAMAGED_SHARE * (usable + damaged)):
        raise InputError(
            said, path=file.address, line=named[0] if named else None, hint="export the log again, or name its columns"
        )
    tally.warnings.append(f"{Path(file.address).name}: {said}; left out")


@contextmanager
def _reading_errors(file: LogFile) -> Iterator[None]:
    """Translate what DuckDB says of a file it cannot read into an error with file and line."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.DataError, duckdb.OperationalError, duckdb.InvalidInputException) as error:
        if "No space left" in str(error):
            raise StorageError("the disk is full", path=file.address, hint="free some space") from error
        line, why = (0, "") if file.is_remote or file.kind is FileKind.PARQUET else fault_of(Path(file.address))
        raise InputError(
            why or f"cannot be read: {first_line(error)}",
            path=file.address,
            line=line or None,
            hint="copy or export the file again, or take the line out",
        ) from error
