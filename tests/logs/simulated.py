"""The log room's tables, filled with a simulated log, as cleaning leaves them."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from dialekt.config import LogsConfig
from dialekt.logs.evidence import extract
from dialekt.logs.records import QRELS_NAME, EvidenceFacts, EvidencePlan, LogQrel, LogShape
from dialekt.logs.simulation import Simulation, Truth, simulate
from dialekt.store.tables import read_records

FULL = LogShape(True, True, True, True, True, False, False)
TIMELESS = LogShape(True, True, False, False, False, False, False)


def make_truth(*, queries: int = 200, depth: int = 15, seed: int = 1) -> Truth:
    """Return queries with one to three positives each, which a fair ranker puts at the top more often."""
    generator = np.random.default_rng(seed)
    grades = np.zeros((queries, depth))
    chances = 1 / np.arange(1, depth + 1)
    for row in grades:
        row[generator.choice(depth, generator.integers(1, 4), replace=False, p=chances / chances.sum())] = 1
    candidates = np.arange(queries * depth).reshape(queries, depth)
    names = tuple(f"d{number}" for number in range(queries * depth))
    return Truth(tuple(f"query {number}" for number in range(queries)), names, candidates, grades)


def open_log(truth: Truth, settings: Simulation, *, dwell: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables that cleaning makes of this simulation's people."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        "CREATE TABLE impressions (search_no BIGINT, query_no BIGINT, session_no BIGINT, client_no BIGINT, time DOUBLE,"
        " document_no BIGINT, rank INTEGER, grade DOUBLE, dwell_seconds DOUBLE, last_click BOOLEAN, propensity DOUBLE)"
    )
    for block in simulate(truth, settings):
        shape = block.document.shape
        wide = {
            "search_no": np.arange(shape[0]) + block.first_search,
            "query_no": block.sessions.query,
            "session_no": block.sessions.session,
            "client_no": block.sessions.client,
            "time": block.sessions.time,
        }
        columns = {name: np.repeat(values, shape[1]) for name, values in wide.items()}
        clicked = block.clicked.ravel()
        columns |= {
            "document_no": block.document.ravel(),
            "rank": np.tile(np.arange(1, shape[1] + 1), shape[0]).astype(np.int32),
            "grade": clicked.astype(np.float64),
        }
        seconds = pa.array(block.dwell.ravel(), mask=~(clicked & dwell))
        page = pa.table(columns | {"dwell_seconds": seconds, "last_click": clicked})
        connection.register("page", page)
        connection.execute("INSERT INTO impressions SELECT *, NULL FROM page WHERE document_no >= 0")
    add_names(connection, truth)
    return connection


def add_names(connection: duckdb.DuckDBPyConnection, truth: Truth) -> None:
    """Add the tables of queries and documents."""
    texts = pa.table({"query_no": np.arange(len(truth.queries)), "text": list(truth.queries)})
    names = pa.table({"document_no": np.arange(len(truth.document_ids)), "document_id": list(truth.document_ids)})
    connection.register("texts", texts)
    connection.register("names", names)
    connection.execute("""
        CREATE TABLE queries AS
        SELECT query_no, text, text AS normalised, 1 AS variants, count(DISTINCT client_no) AS clients,
            count(DISTINCT search_no) AS searches
        FROM impressions JOIN texts USING (query_no) GROUP BY ALL
    """)
    connection.execute("CREATE TABLE documents AS SELECT *, true AS known FROM names")


def run(
    connection: duckdb.DuckDBPyConnection,
    out: Path,
    *,
    shape: LogShape = FULL,
    held_out: bool = True,
    **settings: object,
) -> tuple[EvidenceFacts, list[LogQrel]]:
    """Draw judgments with these settings and read them back."""
    dev_share, test_share = (0.1, 0.2) if held_out else (0.0, 0.0)
    plan = EvidencePlan(shape, dev_share=dev_share, test_share=test_share, seed=1)
    facts = extract(connection, LogsConfig.model_validate(settings), plan, out)
    return facts, read_records(out / QRELS_NAME, LogQrel)


def true_pairs(connection: duckdb.DuckDBPyConnection, truth: Truth) -> set[tuple[str, str]]:
    """Return query ids as the stage names them with the ids of their true positives."""
    found = connection.execute("SELECT query_no, 'log-' || substr(md5(normalised), 1, 16) FROM queries").fetchall()
    return {
        (name, truth.document_ids[truth.candidates[query, place]])
        for query, name in found
        for place in np.flatnonzero(truth.grades[query] > 0)
    }
