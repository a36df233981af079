"""How much of the new model's quality an index has that is not wholly embedded by it yet."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.index.intervals import Interval, share_intervals

CUTOFF = 10


def estimate_share(served: Sequence[Sequence[str]], ideal: Sequence[Sequence[str]], *, seed: int) -> Interval:
    """Return the expected share of NDCG@10 that served rankings have of those by new vectors, over queries.

    `served` and `ideal` are unit ids, best first. Nothing is known of relevance, so the one answer of a query is taken
    to be at rank r of the new vectors' ranking with a probability in proportion to 1 / r, r ≤ 10. On the safe side:
    an answer that new vectors rank below 10 and a served ranking above it counts for nothing.
    """
    pairs = [_expected(one, best[:CUTOFF]) for one, best in zip(served, ideal, strict=True)]
    scores = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if not len(scores):
        return Interval(0.0, 0.0, 0.0)
    return share_intervals(scores[:, :1], scores[:, 1], seed=seed)[0]


def _expected(served: Sequence[str], ideal: Sequence[str]) -> tuple[float, float]:
    """Return the expected NDCG@10 of both rankings."""
    ranks = np.arange(1, len(ideal) + 1)
    chance = 1 / ranks
    places = {unit: rank for rank, unit in enumerate(served[:CUTOFF], start=1)}
    return _discounted(np.array([places.get(unit, 0) for unit in ideal]), chance), _discounted(ranks, chance)


def _discounted(ranks: NDArray[np.int64], chance: NDArray[np.float64]) -> float:
    """Return Σ chance / log2(1 + rank), where rank 0 is not found."""
    return float(np.where(ranks > 0, chance / np.log2(1 + np.maximum(ranks, 1)), 0.0).sum())
