"""Intervals of many subsets hold together, and their tests share one error."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dialekt.measures.simultaneous import adjusted_p_values, simultaneous_intervals

SIZES = (0.6, 0.25, 0.15)
CHANGES = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.63, -0.37, -0.13, 0.13, 0.37, 0.63, 1.0])


def subsets(generator: np.random.Generator, queries: int, dimensions: int = 3) -> NDArray[np.bool_]:
    """Divide the queries by several dimensions into three uneven parts each; parts under ten are left out."""
    parts = [generator.choice(3, queries, p=SIZES) == part for part in range(3) for _ in range(dimensions)]
    return np.array([part for part in parts if part.sum() >= 10]).T


def intervals(differences: NDArray[np.float64], members: NDArray[np.bool_], *, seed: int = 1) -> NDArray[np.float64]:
    """Return 95% intervals of one difference per query over many subsets."""
    values = np.tile(differences[:, None], (1, members.shape[1]))
    return simultaneous_intervals(values, members, confidence=0.95, resamples=600, seed=seed)


@pytest.mark.parametrize("queries", [60, 300])
def test_all_intervals_hold_at_once_as_often_as_they_say(queries: int) -> None:
    """Over 300 test sets full of ties all slices' intervals hold the true mean about 95 times in 100."""
    generator = np.random.default_rng(4)
    covered = 0
    for trial in range(300):
        members = subsets(generator, queries)
        found = intervals(generator.choice(CHANGES, queries), members, seed=trial)
        covered += bool(((found[:, 0] <= CHANGES.mean()) & (found[:, 1] >= CHANGES.mean())).all())
    assert 0.91 <= covered / 300 <= 0.99


def test_single_intervals_would_not_hold_at_once() -> None:
    """Student's intervals of each slice alone hold together far less often."""
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        members, differences = subsets(generator, 300), generator.choice(CHANGES, 300)
        means = [differences[part] for part in members.T]
        ends = [stats.t.interval(0.95, len(part) - 1, part.mean(), stats.sem(part)) for part in means]
        covered += all(low <= CHANGES.mean() <= high for low, high in ends)
    assert covered / 300 < 0.85


def test_one_subset_of_many_queries_has_students_interval() -> None:
    """Without company nothing is corrected."""
    values = np.random.default_rng(2).normal(0.1, 0.4, size=500)
    found = simultaneous_intervals(
        values[:, None], np.ones((500, 1), dtype=bool), confidence=0.95, resamples=8000, seed=1
    )
    expected = stats.t.interval(0.95, 499, values.mean(), stats.sem(values))
    assert found[0] == pytest.approx(expected, abs=0.002)


def test_subsets_that_are_the_same_cost_nothing() -> None:
    """Twenty copies of one subset have its interval: the correction knows what overlaps."""
    values = np.random.default_rng(3).normal(size=200)
    one, many = (intervals(values, np.ones((200, count), dtype=bool)) for count in (1, 20))
    assert many[7] == pytest.approx(one[0])


def test_a_subset_of_ties_is_not_certain() -> None:
    """Twelve queries that did not change leave room for a change."""
    values = np.concatenate([np.zeros(12), np.random.default_rng(5).normal(size=100)])
    members = np.zeros((112, 2), dtype=bool)
    members[:12, 0], members[12:, 1] = True, True
    low, high = intervals(values, members)[0]
    assert low < -0.05
    assert high > 0.05


def test_equal_systems_are_seldom_called_different_in_any_slice() -> None:
    """Of 300 test sets without any difference about 5 in 100 have a slice with an adjusted p-value below 0.05."""
    generator = np.random.default_rng(6)
    rejected = 0
    for trial in range(300):
        members = subsets(generator, 100)
        signs = generator.choice([-1.0, 1.0], 100)
        values = np.tile((signs * np.abs(generator.choice(CHANGES, 100)))[:, None], (1, members.shape[1]))
        rejected += bool((adjusted_p_values(values, members, resamples=400, seed=trial) < 0.05).any())
    assert 0.015 <= rejected / 300 <= 0.085


def test_one_subset_has_the_p_value_of_scipy() -> None:
    """Alone, the test is the sign-flip test."""
    values = np.random.default_rng(7).normal(0.3, 1.0, size=40)
    found = adjusted_p_values(values[:, None], np.ones((40, 1), dtype=bool), resamples=20_000, seed=1)[0]
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=2)
    assert found == pytest.approx(expected.pvalue, abs=0.01)


def test_ties_have_a_p_value_of_one() -> None:
    """Where nothing changed, nothing is proven, and other subsets are not disturbed."""
    values = np.column_stack([np.zeros(20), np.full(20, 0.5)])
    found = adjusted_p_values(values, np.ones((20, 2), dtype=bool), resamples=2000, seed=1)
    assert found[0] == 1.0
    assert found[1] < 0.01
