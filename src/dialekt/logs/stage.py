"""The logs stage: read, clean, weigh the clicks, write judgments."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from dialekt.config import LogsConfig
from dialekt.errors import InputError
from dialekt.logs.cleaning import Cleaned, clean
from dialekt.logs.database import count_of, literal, open_database, run_step
from dialekt.logs.evidence import extract
from dialekt.logs.reading import Reading, read_logs
from dialekt.logs.records import EvidenceFacts, EvidencePlan, IntakeFacts, LogsFacts, LogShape, LogsInputs
from dialekt.logs.searches import Found, find_searches
from dialekt.types import ReportProgress, no_progress

SECONDS_PER_MINUTE = 60.0
FEW_SHARE = 0.01  # of the shown documents: fewer with a time, a rank or a document of the corpus is worth a word

_IMPRESSIONS = """
    CREATE TABLE impressions AS
    WITH last_clicks AS (
        SELECT session_no,
               arg_max({search_no: search_no, document_key: document_key}, (acted_time, search_no, rank)) AS last
        FROM shown JOIN searches USING (search_no) WHERE grade > 0 AND acted_time IS NOT NULL GROUP BY session_no
    )
    SELECT shown.search_no, searches.query_no, searches.session_no, searches.client_no, searches.time,
           documents.document_no, shown.rank, shown.grade, shown.dwell_seconds,
           coalesce(last.search_no = shown.search_no AND last.document_key = shown.document_key, false) AS last_click,
           shown.propensity
    FROM shown
    JOIN searches USING (search_no)
    JOIN documents USING (document_key)
    LEFT JOIN last_clicks ON last_clicks.session_no = searches.session_no
"""

_SHAPE = """
    SELECT coalesce(bool_or(grade = 0), false), count(rank) > 0.5 * count(*), count(time) > 0.5 * count(*),
           count(DISTINCT session_no) < count(DISTINCT search_no), count(client_no) > 0.5 * count(*),
           count(dwell_seconds) > 0, count(propensity) > 0.5 * count(*), coalesce(min(time), 0), coalesce(max(time), 0)
    FROM impressions
"""


def run(config: LogsConfig, inputs: LogsInputs, out: Path, *, progress: ReportProgress = no_progress) -> LogsFacts:
    """Write the judgments that the clicks of a log give to `out`: queries, qrels, weak negatives and the report.

    Raises `InputError` for files that cannot be read, or when nothing is left of the log; `ConfigError` for columns or
    options that the log does not have.
    """
    if not config.path:
        raise InputError("there is no search log", hint="set logs.path")
    gap_seconds = inputs.cleaning.session_gap_minutes * SECONDS_PER_MINUTE
    with open_database(out, memory_limit=config.memory_limit) as connection:
        internal = inputs.cleaning.internal_clients
        reading = read_logs(connection, config, internal_clients=internal, progress=progress)
        found = find_searches(connection, config, gap_seconds=gap_seconds, progress=progress)
        _require_some(connection, "the log has no search with a document", path=config.path[0])
        cleaned = clean(connection, inputs.cleaning, progress=progress)
        _require_some(connection, "cleaning left nothing of the log", path=config.path[0])
        _mark_known(connection, inputs.corpus)
        run_step(connection, _IMPRESSIONS, label="writing clean impressions", progress=progress)
        connection.execute("DROP TABLE shown; DROP TABLE actions; DROP TABLE zero_based")
        shape = _shape(connection)
        plan = EvidencePlan(shape, inputs.dev_share, inputs.test_share, inputs.seed)
        evidence = extract(connection, config, plan, out, progress=progress)
        return _facts(connection, reading, found, cleaned=cleaned, shape=shape, evidence=evidence)


def _require_some(connection: duckdb.DuckDBPyConnection, message: str, *, path: str) -> None:
    if not count_of(connection, "SELECT coalesce(sum(shown), 0) FROM searches"):
        raise InputError(message, path=path, hint="see docs/logs.md for what a log must hold; are its columns named?")


def _mark_known(connection: duckdb.DuckDBPyConnection, corpus: Path | None) -> None:
    """Add `documents.known`: whether the corpus still has the document, as itself or as the parent of chunks."""
    known = "true"
    if corpus is not None:
        table = f"read_parquet({literal(str(corpus))})"
        known = f"document_id IN (SELECT id FROM {table} UNION SELECT parent_id FROM {table})"
    connection.execute(f"CREATE OR REPLACE TABLE documents AS SELECT *, {known} AS known FROM documents")


def _shape(connection: duckdb.DuckDBPyConnection) -> LogShape:
    row = connection.execute(_SHAPE).fetchone()
    assert row is not None
    return LogShape(*row)


def _facts(
    connection: duckdb.DuckDBPyConnection,
    reading: Reading,
    found: Found,
    *,
    cleaned: Cleaned,
    shape: LogShape,
    evidence: EvidenceFacts,
) -> LogsFacts:
    first = cleaned.funnel[0]
    unknown = "SELECT count(*) FROM documents WHERE NOT known"
    intake = IntakeFacts(
        files=reading.files,
        lines=reading.lines,
        format=reading.format,
        damaged_lines=reading.damaged_lines,
        searches=first.searches_in,
        shown=first.rows_in,
        actions=found.acted,
        repeated_events=found.repeated,
        unknown_actions=found.unknown_actions,
        events_without_query=found.events_without_query,
        events_without_document=found.events_without_document,
        hits_used=found.hits_used,
        ranks_from_zero=found.ranks_from_zero,
    )
    return LogsFacts(
        intake=intake,
        shape=shape,
        funnel=cleaned.funnel,
        queries=count_of(connection, "SELECT count(*) FROM queries"),
        clients=count_of(connection, "SELECT count(DISTINCT client_no) FROM searches"),
        documents=count_of(connection, "SELECT count(*) FROM documents"),
        documents_unknown=count_of(connection, unknown),
        masked_queries=cleaned.masked_queries,
        evidence=evidence,
        warnings=(*reading.warnings, *_warnings(intake), *evidence.warnings),
    )


def _warnings(intake: IntakeFacts) -> tuple[str, ...]:
    warnings = []
    if intake.unknown_actions:
        named = _counted(intake.unknown_actions)
        warnings.append(f"actions that say nothing of a document: {named}; name them in logs.action_grades if they do")
    if intake.events_without_query:
        warnings.append(f"{intake.events_without_query:,} events belong to no query and were left out")
    if not intake.actions:
        warnings.append("nobody acted on any document: the log holds no clicks")
    return tuple(warnings)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:5])
