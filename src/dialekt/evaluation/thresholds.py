"""From which cosine on a result is an answer: chosen on the dev queries, tried on the test queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.records import Threshold
from dialekt.measures.metrics import CUTOFF, Judgments
from dialekt.measures.runs import Run
from dialekt.measures.statistics import resampled_means, smallest_sample
from dialekt.types import Interval

LEAST_RESULTS = 20
_SEED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The first ten results of every query: cosines, -inf where there is none, and which are answers (queries, 10)."""

    cosines: NDArray[np.float64]
    answers: NDArray[np.bool_]


def shown(run: Run, judgments: Judgments) -> Shown:
    """Return the first ten results of a dense run; what nobody judged is no answer."""
    indices = run.indices[:, :CUTOFF]
    answers = np.zeros(indices.shape, dtype=bool)
    for row, query_id in enumerate(run.query_ids):
        positives = set(judgments.positives(query_id))
        answers[row] = [index >= 0 and run.document_ids[index] in positives for index in indices[row].tolist()]
    return Shown(run.scores[:, :CUTOFF].astype(np.float64), answers)


def choose_threshold(results: Shown, *, target: float) -> float | None:
    """Return the smallest cosine above which the share of answers among the results reaches `target` on dev.

    The point estimate decides, and at least `LEAST_RESULTS` results must lie above: a lower bound would be safer on few
    dev queries, and would hide more answers on all. What it really reaches is said of the test queries. None when no
    cosine reaches the target. The threshold lies in the middle between two results, so that rounding decides nothing;
    where all results together reach the target, it is the lowest cosine that was seen.
    """
    known = np.isfinite(results.cosines)
    cosines, answers = results.cosines[known], results.answers[known]
    order = np.argsort(-cosines, kind="stable")
    cosines, answers = cosines[order], answers[order]
    precision = np.cumsum(answers) / np.arange(1, len(answers) + 1)
    below = np.append(cosines[1:], cosines[-1:])
    parted = np.diff(cosines, append=-np.inf) < 0
    reached = (precision >= target) & parted & (np.arange(1, len(answers) + 1) >= LEAST_RESULTS)
    if not reached.any():
        return None
    last = int(np.flatnonzero(reached)[-1])
    return float((cosines[last] + below[last]) / 2)


def calibrate(
    system: str, dev: Run, test: Run, judgments: Judgments, *, target: float, settings: Settings
) -> Threshold:
    """Choose a threshold on the dev run of a dense system and try it on its test run.

    Precision is the share of answers among all results above it, recall the share of the answers among the first ten
    that it leaves; both with bootstrap intervals over queries.
    """
    cosine = choose_threshold(shown(dev, judgments), target=target)
    queries = len(test.query_ids)
    if cosine is None:
        return Threshold(system, target, None, None, None, None, queries)
    results = shown(test, judgments)
    above = results.cosines >= cosine
    kept = (results.answers & above).sum(axis=1)
    return Threshold(
        system=system,
        target=target,
        cosine=cosine,
        precision=_ratio(kept, above.sum(axis=1), settings),
        recall=_ratio(kept, results.answers.sum(axis=1), settings),
        empty=float(np.mean(~above.any(axis=1))),
        queries=queries,
    )


def _ratio(parts: NDArray[np.int64], wholes: NDArray[np.int64], settings: Settings) -> Interval | None:
    """Return Σ parts / Σ wholes over queries (queries,) with its percentile interval, None where wholes are 0."""
    if not wholes.any():
        return None
    value = float(parts.sum() / wholes.sum())
    if len(parts) < smallest_sample(settings.confidence):
        return Interval(value, 0.0, 1.0)
    columns = np.column_stack([parts, wholes]).astype(np.float64)
    drawn = resampled_means(columns, resamples=settings.resamples, seed=settings.seed + _SEED)
    drawn = drawn[drawn[:, 1] > 0]
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [tail, 1 - tail])
    return Interval(value, float(low), float(high))
