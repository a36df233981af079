"""How sure a mean over queries is: bootstrap intervals of means, and of a mean's share of another."""

import numpy as np
from numpy.typing import NDArray

from dialekt.types import Interval

CONFIDENCE = 0.95
RESAMPLES = 2_000
_DECIMALS = 12  # so that sums in another order do not make 0.9999999999999998 of 1


def mean_interval(values: NDArray[np.float64], *, seed: int) -> Interval:
    """Return the mean of `values` (queries,) with its percentile interval (Efron & Tibshirani 1993)."""
    return share_intervals(values[:, None], np.ones(len(values)), seed=seed)[0]


def share_intervals(scores: NDArray[np.float64], reference: NDArray[np.float64], *, seed: int) -> tuple[Interval, ...]:
    """Return mean(column) / mean(reference) of every column of `scores` (queries, columns), paired by query.

    Every resample draws the same queries for all columns and the reference (queries,), so that what is hard about a
    query cancels out. Where the reference is 0, the share of 0 is 1.
    """
    queries = len(scores)
    draws = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, queries)), draws])  # (1 + resamples, queries): the first is all queries
    sums, whole = weights @ scores, (weights @ reference)[:, None]
    shares = np.where(whole > 0, sums / np.where(whole > 0, whole, 1.0), 1.0).round(
        _DECIMALS
    )  # (1 + resamples, columns)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(shares[1:], [tail, 1 - tail], axis=0)
    return tuple(map(Interval, shares[0].tolist(), low.tolist(), high.tolist()))
