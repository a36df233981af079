"""Compare systems on the same queries, and say which one to deploy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.records import MAIN_SYSTEMS, Comparison, QueryChange
from dialekt.measures.metrics import METRICS, NDCG
from dialekt.measures.statistics import bootstrap_intervals, minimum_detectable_effect, sign_flip_p_values
from dialekt.types import Interval

Scores = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Per-query values (queries,) by system, then metric; all in the same order of queries."""

_DIFFERENCE_SEED = 1
_SIGN_SEED = 2
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Settings:
    """How intervals and tests are made."""

    confidence: float
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The system to deploy, and why in plain words."""

    system: str
    reason: str


def mean_intervals(scores: Scores, settings: Settings) -> dict[str, dict[str, Interval]]:
    """Return the mean of every metric of every system with its bootstrap interval."""
    keys = [(system, metric) for system in scores for metric in METRICS]
    values = np.column_stack([scores[system][metric] for system, metric in keys])  # (queries, systems x metrics)
    bounds = bootstrap_intervals(
        values, confidence=settings.confidence, resamples=settings.resamples, seed=settings.seed, bounds=(0.0, 1.0)
    )
    results: dict[str, dict[str, Interval]] = {system: {} for system in scores}
    for (system, metric), value, (low, high) in zip(keys, values.mean(axis=0), bounds, strict=True):
        results[system][metric] = Interval(float(value), float(low), float(high))
    return results


def compare_all(scores: Scores, *, strongest_baseline: str, settings: Settings) -> tuple[Comparison, ...]:
    """Compare the pairs that decide, on every metric, then all other pairs of main systems on NDCG@10."""
    present = [system for system in MAIN_SYSTEMS if system in scores]
    decisive = [pair for pair in _decisive_pairs(strongest_baseline) if set(pair) <= set(present)]
    others = [(later, earlier) for earlier, later in combinations(present, 2)]
    keys = [(*pair, metric) for pair in dict.fromkeys(decisive) for metric in METRICS]
    keys += [(*pair, NDCG) for pair in others if pair not in decisive and pair[::-1] not in decisive]
    return compare(scores, keys, settings)


def _decisive_pairs(strongest_baseline: str) -> list[tuple[str, str]]:
    return [
        ("tuned", "base"),
        ("hybrid_tuned", "base"),
        ("hybrid_tuned", strongest_baseline),
        ("tuned", "bm25"),
        ("hybrid_tuned", "tuned"),
        ("hybrid_base", "base"),
        ("hybrid_base", "bm25"),
        ("base", "bm25"),
    ]


def compare(scores: Scores, keys: Sequence[tuple[str, str, str]], settings: Settings) -> tuple[Comparison, ...]:
    """Compare (system, against, metric) triples by paired bootstrap and sign-flip test.

    Where the test does not reject, the interval is widened to include zero: with few non-zero differences a
    bootstrap interval can exclude zero although half a dozen wins are as likely by chance.
    """
    if not keys:
        return ()
    columns = [scores[system][metric] - scores[against][metric] for system, against, metric in keys]
    differences = np.column_stack(columns)  # (queries, comparisons)
    intervals = bootstrap_intervals(
        differences,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed + _DIFFERENCE_SEED,
        bounds=(-1.0, 1.0),
    )
    p_values = sign_flip_p_values(differences, resamples=settings.resamples, seed=settings.seed + _SIGN_SEED)
    accepted = p_values >= 1 - settings.confidence
    intervals[accepted, 0] = np.minimum(intervals[accepted, 0], 0.0)
    intervals[accepted, 1] = np.maximum(intervals[accepted, 1], 0.0)
    return tuple(
        _comparison(key, differences[:, column], intervals[column], float(p_values[column]))
        for column, key in enumerate(keys)
    )


def _comparison(
    key: tuple[str, str, str],
    differences: NDArray[np.float64],
    interval: NDArray[np.float64],
    p_value: float,
) -> Comparison:
    system, against, metric = key
    wins = int(np.count_nonzero(differences > _TINY))
    losses = int(np.count_nonzero(differences < -_TINY))
    return Comparison(
        system=system,
        against=against,
        metric=metric,
        difference=float(differences.mean()),
        low=float(interval[0]),
        high=float(interval[1]),
        p_value=p_value,
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
    )


def recommend(
    comparisons: Iterable[Comparison], results: Mapping[str, Mapping[str, Interval]], *, effect: float
) -> Recommendation:
    """Recommend the simplest system that no other one beats significantly on NDCG@10.

    Simple to operate first: BM25, the base model, the tuned model, the base hybrid, the tuned hybrid. `effect` is
    the minimum detectable effect, for the reason's last sentence.
    """
    beats = _beats(comparisons)
    present = [system for system in MAIN_SYSTEMS if system in results]
    unbeaten = [system for system in present if not any((other, system) in beats for other in present)]
    chosen = unbeaten[0]
    beaten = [beats[chosen, other] for other in present if (chosen, other) in beats]
    value = results[chosen][NDCG].value
    sentences = [f"{chosen} has an NDCG@10 of {value:.3f}", *(_gain(comparison) for comparison in beaten)]
    return Recommendation(chosen, "; ".join(sentences) + ". " + _why_not_others(unbeaten, effect))


def _beats(comparisons: Iterable[Comparison]) -> dict[tuple[str, str], Comparison]:
    """Return the significant differences on NDCG@10 by (better, worse), each as better minus worse."""
    found: dict[tuple[str, str], Comparison] = {}
    for comparison in comparisons:
        if comparison.metric == NDCG and comparison.low > 0:
            found[comparison.system, comparison.against] = comparison
        elif comparison.metric == NDCG and comparison.high < 0:
            found[comparison.against, comparison.system] = _reverse(comparison)
    return found


def _reverse(comparison: Comparison) -> Comparison:
    return Comparison(
        system=comparison.against,
        against=comparison.system,
        metric=comparison.metric,
        difference=-comparison.difference,
        low=-comparison.high,
        high=-comparison.low,
        p_value=comparison.p_value,
        wins=comparison.losses,
        losses=comparison.wins,
        ties=comparison.ties,
    )


def _gain(comparison: Comparison) -> str:
    return f"{comparison.difference:+.3f} over {comparison.against} ({comparison.low:+.3f} to {comparison.high:+.3f})"


def _why_not_others(unbeaten: Sequence[str], effect: float) -> str:
    if len(unbeaten) == 1:
        return "Every other system is significantly worse than one of the others."
    names = ", ".join(unbeaten[:-1]) + f" and {unbeaten[-1]}"
    return (
        f"No other system is significantly better, and it is the simplest to operate of {names}. "
        f"Differences below {effect:.3f} are not found reliably with this many test queries."
    )


def measured_deviation(scores: Scores) -> float:
    """Return the standard deviation of the per-query NDCG@10 differences that matter, 0 for fewer than 2 queries.

    Tuned minus base; without a tuned model, base hybrid minus base.
    """
    after = "tuned" if "tuned" in scores else "hybrid_base"
    differences = scores[after][NDCG] - scores["base"][NDCG]
    return float(differences.std(ddof=1)) if len(differences) > 1 else 0.0


def measured_effect(scores: Scores, settings: Settings) -> float:
    """Return the minimum detectable effect (80% power) at the measured deviation."""
    queries = len(scores["base"][NDCG])
    return minimum_detectable_effect(measured_deviation(scores), queries, significance=1 - settings.confidence)


def largest_changes(
    query_ids: Sequence[str], scores: Scores, *, most: int
) -> tuple[tuple[QueryChange, ...], tuple[QueryChange, ...]]:
    """Return the largest wins and the largest losses in NDCG@10 of tuned against base, at most `most` of each."""
    if "tuned" not in scores:
        return (), ()
    base, tuned = scores["base"][NDCG], scores["tuned"][NDCG]
    changes = [
        QueryChange(query_id, float(before), float(after), float(after - before))
        for query_id, before, after in zip(query_ids, base, tuned, strict=True)
    ]
    changes.sort(key=lambda change: (-abs(change.difference), change.query_id))
    wins = tuple(change for change in changes if change.difference > _TINY)
    losses = tuple(change for change in changes if change.difference < -_TINY)
    return wins[:most], losses[:most]
