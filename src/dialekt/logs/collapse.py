"""Clean impressions → counts: what was shown, clicked and passed over, by pair, period and state of examination.

Everything after this works on counts, so that the size of a log does not matter. A *state* is the rank's bucket and how
far above it the last click of that search lies; state 0 stands for "looked at for certain", and for unknown ranks.
"""

from dataclasses import dataclass
from enum import IntEnum

import duckdb
import numpy as np
from numpy.typing import NDArray

from dialekt.config import ClickModel, LogsConfig
from dialekt.logs.database import count_of
from dialekt.logs.records import EvidencePlan

BUCKETS = (*range(1, 21), 25, 35, 50, 100)
"""The highest rank of each bucket; one more holds what lies deeper."""
LAST_BUCKET = len(BUCKETS) + 1
DISTANCES = 7  # none above, 1, 2, 3, 4-5, 6-9, 10 or more
STATES = (LAST_BUCKET + 1) * DISTANCES
PROPENSITY_STEPS = 20  # states of known propensities: buckets of 5%
SAMPLE_ROWS = 2_000_000
HELD_OUT = 10  # every tenth search is kept from the fit, to see how well it foretells clicks
REFORMULATION_SECONDS = 300  # a next search after a longer pause is no second try


class Period(IntEnum):
    """When a search took place: training comes before the cuts."""

    TRAIN = 0
    DEV = 1
    TEST = 2


@dataclass(frozen=True, slots=True)
class Cuts:
    """The times at which dev and test begin; None without times."""

    dev: float
    test: float


def find_cuts(connection: duckdb.DuckDBPyConnection, plan: EvidencePlan) -> Cuts | None:
    """Return the times that leave the wanted shares of the impressions in the future; None when none is wanted."""
    if not plan.shape.times_known or plan.dev_share + plan.test_share <= 0:
        return None
    rows = count_of(connection, "SELECT count(*) FROM impressions")
    step = max(int(rows) // SAMPLE_ROWS, 1)
    shares = [1 - plan.dev_share - plan.test_share, 1 - plan.test_share]
    found = connection.execute(
        "SELECT quantile_disc(time, ?::DOUBLE[]) FROM impressions WHERE time IS NOT NULL AND search_no % ? = 0",
        [shares, step],
    ).fetchone()
    return Cuts(*found[0]) if found and found[0] else None


def collapse(
    connection: duckdb.DuckDBPyConnection, config: LogsConfig, *, plan: EvidencePlan, cuts: Cuts | None
) -> None:
    """Make the table `cells` from `impressions`."""
    connection.execute(f"""
        CREATE OR REPLACE TABLE cells AS
        WITH pages AS (
            SELECT search_no, list(rank) AS acted, max(rank) AS lowest
            FROM impressions WHERE grade > 0 AND rank IS NOT NULL GROUP BY search_no
        ), placed AS (
            SELECT *, CASE WHEN acted IS NOT NULL
                THEN rank - list_max(list_filter(acted, lambda above: above < rank)) END AS distance
            FROM impressions LEFT JOIN pages USING (search_no)
        ), seen AS (
            SELECT query_no, document_no, grade, rank, dwell_seconds, last_click,
                {_period(cuts)} AS period,
                {_state(config) if plan.shape.impressions_known else "0"} AS state,
                hash(search_no, {plan.seed}) % {HELD_OUT} = 0 AS held,
                {evidence_condition(config)} AS evidence,
                grade > 0 AND NOT {evidence_condition(config)} AS rejected,
                grade = 0 AND coalesce(rank < lowest, false) AS passed
            FROM placed
        )
        SELECT query_no, document_no, period, state,
            count(*)::DOUBLE AS shown,
            count(*) FILTER (evidence)::DOUBLE AS clicks,
            count(*) FILTER (rejected)::DOUBLE AS rejected,
            count(*) FILTER (held)::DOUBLE AS held_shown,
            count(*) FILTER (held AND evidence)::DOUBLE AS held_clicks,
            count(*) FILTER (held AND rejected)::DOUBLE AS held_rejected,
            sum(rank)::DOUBLE AS rank_sum,
            count(*) FILTER (passed) AS passed,
            coalesce(max(grade) FILTER (evidence), 0) AS top_grade,
            count(*) FILTER (evidence AND (coalesce(dwell_seconds >= {config.long_dwell_seconds}, last_click)))
                AS satisfied,
            0 AS credits
        FROM seen GROUP BY ALL
    """)
    if not plan.shape.impressions_known:
        _count_searches_as_trials(connection, cuts)


def evidence_condition(config: LogsConfig) -> str:
    """Return the SQL that says whether an action speaks for its document: not one that came straight back."""
    short = f"coalesce(dwell_seconds < {config.short_dwell_seconds}, false)"
    return f"(grade > 1 OR (grade > 0 AND NOT {short}))"


def credit_reformulations(
    connection: duckdb.DuckDBPyConnection, config: LogsConfig, *, cuts: Cuts | None
) -> tuple[int, int]:
    """Add to `cells` what the first query of a chain owes the document that ended it; return chains and credits.

    A chain is a run of searches of one session, at most five minutes apart, of which all but the last went without a
    satisfied click. Its first query has seen one trial for each such chain; the document at the end is its success.
    """
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE chains AS
        WITH searches AS (
            SELECT session_no, search_no, any_value(query_no) AS query_no, min(time) AS time,
                {_period(cuts, "min(time)")} AS period,
                arg_max(document_no, (grade, coalesce(dwell_seconds, 0), -coalesce(rank, 0)))
                    FILTER ({evidence_condition(config)}) AS document_no
            FROM impressions WHERE session_no IS NOT NULL AND time IS NOT NULL GROUP BY session_no, search_no
        ), marked AS (
            SELECT *, coalesce(lag(document_no) OVER steps IS NOT NULL
                OR time - lag(time) OVER steps > {REFORMULATION_SECONDS}, true) AS begins
            FROM searches WINDOW steps AS (PARTITION BY session_no ORDER BY time, search_no)
        ), numbered AS (
            SELECT *, sum(begins::INTEGER) OVER (PARTITION BY session_no ORDER BY time, search_no) AS chain FROM marked
        )
        SELECT arg_min(query_no, (time, search_no)) AS query_no, arg_max(query_no, (time, search_no)) AS last_query_no,
            max(period) AS period, max(document_no) AS document_no
        FROM numbered GROUP BY session_no, chain
        HAVING count(*) > 1 AND query_no <> last_query_no
    """)
    connection.execute(f"""
        INSERT INTO cells
        WITH trials AS (SELECT query_no, period, count(*) AS trials FROM chains GROUP BY ALL),
        ends AS (
            SELECT query_no, document_no, period, count(*) AS credits
            FROM chains WHERE document_no IS NOT NULL GROUP BY ALL
        )
        SELECT query_no, document_no, period, 0, trials * {config.reformulation_weight},
            credits * {config.reformulation_weight}, 0, 0, 0, 0, NULL, 0, 0, 0, credits
        FROM ends JOIN trials USING (query_no, period)
    """)
    return (
        count_of(connection, "SELECT count(*) FROM chains"),
        count_of(connection, "SELECT count(document_no) FROM chains"),
    )


def starting_examination(config: LogsConfig, click_rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the examination that the fit starts from, or that holds where it is not fitted.

    `click_rates` are by bucket. The first rank, with no click above, is looked at always: that fixes the scale.
    """
    if config.click_model is ClickModel.INVERSE_PROPENSITY:
        return np.exp(-np.clip(np.arange(STATES) - 1, 0, None) / PROPENSITY_STEPS)
    bucket = np.arange(STATES) // DISTANCES
    if config.click_model is ClickModel.COEC:
        rates = click_rates / max(float(click_rates[1:].max(initial=0.0)), 1e-9)
        rates[0] = 1.0
        return np.clip(rates, 1e-3, 1.0)[bucket]
    ranks = np.array([1, *BUCKETS, 2 * BUCKETS[-1]], dtype=np.float64)
    after_click = np.where(np.arange(STATES) % DISTANCES > 0, 0.7, 1.0)
    start: NDArray[np.float64] = ranks[bucket] ** -0.5 * after_click
    start[0] = 1.0
    return start


def _period(cuts: Cuts | None, time: str = "time") -> str:
    if cuts is None:
        return str(int(Period.TRAIN))
    return f"CASE WHEN {time} >= {cuts.test!r} THEN 2 WHEN {time} >= {cuts.dev!r} THEN 1 ELSE 0 END"


def _state(config: LogsConfig) -> str:
    if config.click_model is ClickModel.INVERSE_PROPENSITY:
        steps = f"round(-{PROPENSITY_STEPS} * ln(greatest(propensity, 1e-6)))"
        return f"CASE WHEN propensity IS NULL THEN 0 ELSE 1 + least({steps}, {STATES - 2}) END::INTEGER"
    bounds = "".join(f" WHEN rank <= {bound} THEN {place}" for place, bound in enumerate(BUCKETS, start=1))
    bucket = f"CASE WHEN rank IS NULL THEN 0{bounds} ELSE {LAST_BUCKET} END"
    steps = (
        "CASE WHEN distance IS NULL THEN 0 WHEN distance <= 3 THEN distance "
        "WHEN distance <= 5 THEN 4 WHEN distance <= 9 THEN 5 ELSE 6 END"
    )
    return f"({bucket} * {DISTANCES} + {steps})::INTEGER"


def _count_searches_as_trials(connection: duckdb.DuckDBPyConnection, cuts: Cuts | None) -> None:
    """Where only clicks are known, every search of the query with a click is a trial of each of its documents."""
    connection.execute(f"""
        UPDATE cells SET shown = trials.searches FROM (
            SELECT query_no, {_period(cuts)} AS period, count(DISTINCT search_no)::DOUBLE AS searches
            FROM impressions WHERE grade > 0 GROUP BY ALL
        ) AS trials
        WHERE cells.query_no = trials.query_no AND cells.period = trials.period
    """)
