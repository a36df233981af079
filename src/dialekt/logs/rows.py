"""SQL expressions that turn the columns of each format into those of the table `rows`."""

from dialekt.config import LogsConfig
from dialekt.logs.database import identifier
from dialekt.logs.files import FileKind, LogFile
from dialekt.logs.layout import Layout, flat_columns

SHOWN = "impression"
CLICKED = "click"
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER"}
_DWELL = ("dwell_seconds", "dwell_time_seconds", "dwell_time", "dwell")
_UBI_COLUMNS = (
    "application",
    "query_id",
    "user_query",
    "client_id",
    "user_id",
    "session_id",
    "timestamp",
    "action_name",
    "event_attributes",
    "query_response_hit_ids",
    "index",
    "create",
)


def ubi_layout(file: LogFile, layout: Layout) -> Layout:
    """Return the columns to read of a UBI file: a mixed JSON file may show some of them late."""
    if file.kind is not FileKind.JSON:
        return layout
    return Layout(dict.fromkeys(_UBI_COLUMNS, "VARCHAR"), array=layout.array)


def ubi_rows(layout: Layout) -> dict[str, str]:
    """Return the expressions for User Behavior Insights: queries and events, mixed or apart."""
    columns = {name: _text(name, layout) for name in _UBI_COLUMNS}
    attributes = f"TRY_CAST({columns['event_attributes']} AS JSON)"
    nothing = " AND ".join(f"{columns[name]} IS NULL" for name in ("query_id", "user_query", "action_name"))
    return {
        "kind": f"""CASE WHEN NOT ({nothing}) THEN 0
            WHEN {columns["index"]} IS NOT NULL OR {columns["create"]} IS NOT NULL THEN 1 ELSE 2 END""",
        "search": f"known_id({columns['query_id']})",
        "query": f"filled({columns['user_query']})",
        "document": f"filled({attributes} ->> '$.object.object_id')",
        "rank": _first(attributes, "position.ordinal.index", "position.ordinal"),
        "action": f"lower(filled({columns['action_name']}))",
        "time": f"unix_seconds({columns['timestamp']})",
        "session": f"known_id({columns['session_id']})",
        "client": f"coalesce(known_id({columns['client_id']}), known_id({columns['user_id']}))",
        "dwell": f"""coalesce(TRY_CAST({_first(attributes, *_DWELL)} AS DOUBLE),
            TRY_CAST({_first(attributes, "dwell_ms", "dwell_time_ms")} AS DOUBLE) / 1000)""",
        "propensity": f"{attributes} ->> '$.propensity'",
        "hits": f"TRY_CAST(TRY_CAST({columns['query_response_hit_ids']} AS JSON) AS VARCHAR[])",
        "application": columns["application"],
    }


def flat_rows(file: LogFile, layout: Layout, config: LogsConfig) -> dict[str, str]:
    """Return the expressions for a flat log. Without an action column every row is a click."""
    roles = flat_columns(file, layout, config)
    query, document = (_text(roles[role], layout) for role in ("query", "document"))
    search, session, client = (_identity(roles.get(role, ""), layout) for role in ("search", "session", "client"))
    return {
        "kind": f"CASE WHEN coalesce(filled({query}), filled({document})) IS NULL THEN 2 ELSE 0 END",
        # An id that names the text, not the result page, must not make one search of all its searches.
        "search": f"CASE WHEN {search} IS NOT NULL THEN hash({search}, {query}, {session}, {client}) END",
        "query": f"filled({query})",
        "document": f"filled({document})",
        "rank": _bare(roles.get("rank")),
        "action": _action(roles.get("action"), layout),
        "time": _time(roles.get("timestamp"), layout),
        "session": session,
        "client": client,
        "dwell": _bare(roles.get("dwell")),
        "propensity": _bare(roles.get("propensity")),
        "hits": "NULL::VARCHAR[]",
        "application": "NULL::VARCHAR",
    }


def _first(attributes: str, *paths: str) -> str:
    """Return the first attribute that is there and is no object."""
    values = [
        f"CASE WHEN json_type({attributes}, '$.{path}') NOT IN ('OBJECT', 'NULL') THEN {attributes} ->> '$.{path}' END"
        for path in paths
    ]
    return f"coalesce({', '.join(values)})"


def _action(name: str | None, layout: Layout) -> str:
    """Return the action's name; a column such as `clicked` says so with true or false, or with a number."""
    if name is None:
        return f"'{CLICKED}'"
    if layout.columns[name] == "BOOLEAN":
        return f"CASE WHEN {identifier(name)} THEN '{CLICKED}' ELSE '{SHOWN}' END"
    text = f"lower(coalesce(filled({_text(name, layout)}), '{SHOWN}'))"
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"""CASE WHEN {text} IN ('true', 't', 'yes', 'y') OR {number} > 0 THEN '{CLICKED}'
        WHEN {text} IN ('false', 'f', 'no', 'n', 'none', 'null') OR {number} <= 0 THEN '{SHOWN}' ELSE {text} END"""


def _time(name: str | None, layout: Layout) -> str:
    if name is None:
        return "NULL::DOUBLE"
    kind = layout.columns[name]
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch({identifier(name)})"
    return f"unix_seconds({identifier(name)})"


def _bare(name: str | None) -> str:
    return identifier(name) if name else "NULL::VARCHAR"


def _identity(name: str, layout: Layout) -> str:
    """Return what tells one searcher or page from the next: a number, or a text that is not a word for nothing."""
    if layout.columns.get(name) in _INTEGERS:
        return f"{identifier(name)}::BIGINT"
    return f"known_id({_text(name, layout)})"


def _text(name: str, layout: Layout) -> str:
    """Return a column as text: nested values as JSON, times in seconds, a number that is whole without a point."""
    if name not in layout.columns:
        return "NULL::VARCHAR"
    column, kind = identifier(name), layout.columns[name]
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("[]"):
        return f"CAST(to_json({column}) AS VARCHAR)"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"CAST(epoch({column}) AS VARCHAR)"
    if kind in {"DOUBLE", "FLOAT"}:
        return f"regexp_replace(CAST({column} AS VARCHAR), '\\.0$', '')"
    return f"CAST({column} AS VARCHAR)" if kind != "VARCHAR" else column
