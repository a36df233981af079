"""Whether a map may be used, and how its scores compare with those of new vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.index.update.mapping import FittedMap
from dialekt.measures.shares import mean_interval
from dialekt.models.topk import top_k
from dialekt.types import Interval

DEPTH = 10
LEAST_FOUND = 0.5  # a map that loses more is no way to serve, even where the old vectors are worse
_LEAST_SCORES = 50


@dataclass(frozen=True, slots=True)
class MapGate:
    """Of the documents that new vectors rank first, the share that the map and the old vectors rank first too.

    All under new queries, among the sampled documents, each mapped without having been learnt from. `gain` is mapped
    minus old, paired by query; the map passes when its lower end is above 0 and `mapped`
    at least one half.
    """

    passed: bool
    mapped: float
    old: float
    gain: Interval
    queries: int
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cosine that a new vector has, given that of the mapped one: offset + slope · cosine."""

    offset: float = 0.0
    slope: float = 1.0

    def apply(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the expected new cosines."""
        return np.asarray(self.offset + self.slope * scores, dtype=np.float32)


def judge_map(fitted: FittedMap, queries: NDArray[np.float32], *, seed: int) -> MapGate:
    """Hold the map against the old vectors under queries of the new model (queries, dimension), none learnt from."""
    documents = fitted.documents
    depth = max(1, min(DEPTH, len(documents) // 5))
    truth = top_k(queries, documents.new, depth).indices
    mapped = _overlap(truth, top_k(queries, fitted.held_out, depth).indices)
    old = _overlap(truth, top_k(queries, documents.old, depth).indices)
    gain = mean_interval(mapped - old, seed=seed) if len(queries) else Interval(0.0, 0.0, 0.0)
    passed = gain.low > 0 and bool(mapped.mean() >= LEAST_FOUND)
    said = (
        f"of the {depth} best of {len(documents):,} sampled documents the map finds {mapped.mean():.1%}, "
        f"old vectors {old.mean():.1%} ({len(queries):,} queries)"
        if len(queries)
        else "no query to judge the map by"
    )
    verdict = (
        "the map is used"
        if passed
        else f"the map is not used: it must beat the old vectors for certain and find {LEAST_FOUND:.0%}"
    )
    means = (float(mapped.mean()), float(old.mean())) if len(queries) else (0.0, 0.0)
    return MapGate(passed, *means, gain, len(queries), f"{said}; {verdict}")


def calibrate(fitted: FittedMap, queries: NDArray[np.float32]) -> Calibration:
    """Fit new cosines to mapped ones, on the pairs of query and sampled document that a search would return.

    With fewer than 50 of them the scores are taken as they are.
    """
    depth = max(1, min(DEPTH, len(fitted.documents) // 5))
    best = top_k(queries, fitted.held_out, depth)
    places, mapped = best.indices.ravel(), best.scores.ravel().astype(np.float64)
    if len(places) < _LEAST_SCORES or mapped.std() < 1e-3:  # there is nothing to fit a slope to
        return Calibration()
    new = np.einsum("qnd,qd->qn", fitted.documents.new[best.indices], queries).ravel()
    slope = float(np.clip(np.cov(mapped, new)[0, 1] / mapped.var(ddof=1), 0.5, 2.0))
    return Calibration(offset=float(new.mean() - slope * mapped.mean()), slope=slope)


def _overlap(truth: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of each row of `truth` that is in the same row of `found`, both (queries, depth)."""
    return np.asarray((truth[:, :, None] == found[:, None, :]).any(axis=2).mean(axis=1), dtype=np.float64)
