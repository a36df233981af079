"""Which recipe to keep: the best on dev, if its gain stands against having chosen the best of several."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.flow.recipes.records import Fidelity, Study, Trial


@dataclass(frozen=True, slots=True)
class Decision:
    """What a search found. `winner` is the number of the trial whose recipe is kept: 0, the default, if none is better.

    `best` is the best full trial on dev; `gain` is it minus the default over the dev queries, in [low, high] with
    `confidence` for all `candidates` at once.
    """

    winner: int
    best: int
    default_ndcg: float
    best_ndcg: float
    gain: float
    low: float
    high: float
    confidence: float
    queries: int
    candidates: int
    reason: str

    @property
    def changed(self) -> bool:
        """Whether another recipe than the default is kept."""
        return self.winner != 0


def decide(study: Study, *, confidence: float, resamples: int, seed: int) -> Decision:
    """Compare the full trials with the default, query by query on dev.

    The intervals of all candidates hold at once, since the best of them is chosen on the same queries.
    """
    from dialekt.measures.simultaneous import simultaneous_intervals
    from dialekt.measures.statistics import smallest_sample

    default, *others = study.done(Fidelity.FULL)
    best = max((default, *others), key=lambda trial: np.mean(trial.dev_scores or (0.0,)))
    differences = _differences(default, others)
    queries = len(default.dev_scores)
    if best is default:
        best_gain, low, high = 0.0, 0.0, 0.0
    elif queries < smallest_sample(confidence):
        best_gain, low, high = _mean(best) - _mean(default), -1.0, 1.0
    else:
        every = np.ones(differences.shape, dtype=np.bool_)
        bounds = simultaneous_intervals(differences, every, confidence=confidence, resamples=resamples, seed=seed)
        low, high = map(float, bounds[others.index(best)])
        best_gain = _mean(best) - _mean(default)
    kept = best.number if low > 0 else 0
    return Decision(
        winner=kept,
        best=best.number,
        default_ndcg=_mean(default),
        best_ndcg=_mean(best),
        gain=best_gain,
        low=low,
        high=high,
        confidence=confidence,
        queries=queries,
        candidates=len(others),
        reason=_reason(study, best, kept=kept, gain=best_gain, low=low),
    )


def _mean(trial: Trial) -> float:
    return float(np.mean(trial.dev_scores)) if trial.dev_scores else 0.0


def _differences(default: Trial, others: Sequence[Trial]) -> NDArray[np.float64]:
    """Return each candidate's gain per dev query; (queries, candidates)."""
    own = np.array(default.dev_scores, dtype=np.float64)
    return np.array([np.array(trial.dev_scores) - own for trial in others], dtype=np.float64).T


def _reason(study: Study, best: Trial, *, kept: int, gain: float, low: float) -> str:
    """Say in words why this recipe is kept."""
    if kept:
        return "it is better on dev by more than chance among these trials"
    if len(study.done(Fidelity.FULL)) == 1:
        if len(study.trials) == 1:
            return "the budget left no time to try another recipe"
        return "no other recipe came so far that it was trained at its full length"
    if best.number == 0:
        return "no other recipe did better on dev"
    return f"the best gain on dev, {gain:+.3f}, can be chance: its interval reaches down to {low:+.3f}"
