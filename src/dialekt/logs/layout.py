"""What the columns of a log file mean: by the configuration, or by the names that logs usually have."""

import csv
import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from dialekt.config import LogFormat, LogsConfig
from dialekt.errors import ConfigError, InputError
from dialekt.logs.files import FileKind, LogFile

SNIFFED_ROWS = 5000
DELIMITERS = ",\t;|"
UBI_MARKS = {"event_attributes", "query_response_hit_ids", "query_response_id", "query_attributes", "index", "create"}
USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "user_query", "query_text", "search_query", "search_term", "keywords", "q", "text"),
    "document": ("doc_id", "document_id", "docid", "document", "doc", "object_id", "item_id", "product_id", "url"),
    "search": ("search_id", "request_id", "serp_id", "page_id", "impression_id", "query_id"),
    "rank": ("rank", "position", "ordinal", "pos"),
    "action": ("action", "action_name", "event", "event_type", "clicked", "is_clicked", "click", "clicks"),
    "timestamp": ("timestamp", "time", "event_time", "datetime", "date", "ts", "created_at"),
    "session": ("session_id", "session", "sessionid"),
    "client": ("client_id", "user_id", "client", "user", "visitor_id", "anon_id", "cookie_id"),
    "dwell": ("dwell_seconds", "dwell_time", "dwell"),
    "propensity": ("propensity", "examination_probability"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one file with their types, in order.

    `delimiter` and `quote` are for CSV and TSV; `array` is true for one JSON array.
    """

    columns: Mapping[str, str]
    delimiter: str = ""
    quote: str = '"'
    array: bool = False


def look_at(connection: duckdb.DuckDBPyConnection, file: LogFile) -> Layout:
    """Return the columns of a file, from its header, its schema, or its first rows."""
    match file.kind:
        case FileKind.PARQUET:
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [file.address]).fetchall()
            return Layout({row[0]: row[1] for row in described})
        case FileKind.SEPARATED:
            return _header(connection, file)
        case FileKind.JSON:
            return _keys(connection, file)


def is_ubi(layouts: Mapping[LogFile, Layout], wanted: LogFormat) -> bool:
    """Say whether the files are User Behavior Insights, rather than a flat log."""
    if wanted is not LogFormat.AUTO:
        return wanted is LogFormat.UBI
    return any(_looks_like_ubi({name.lower() for name in layout.columns}) for layout in layouts.values())


def flat_columns(file: LogFile, layout: Layout, config: LogsConfig) -> dict[str, str]:
    """Return which column of a flat log holds what; only what the file has.

    Raises `ConfigError` for a named column that is not there, `InputError` without a query or document column.
    """
    found = {role: _named(role, layout, config) or _usual(role, layout) for role in USUAL_NAMES}
    for role in ("query", "document"):
        if not found[role]:
            raise InputError(
                f"there is no column for the {role}; found {', '.join(layout.columns) or 'no columns'}",
                path=file.address,
                hint=f"set logs.{role}_column",
            )
    return {role: name for role, name in found.items() if name}


def _named(role: str, layout: Layout, config: LogsConfig) -> str | None:
    name: str | None = getattr(config, f"{role}_column")
    if name is None or name in layout.columns:
        return name
    near = difflib.get_close_matches(name, layout.columns, n=3, cutoff=0.3) or list(layout.columns)[:10]
    raise ConfigError(f"logs.{role}_column = {name!r}: the log has no such column", hint=f"it has: {', '.join(near)}")


def _usual(role: str, layout: Layout) -> str | None:
    lowered = {name.lower(): name for name in reversed(list(layout.columns))}
    return next((lowered[name] for name in USUAL_NAMES[role] if name in lowered), None)


def _looks_like_ubi(names: set[str]) -> bool:
    has_document = any(name in names for name in USUAL_NAMES["document"])
    return bool(names & UBI_MARKS) or ({"query_id", "user_query"} <= names and not has_document)


def _header(connection: duckdb.DuckDBPyConnection, file: LogFile) -> Layout:
    sql = """
        SELECT line FROM read_csv(?, columns = {'line': 'VARCHAR'}, delim = chr(1), quote = '', escape = '',
                                  header = false, auto_detect = false, ignore_errors = true)
        LIMIT 1
    """
    row = connection.execute(sql, [file.address]).fetchone()
    line = (row[0] or "" if row else "").lstrip("\ufeff")
    delimiter = max(DELIMITERS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or not all(names):
        raise InputError(
            f"the header line has {'a repeated' if repeated else 'an empty'} column name",
            path=file.address,
            line=1,
            hint="give every column a name of its own",
        )
    # A tab-separated log is plain text, in which a quotation mark is one, unless its header shows that it is quoted.
    quote = "" if delimiter == "\t" and not line.startswith('"') else '"'
    return Layout(dict.fromkeys(names, "VARCHAR"), delimiter, quote)


def _keys(connection: duckdb.DuckDBPyConnection, file: LogFile) -> Layout:
    for form in ("newline_delimited", "array"):
        lenient = "true" if form == "newline_delimited" else "false"
        sql = f"""
            SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END
            FROM read_json_objects(?, format = '{form}', ignore_errors = {lenient}) LIMIT {SNIFFED_ROWS}
        """
        try:
            rows = connection.execute(sql, [file.address]).fetchall()
        except duckdb.InvalidInputException:
            if form == "array":
                continue
            raise
        names = dict.fromkeys(itertools.chain.from_iterable(keys for (keys,) in rows if keys))
        if names:
            return Layout(dict.fromkeys(names, "VARCHAR"), array=form == "array")
    raise InputError("holds no JSON objects", path=file.address, hint="one JSON object per line")
