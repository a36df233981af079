"""Estimates → judgments: which pairs are positives, which queries are held out, what is a weak negative. All in SQL."""

from pathlib import Path

import duckdb

from dialekt.config import LogsConfig
from dialekt.logs.collapse import Cuts, Period
from dialekt.logs.curves import FREQUENCIES
from dialekt.logs.database import count_of
from dialekt.logs.estimation import Estimate
from dialekt.logs.records import QRELS_NAME, QUERIES_NAME, WEAK_NEGATIVES_NAME, EvidencePlan

MOST_HELD_OUT = 0.5  # of the queries that could be: the others' future is not used, so that training keeps its head
HELD_OUT_CERTAINTY = 0.8  # a held-out query has a positive at least this certain: it is to measure by
LEAST_EXAMINED = 1.0  # expected looks at a document before it may be judged a non-match
MOST_DOUBT = 0.1  # certainty of relevance up to which it is one
LEAST_PASSED = 2  # times that searchers went past a weak negative to a document below it
SPLITS = {Period.TRAIN: "train", Period.DEV: "dev", Period.TEST: "test"}


def decide(connection: duckdb.DuckDBPyConnection, config: LogsConfig, found: Estimate) -> None:
    """Make the table `judged`: every pair and period with its estimate, its grade and the rule that barred it, if any.

    Satisfaction (long dwell where the log has dwell times, else the last click of a session) moves the grade by one
    where its share lies far from the log's own.
    """
    second, third = found.attractive
    connection.execute(f"""
        CREATE OR REPLACE TABLE judged AS
        WITH counts AS (
            SELECT query_no, document_no, period,
                coalesce(sum(shown) FILTER (credits = 0), 0)::BIGINT AS impressions,
                coalesce(sum(clicks) FILTER (credits = 0), 0)::BIGINT AS clicks,
                sum(credits)::BIGINT AS credits, sum(passed)::BIGINT AS passed,
                max(top_grade) AS top_grade, sum(satisfied) AS satisfied
            FROM cells GROUP BY ALL
        ), usual AS (SELECT sum(satisfied) / greatest(sum(clicks), 1) AS share FROM counts),
        graded AS (
            SELECT counts.*, relevance, lower_bound, certainty, examined, known,
                greatest(
                    CASE WHEN relevance >= {third} THEN 3 WHEN relevance >= {second} THEN 2 ELSE 1 END
                    + CASE WHEN satisfied >= 2 AND satisfied >= 1.5 * usual.share * clicks THEN 1
                        WHEN clicks >= 4 AND satisfied < 0.5 * usual.share * clicks THEN -1 ELSE 0 END,
                    CASE WHEN top_grade >= 2 THEN top_grade ELSE 1 END) AS grade,
                CASE WHEN NOT known THEN 'unknown_document'
                    WHEN clicks + credits < {config.minimum_clicks} THEN 'too_few_clicks'
                    WHEN greatest(impressions, credits) < {config.minimum_impressions} THEN 'too_few_impressions'
                    WHEN lower_bound < {found.threshold} THEN 'uncertain_relevance' END AS barred
            FROM counts JOIN estimates USING (query_no, document_no, period)
                JOIN documents USING (document_no), usual
        )
        SELECT * EXCLUDE (barred), least(greatest(grade, 1), 3)::DOUBLE AS final_grade,
            CASE WHEN barred IS NULL AND row_number() OVER (PARTITION BY query_no, period, barred IS NULL
                ORDER BY lower_bound DESC, relevance DESC, document_no) > {config.max_positives_per_query}
                THEN 'beyond_limit' ELSE barred END AS barred
        FROM graded
    """)


def hold_out(connection: duckdb.DuckDBPyConnection, plan: EvidencePlan, *, cuts: Cuts | None) -> None:
    """Make the table `assigned`: the period whose evidence each query is judged by.

    Test queries are drawn by hash among those with a positive after the test cut, dev queries likewise after the dev
    cut; their earlier evidence is not used. All other queries train on what came before the cuts.
    """
    everyone = "SELECT DISTINCT query_no FROM judged WHERE barred IS NULL"
    connection.execute("CREATE OR REPLACE TABLE assigned (query_no BIGINT, period INTEGER)")
    if cuts is not None:
        total = count_of(connection, f"SELECT count(*) FROM ({everyone})")
        for period, share in ((Period.TEST, plan.test_share), (Period.DEV, plan.dev_share)):
            able = f"""{everyone} AND period = {int(period)} AND certainty >= {HELD_OUT_CERTAINTY}
                AND query_no NOT IN (SELECT query_no FROM assigned)"""
            chance = min(MOST_HELD_OUT, share * total / max(count_of(connection, f"SELECT count(*) FROM ({able})"), 1))
            connection.execute(
                f"""INSERT INTO assigned SELECT query_no, {int(period)} FROM ({able}) JOIN queries USING (query_no)
                WHERE (md5_number(normalised || ?) % 1000000)::DOUBLE / 1000000 < ?""",
                [f"{plan.seed}-{period.name}", chance],
            )
    connection.execute(f"""
        INSERT INTO assigned SELECT query_no, 0 FROM ({everyone} AND period = 0)
        WHERE query_no NOT IN (SELECT query_no FROM assigned)
    """)


def write_judgments(connection: duckdb.DuckDBPyConnection, config: LogsConfig, out: Path, *, timed: bool) -> None:
    """Write queries, qrels (with non-matches for held-out queries) and weak negatives as Parquet."""
    split = _cases("period") if timed else "''"
    _copy(
        connection,
        f"""SELECT {_QUERY_ID} AS id, text, coalesce(strftime(make_timestamp((first_time * 1e6)::BIGINT),
                '%Y-%m-%dT%H:%M:%SZ'), '') AS timestamp, frequency
            FROM assigned JOIN queries USING (query_no) JOIN ({FREQUENCIES}) USING (query_no)
                JOIN (SELECT query_no, min(time) AS first_time FROM impressions GROUP BY query_no) USING (query_no)
            ORDER BY id""",
        out / QUERIES_NAME,
    )
    positive = "barred IS NULL"
    non_match = (
        f"(period > 0 AND judged.known AND certainty <= {MOST_DOUBT} AND examined >= {LEAST_EXAMINED} "
        f"AND impressions >= {config.minimum_impressions})"
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE qrels AS
        SELECT {_QUERY_ID} AS query_id, document_id, CASE WHEN {positive} THEN final_grade ELSE 0 END AS grade,
            {split} AS split, CASE WHEN {positive} THEN certainty ELSE 1 - certainty END AS weight,
            impressions, clicks, relevance, lower_bound
        FROM judged JOIN assigned USING (query_no, period) JOIN queries USING (query_no)
            JOIN documents USING (document_no)
        WHERE {positive} OR {non_match}
    """)
    _copy(connection, "SELECT * FROM qrels ORDER BY query_id, grade DESC, document_id", out / QRELS_NAME)
    _write_weak_negatives(connection, config, out)


def _write_weak_negatives(connection: duckdb.DuckDBPyConnection, config: LogsConfig, out: Path) -> None:
    """Write what searchers passed over above a click, often enough, and never clicked for that query in the log."""
    wanted = "true" if config.skip_above else "false"
    connection.execute(f"""
        CREATE OR REPLACE TABLE weak_negatives AS
        WITH clicked AS (SELECT DISTINCT query_no, document_no FROM cells WHERE clicks > 0 OR rejected > 0)
        SELECT {_QUERY_ID} AS query_id, document_id,
            {config.skip_above_weight} * (1 - certainty) AS weight, passed AS count
        FROM judged JOIN assigned USING (query_no, period) JOIN queries USING (query_no)
            JOIN documents USING (document_no) ANTI JOIN clicked USING (query_no, document_no)
        WHERE {wanted} AND period = 0 AND judged.known AND passed >= {LEAST_PASSED}
            AND certainty <= {MOST_DOUBT}
    """)
    _copy(connection, "SELECT * FROM weak_negatives ORDER BY query_id, document_id", out / WEAK_NEGATIVES_NAME)


_QUERY_ID = "'log-' || substr(md5(normalised), 1, 16)"


def _cases(column: str) -> str:
    whens = " ".join(f"WHEN {int(period)} THEN '{name}'" for period, name in SPLITS.items())
    return f"CASE {column} {whens} END"


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    target = str(path).replace("'", "''")
    connection.execute(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
