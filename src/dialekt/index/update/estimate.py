"""How much of the new model's quality an index has that is not wholly embedded by it yet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.shares import share_intervals
from dialekt.types import Interval

CUTOFF = 10
TEMPERATURE = 0.05  # of cosines, as in the contrastive loss that such models are trained with


@dataclass(frozen=True, slots=True, eq=False)
class Ideal:
    """A query's candidates by new vectors, best first; `scores` are their cosines, (units,)."""

    ids: tuple[str, ...]
    scores: NDArray[np.float32]


def estimate_share(served: Sequence[Sequence[str]], ideal: Sequence[Ideal], *, seed: int) -> Interval:
    """Return the expected share of NDCG@10 that served rankings have of those by new vectors, over queries.

    `served` are unit ids, best first. Nothing is known of relevance, so the one answer of a query is taken to be a
    candidate with the probability that the new model itself gives it: softmax(cosine / 0.05), as InfoNCE trains it
    (van den Oord et al. 2018). To swap two candidates that are nearly as good costs little then.
    """
    pairs = [_expected(one, best) for one, best in zip(served, ideal, strict=True)]
    scores = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if not len(scores):
        return Interval(0.0, 0.0, 0.0)
    return share_intervals(scores[:, :1], scores[:, 1], seed=seed)[0]


def _expected(served: Sequence[str], ideal: Ideal) -> tuple[float, float]:
    """Return the expected NDCG@10 of both rankings."""
    if not ideal.ids:
        return 0.0, 0.0
    chance = np.exp((ideal.scores - ideal.scores[0]).astype(np.float64) / TEMPERATURE)
    chance /= chance.sum()
    places = {unit: rank for rank, unit in enumerate(served[:CUTOFF], start=1)}
    ranks = np.arange(1, len(ideal.ids) + 1)
    found = np.array([places.get(unit, 0) for unit in ideal.ids])
    return _discounted(found, chance), _discounted(np.where(ranks > CUTOFF, 0, ranks), chance)


def _discounted(ranks: NDArray[np.int64], chance: NDArray[np.float64]) -> float:
    """Return Σ chance / log2(1 + rank), where rank 0 is not found."""
    return float(np.where(ranks > 0, chance / np.log2(1 + np.maximum(ranks, 1)), 0.0).sum())
