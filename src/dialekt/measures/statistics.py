"""How sure a difference is: paired bootstrap intervals, sign-flip test, minimum detectable effect."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_CELLS_PER_BLOCK = 2_000_000


def smallest_sample(confidence: float) -> int:
    """Return the fewest queries with which unanimous wins are significant: 2 / 2ⁿ <= 1 - confidence."""
    return math.ceil(1 - math.log2(1 - confidence))


def bootstrap_intervals(
    values: NDArray[np.float64], *, confidence: float, resamples: int, seed: int, bounds: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the interval of each column's mean as (columns, 2), from `values` (queries, columns).

    Queries are resampled with replacement, the same ones for all columns, so that differences stay paired
    (Efron & Tibshirani 1993). Expanded percentile interval (Hesterberg 2015, "What teachers should know about
    the bootstrap"): the plain percentile interval is too narrow by √((n-1)/n) and takes normal for t
    quantiles, which costs most where it matters, on small test sets. BCa was not taken: it mends skew, not
    that narrowness, and differences averaged over queries are hardly skewed. With fewer queries than
    `smallest_sample` the interval is `bounds`, all that the metric can be.
    """
    queries, columns = values.shape
    if queries < smallest_sample(confidence):
        return np.tile(np.array(bounds, dtype=np.float64), (columns, 1))
    means = resampled_means(values, resamples=resamples, seed=seed)
    tail = _expanded_tail(queries, confidence)
    return np.quantile(means, [tail, 1 - tail], axis=0).T  # (columns, 2)


def _expanded_tail(queries: int, confidence: float) -> float:
    t = stats.t.ppf((1 - confidence) / 2, df=queries - 1)
    return float(stats.norm.cdf(math.sqrt(queries / (queries - 1)) * t))


def resampled_means(values: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return (resamples, columns): the mean of each column of `values` over queries drawn with replacement."""
    generator = np.random.default_rng(seed)
    queries, columns = values.shape
    means = np.empty((resamples, columns))
    block = max(1, _CELLS_PER_BLOCK // queries)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = generator.integers(0, queries, size=(rows, queries)) + np.arange(rows)[:, None] * queries
        counts = np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries)
        means[start : start + rows] = counts.astype(np.float64) @ values / queries
    return means


def sign_flip_p_values(differences: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the two-sided p-value of each column of paired differences (queries, columns).

    If two systems are equally good, every difference could as well have had the other sign (Fisher's
    randomization test; Smucker, Allan & Carterette 2007). Exact when there are at most `resamples` sign
    patterns, else random ones with p = (count + 1) / (resamples + 1) (Phipson & Smyth 2010). All 0: 1.
    """
    generator = np.random.default_rng(seed)
    columns = (column[column != 0] for column in differences.T)
    return np.array([_p_value(column, resamples, generator) for column in columns])


def _p_value(differences: NDArray[np.float64], resamples: int, generator: np.random.Generator) -> float:
    count = len(differences)
    if not count:
        return 1.0
    observed = abs(differences.sum()) * (1 - 1e-12)  # sums in another order differ in the last bits
    if count < 63 and 2**count <= resamples:
        patterns = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differences) >= observed))
    extreme = 0
    block = max(1, _CELLS_PER_BLOCK // count)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        flips = generator.integers(0, 2, size=(rows, count), dtype=np.int8)
        sums = differences.sum() - 2 * (flips.astype(np.float64) @ differences)
        extreme += int(np.count_nonzero(np.abs(sums) >= observed))
    return (extreme + 1) / (resamples + 1)


def minimum_detectable_effect(
    standard_deviation: float, queries: int, *, power: float = 0.8, significance: float = 0.05
) -> float:
    """Return the smallest true mean difference that a paired test of this size finds, at most 1.

    (z(1 - significance/2) + z(power)) · SD / √n, the normal approximation (Cohen 1988).
    """
    if queries < 2:
        return 1.0
    quantiles = stats.norm.ppf(1 - significance / 2) + stats.norm.ppf(power)
    return min(1.0, float(quantiles * standard_deviation / math.sqrt(queries)))
