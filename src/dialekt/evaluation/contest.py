"""Any number of systems on the same test queries, each compared with the first."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings, compare, mean_intervals
from dialekt.evaluation.records import Comparison, JudgedShare
from dialekt.measures.metrics import NDCG, Judgments, score_run
from dialekt.measures.runs import Run
from dialekt.measures.simultaneous import adjusted_p_values, simultaneous_intervals
from dialekt.measures.statistics import bootstrap_intervals, smallest_sample
from dialekt.measures.unjudged import condense, condensed_is_meaningful, judged_share
from dialekt.types import Interval


@dataclass(frozen=True, slots=True)
class Standing:
    """One system: its metrics, its first ten's judged share, and how it stands beside the first system.

    `comparison` is NDCG@10 of this system minus the first, None for the first. Intervals and p-values of all
    comparisons hold together: one of them excludes zero by chance in as few tables as one alone would.
    """

    name: str
    metrics: dict[str, Interval]
    judged: JudgedShare
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Contest:
    """All systems in the order given. `condensed_meaningful` is False where too few non-answers were judged."""

    queries: int
    confidence: float
    standings: tuple[Standing, ...]
    condensed_meaningful: bool


def hold_contest(runs: Mapping[str, Run], judgments: Judgments, settings: Settings) -> Contest:
    """Score runs of the same queries and compare each with the first on NDCG@10."""
    scores = {name: score_run(run, judgments) for name, run in runs.items()}
    metrics = mean_intervals(scores, settings)
    judged = _judged_shares(runs, judgments, settings)
    first, *others = runs
    compared = compare(scores, [(name, first, NDCG) for name in others], settings)
    differences = [scores[name][NDCG] - scores[first][NDCG] for name in others]
    comparisons = dict(zip(others, _held_together(compared, differences, settings), strict=True))
    run = next(iter(runs.values()))
    return Contest(
        queries=len(run.query_ids),
        confidence=settings.confidence,
        standings=tuple(Standing(name, metrics[name], judged[name], comparisons.get(name)) for name in runs),
        condensed_meaningful=condensed_is_meaningful(run, judgments),
    )


def _held_together(
    compared: tuple[Comparison, ...], differences: list[NDArray[np.float64]], settings: Settings
) -> tuple[Comparison, ...]:
    """Widen intervals and p-values of several comparisons so that they hold at once; one alone stays as it is.

    As in `compare`, an interval leaves out zero only where the test rejects too.
    """
    if len(compared) < 2 or len(differences[0]) < smallest_sample(settings.confidence):
        return compared
    values = np.column_stack(differences)  # (queries, comparisons)
    everyone = np.ones(values.shape, dtype=bool)
    intervals = simultaneous_intervals(
        values, everyone, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed
    ).clip(-1.0, 1.0)
    p_values = adjusted_p_values(values, everyone, resamples=settings.resamples, seed=settings.seed)
    accepted = p_values >= 1 - settings.confidence
    intervals[accepted, 0] = np.minimum(intervals[accepted, 0], 0.0)
    intervals[accepted, 1] = np.maximum(intervals[accepted, 1], 0.0)
    return tuple(
        replace(one, low=float(low), high=float(high), p_value=float(p_value))
        for one, (low, high), p_value in zip(compared, intervals, p_values, strict=True)
    )


def _judged_shares(runs: Mapping[str, Run], judgments: Judgments, settings: Settings) -> dict[str, JudgedShare]:
    """Return judged@10 and condensed NDCG@10 of every run with their intervals."""
    columns = []
    for run in runs.values():
        columns += [judged_share(run, judgments), score_run(condense(run, judgments), judgments)[NDCG]]
    values = np.column_stack(columns)  # (queries, 2 x systems)
    bounds = bootstrap_intervals(
        values, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed, bounds=(0.0, 1.0)
    )
    cells = [
        Interval(float(mean), float(low), float(high))
        for mean, (low, high) in zip(values.mean(axis=0), bounds, strict=True)
    ]
    return {name: JudgedShare(name, *cells[2 * place : 2 * place + 2]) for place, name in enumerate(runs)}
