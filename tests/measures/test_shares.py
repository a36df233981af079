"""Bootstrap intervals of means and of shares."""

import numpy as np
import pytest
from scipy import stats

from dialekt.measures.shares import CONFIDENCE, mean_interval, share_intervals
from dialekt.types import Interval


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    """Two bootstraps with other draws agree to a hundredth of the values' spread."""
    values = np.random.default_rng(1).beta(5, 2, 400)
    found = mean_interval(values, seed=1)
    other = stats.bootstrap((values,), np.mean, method="percentile", confidence_level=CONFIDENCE, rng=2)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(other.confidence_interval.low, abs=0.002)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=0.002)


def test_a_share_is_paired_by_query() -> None:
    """A score that is nine tenths of the reference on every query is so in every resample, however they spread."""
    reference = np.random.default_rng(1).random(50)
    halved, equal = share_intervals(np.stack([0.9 * reference, reference], axis=1), reference, seed=1)
    assert halved == Interval(0.9, 0.9, 0.9)
    assert equal == Interval(1.0, 1.0, 1.0)


def test_a_share_of_nothing_is_whole() -> None:
    """Where the reference has no score at all, nothing is lost."""
    assert share_intervals(np.zeros((5, 1)), np.zeros(5), seed=1) == (Interval(1.0, 1.0, 1.0),)
