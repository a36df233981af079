"""Intervals cover what they should, tests reject as often as they may."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dialekt.measures.statistics import (
    bootstrap_intervals,
    minimum_detectable_effect,
    sign_flip_p_values,
    smallest_sample,
)


def intervals(values: NDArray[np.float64], *, resamples: int = 2000, seed: int = 1) -> NDArray[np.float64]:
    """Return 95% intervals of column means within [-1, 1]."""
    return bootstrap_intervals(values, confidence=0.95, resamples=resamples, seed=seed, bounds=(-1.0, 1.0))


@pytest.mark.parametrize("queries", [10, 40])
def test_intervals_cover_the_true_mean_as_often_as_they_say(queries: int) -> None:
    """Over 600 samples of skewed scores the 95% interval holds the true mean about 95 times in 100."""
    samples = np.random.default_rng(5).beta(2, 4, size=(queries, 600))
    found = intervals(samples)
    covered = np.mean((found[:, 0] <= 1 / 3) & (found[:, 1] >= 1 / 3))
    assert 0.92 <= covered <= 0.985


def test_equal_systems_are_seldom_called_different() -> None:
    """Of 600 comparisons of equally good systems the sign-flip test rejects about 5 in 100."""
    differences = np.random.default_rng(6).normal(size=(12, 600))
    rejected = np.mean(sign_flip_p_values(differences, resamples=5000, seed=1) < 0.05)
    assert 0.02 <= rejected <= 0.075


def test_intervals_agree_with_scipy_on_many_queries() -> None:
    """With 800 queries the expansion is negligible and the percentile interval is scipy's."""
    values = np.random.default_rng(7).normal(0.1, 1.0, size=(800, 1))
    expected = stats.bootstrap((values[:, 0],), np.mean, n_resamples=4000, method="percentile", rng=3)
    np.testing.assert_allclose(intervals(values, resamples=4000)[0], expected.confidence_interval, atol=0.01)


@pytest.mark.parametrize("queries", [8, 60])
def test_p_values_agree_with_scipy(queries: int) -> None:
    """Exact on few queries, within sampling error on many."""
    differences = np.random.default_rng(8).normal(0.25, 1.0, size=queries)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=8000, vectorized=True, rng=2
    )
    found = sign_flip_p_values(differences[:, None], resamples=8000, seed=1)[0]
    assert found == pytest.approx(expected.pvalue, abs=1e-12 if queries == 8 else 0.015)


def test_columns_are_resampled_together() -> None:
    """The interval of a column does not depend on the columns beside it."""
    values = np.random.default_rng(9).random((50, 3))
    np.testing.assert_allclose(intervals(values)[1], intervals(values[:, 1:2])[0], rtol=1e-12)


def test_the_same_seed_gives_the_same_numbers() -> None:
    """Nothing depends on chance but the seed."""
    values = np.random.default_rng(10).normal(size=(40, 2))
    np.testing.assert_array_equal(intervals(values), intervals(values))
    assert not np.array_equal(intervals(values), intervals(values, seed=2))
    first, second = (sign_flip_p_values(values, resamples=500, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("queries", [0, 1, 5])
def test_too_few_queries_to_say_anything_give_the_whole_range(queries: int) -> None:
    """Below six queries not even unanimous wins are significant at 95%: the interval is all that can be."""
    assert smallest_sample(0.95) == 6
    np.testing.assert_array_equal(intervals(np.ones((queries, 2))), [[-1.0, 1.0], [-1.0, 1.0]])


def test_no_difference_at_all() -> None:
    """All differences zero: the interval is zero, the p-value one."""
    zeros = np.zeros((20, 1))
    np.testing.assert_array_equal(intervals(zeros), [[0.0, 0.0]])
    assert sign_flip_p_values(zeros, resamples=100, seed=1).tolist() == [1.0]


def test_unanimous_wins_have_the_smallest_exact_p_value() -> None:
    """Six wins of the same size: two of the 64 sign patterns are as extreme."""
    assert sign_flip_p_values(np.full((6, 1), 0.1), resamples=100, seed=1)[0] == pytest.approx(2 / 64)


def test_minimum_detectable_effect_has_the_promised_power() -> None:
    """A paired t-test on a true difference of that size rejects about 80 times in 100."""
    effect = minimum_detectable_effect(0.3, 100)
    assert effect == pytest.approx(2.8016 * 0.3 / 10, abs=1e-4)
    samples = np.random.default_rng(11).normal(effect, 0.3, size=(100, 2000))
    assert np.mean(stats.ttest_1samp(samples, 0.0).pvalue < 0.05) == pytest.approx(0.8, abs=0.04)
    assert minimum_detectable_effect(0.3, 1) == 1.0
    assert minimum_detectable_effect(5.0, 4) == 1.0
