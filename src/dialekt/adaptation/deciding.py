"""Is a method kept? The paired gain on dev decides, and its interval must lie above what is asked."""

import numpy as np
from numpy.typing import NDArray

from dialekt.adaptation.records import Verdict
from dialekt.config import AdaptationConfig, JudgedBy, KeepRule
from dialekt.measures.statistics import bootstrap_intervals

RESAMPLES = 10_000
_GAINS = (-1.0, 1.0)

NO_DEV = "there are no dev queries to say whether it helps: adaptation.keep = 'always' keeps it unasked"
NOTHING_TO_LEARN = Verdict(kept=False, why="the documents have nothing that could be learned this way")


def decide(
    config: AdaptationConfig,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    judged_by: JudgedBy,
    seed: int,
) -> Verdict:
    """Compare NDCG@10 of the same dev queries (queries,) without a method and with it.

    The queries are resampled in pairs (`bootstrap_intervals`); with too few of them nothing can be proven. What the
    seed of a single training does is not in the interval.
    """
    gains = after - before
    interval = bootstrap_intervals(
        gains[:, None], confidence=config.confidence, resamples=RESAMPLES, seed=seed, bounds=_GAINS
    )
    low, high = (float(end) for end in interval[0])
    gain = float(gains.mean())
    said = (
        f"{gain:+.3f} NDCG@10 on {len(gains):,} dev queries {_how(judged_by)}, {config.confidence:.0%} interval "
        f"{low:+.3f} to {high:+.3f}"
    )
    proven = low > config.minimum_gain
    wanted = "zero" if config.minimum_gain == 0 else f"{config.minimum_gain:g}"
    why = f"it helps: {said}" if proven else f"it is not proven to help by more than {wanted}: {said}"
    kept = proven
    if not proven and config.keep is KeepRule.ALWAYS:
        kept, why = True, f"adaptation.keep = 'always', although {why}"
    return Verdict(kept, why, float(before.mean()), float(after.mean()), gain, low, high)


def unasked(config: AdaptationConfig) -> Verdict:
    """Return the verdict where there are no dev queries."""
    if config.keep is KeepRule.ALWAYS:
        return Verdict(kept=True, why="adaptation.keep = 'always', and there are no dev queries to ask")
    return Verdict(kept=False, why=NO_DEV)


def _how(judged_by: JudgedBy) -> str:
    match judged_by:
        case JudgedBy.TRAINING:
            return "after the same short training"
        case JudgedBy.ZERO_SHOT:
            return "without any training"
