"""Clean searches → judgments: the click model takes the rank out of the clicks, and a lower bound decides."""

from pathlib import Path

import duckdb

from dialekt.config import LogsConfig
from dialekt.logs.collapse import collapse, credit_reformulations, find_cuts
from dialekt.logs.curves import examination_curve, frequency_curve, query_shares, write_report
from dialekt.logs.database import count_of
from dialekt.logs.estimation import Estimate, estimate, judge_pairs
from dialekt.logs.judging import decide, hold_out, write_judgments
from dialekt.logs.records import EvidenceFacts, EvidencePlan
from dialekt.types import Progress, ReportProgress, no_progress

FEW_POSITIVES = 100


def extract(
    connection: duckdb.DuckDBPyConnection,
    config: LogsConfig,
    plan: EvidencePlan,
    out: Path,
    *,
    progress: ReportProgress = no_progress,
) -> EvidenceFacts:
    """Draw judgments from the tables `queries`, `documents` and `impressions` of the connection.

    Writes `queries.parquet`, `qrels.parquet`, `weak_negatives.parquet` and `report.json` into `out`. Raises
    `ConfigError` when the settings ask for propensities that the log does not have.
    """
    progress(Progress("counting clicks", 0))
    cuts = find_cuts(connection, plan)
    collapse(connection, config, plan=plan, cuts=cuts)
    chains, credited = (0, 0)
    if config.reformulations and plan.shape.times_known and plan.shape.sessions_known:
        chains, credited = credit_reformulations(connection, config, cuts=cuts)
    progress(Progress("fitting the click model", 0))
    found = estimate(connection, config, plan)
    judge_pairs(connection, config, found, progress=progress)
    decide(connection, config, found)
    hold_out(connection, plan, cuts=cuts)
    write_judgments(connection, config, out, timed=cuts is not None)
    write_report(connection, config, found, out)
    return _facts(connection, plan, found, chains=chains, credited=credited)


def _facts(
    connection: duckdb.DuckDBPyConnection, plan: EvidencePlan, found: Estimate, *, chains: int, credited: int
) -> EvidenceFacts:
    positives = _counts(connection, "SELECT split, count(*) FROM qrels WHERE grade > 0 GROUP BY 1")
    return EvidenceFacts(
        click_model=found.click_model.value,
        fitted_pairs=found.pairs,
        threshold=found.threshold,
        base_relevance=found.base_relevance,
        examination=examination_curve(connection, found),
        frequency=frequency_curve(connection),
        query_shares=query_shares(connection),
        perplexity={name: round(value, 5) for name, value in found.perplexity.items()},
        queries=_counts(connection, "SELECT split, count(DISTINCT query_id) FROM qrels WHERE grade > 0 GROUP BY 1"),
        positives=positives,
        judged_non_matches=count_of(connection, "SELECT count(*) FROM qrels WHERE grade = 0"),
        weak_negatives=count_of(connection, "SELECT count(*) FROM weak_negatives"),
        grades=_counts(connection, "SELECT grade::INTEGER::VARCHAR, count(*) FROM qrels GROUP BY 1"),
        chains=chains,
        credited=credited,
        dropped=_dropped(connection),
        warnings=_warnings(plan, found, sum(positives.values())),
    )


def _dropped(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count clicked pairs that became no judgment, by the first rule that barred them."""
    barred = _counts(
        connection,
        "SELECT barred, count(*) FROM judged WHERE barred IS NOT NULL AND clicks + credits > 0 GROUP BY 1",
    )
    other = """SELECT count(*) FROM judged JOIN assigned USING (query_no)
        WHERE barred IS NULL AND judged.period {} assigned.period"""
    unassigned = "SELECT count(*) FROM judged ANTI JOIN assigned USING (query_no) WHERE barred IS NULL"
    return barred | {
        "past_of_held_out_queries": count_of(connection, other.format("<")),
        "future_of_other_queries": count_of(connection, other.format(">")) + count_of(connection, unassigned),
    }


def _warnings(plan: EvidencePlan, found: Estimate, positives: int) -> tuple[str, ...]:
    warnings = []
    if not plan.shape.impressions_known:
        warnings.append("the log has clicks only: relevance is each document's share of its query's searches")
    if not plan.shape.ranks_known:
        warnings.append("the log has no ranks: the bias of the rank stays in the clicks")
    if not plan.shape.times_known:
        warnings.append("the log has no times: judgments name no split, and reformulations are not credited")
    if positives < FEW_POSITIVES:
        warnings.append(f"only {positives} positives: a longer log, or lower minimum_clicks, would give more")
    model, popularity = found.perplexity.get(found.click_model.value), found.perplexity.get("popularity")
    if model is not None and popularity is not None and model > popularity:
        warnings.append("plain click rates foretell held-out clicks better than the click model does")
    return tuple(warnings)


def _counts(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, int]:
    return {str(name): int(count) for name, count in sorted(connection.execute(query).fetchall())}
