"""What the data report draws: examination by rank, query frequencies, grades and support. Texts only on request."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from dialekt.config import ClickModel, LogsConfig
from dialekt.logs.collapse import BUCKETS, DISTANCES, LAST_BUCKET
from dialekt.logs.database import count_of
from dialekt.logs.estimation import Estimate
from dialekt.logs.records import REPORT_NAME, ExaminationPoint, FrequencyPoint
from dialekt.store.atomic import write_atomic

HEAD_QUERIES = 0.01  # of the distinct queries, the most frequent ones; the next tenth is the torso
TORSO_QUERIES = 0.1
FREQUENCY_POINTS = 40
FREQUENCIES = f"""SELECT query_no, CASE WHEN place <= {HEAD_QUERIES} THEN 'head'
        WHEN place <= {HEAD_QUERIES + TORSO_QUERIES} THEN 'torso' ELSE 'tail' END AS frequency
    FROM (SELECT query_no, row_number() OVER (ORDER BY searches DESC, query_no) / count(*) OVER () AS place
        FROM queries)"""


def write_report(connection: duckdb.DuckDBPyConnection, config: LogsConfig, found: Estimate, out: Path) -> None:
    """Write `report.json`: curves as lists of points, and examples when the settings ask for texts."""
    report: dict[str, Any] = {
        "examination": [asdict(point) for point in examination_curve(connection, found)],
        "frequency": [asdict(point) for point in frequency_curve(connection)],
        "query_shares": query_shares(connection),
        "grades": _rows(connection, "SELECT split, grade, count(*) AS pairs FROM qrels GROUP BY ALL ORDER BY ALL"),
        "support": _rows(
            connection,
            """SELECT pow(2, floor(log2(greatest(impressions, 1))))::BIGINT AS impressions, count(*) AS pairs
            FROM qrels WHERE grade > 0 GROUP BY 1 ORDER BY 1""",
        ),
        "perplexity": found.perplexity,
        "examples": _examples(connection, config.examples) if config.examples else {},
    }
    write_atomic(out / REPORT_NAME, json.dumps(report, ensure_ascii=False, indent=1) + "\n")


def examination_curve(connection: duckdb.DuckDBPyConnection, found: Estimate) -> tuple[ExaminationPoint, ...]:
    """Return for each rank, deep ones pooled: its examination, its raw click rate and its impressions.

    Where examination depends on the last click too, it is the mean over the impressions of that rank.
    """
    if found.click_model is ClickModel.INVERSE_PROPENSITY:
        return ()
    columns = connection.execute(
        "SELECT state, sum(shown) AS shown, sum(clicks) AS clicks FROM cells WHERE credits = 0 GROUP BY state"
    ).fetchnumpy()
    bucket = columns["state"] // DISTANCES
    looked = found.model.examination[columns["state"]] * columns["shown"]
    shown = np.bincount(bucket, weights=columns["shown"], minlength=LAST_BUCKET + 1)
    examined = np.bincount(bucket, weights=looked, minlength=LAST_BUCKET + 1)
    clicks = np.bincount(bucket, weights=columns["clicks"], minlength=LAST_BUCKET + 1)
    lowest = (0, 1, *(bound + 1 for bound in BUCKETS))
    return tuple(
        ExaminationPoint(
            rank=lowest[place],
            estimate=round(float(examined[place] / shown[place]), 5),
            click_rate=round(float(clicks[place] / shown[place]), 5),
            impressions=int(shown[place]),
        )
        for place in range(1, LAST_BUCKET + 1)
        if shown[place]
    )


def frequency_curve(connection: duckdb.DuckDBPyConnection) -> tuple[FrequencyPoint, ...]:
    """Return rank and searches of queries, most frequent first, at ranks even in their logarithm."""
    count = count_of(connection, "SELECT count(*) FROM queries")
    if not count:
        return ()
    ranks = sorted({int(rank) for rank in np.geomspace(1, count, FREQUENCY_POINTS).round()})
    rows = connection.execute(f"""
        SELECT position, searches FROM (
            SELECT searches, row_number() OVER (ORDER BY searches DESC, query_no) AS position FROM queries
        ) WHERE position IN ({", ".join(map(str, ranks))}) ORDER BY position
    """).fetchall()
    return tuple(FrequencyPoint(int(rank), int(searches)) for rank, searches in rows)


def query_shares(connection: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """Return the share of all searches that the head (1% of the queries), the torso (next 10%) and the tail make.

    Nothing where there are too few queries to have a head.
    """
    row = connection.execute(f"""
        SELECT count(*), sum(searches) FILTER (frequency = 'head'), sum(searches) FILTER (frequency = 'torso'),
            sum(searches)
        FROM queries JOIN ({FREQUENCIES}) USING (query_no)
    """).fetchone()
    if not row or row[0] * HEAD_QUERIES < 1:
        return {}
    head, torso, total = (float(value or 0) for value in row[1:])
    return {"head": head / total, "torso": torso / total, "tail": 1 - (head + torso) / total}


def _examples(connection: duckdb.DuckDBPyConnection, count: int) -> dict[str, list[dict[str, Any]]]:
    """Return some pairs of each rule with the query's text and the document's id."""
    rules = [("positive", "barred IS NULL")]
    found = connection.execute("SELECT DISTINCT barred FROM judged WHERE barred IS NOT NULL ORDER BY 1").fetchall()
    rules += [(rule, f"barred = '{rule}' AND clicks > 0") for (rule,) in found]
    return {
        rule: _rows(
            connection,
            f"""SELECT text AS query, document_id, impressions, clicks, round(relevance, 3) AS relevance,
                round(lower_bound, 3) AS lower_bound
            FROM judged JOIN queries USING (query_no) JOIN documents USING (document_no)
            WHERE {condition} ORDER BY hash(query_no, document_no, period) LIMIT {count}""",
        )
        for rule, condition in rules
    }


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
