"""Several trainings say how much of a gain is luck."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.seeds import SeedFacts, compare_seeds, two_level_interval

SETTINGS = Settings(confidence=0.95, resamples=400, seed=1)


def gains(generator: np.random.Generator, *, seeds: int, queries: int, luck: float) -> NDArray[np.float64]:
    """Return differences (seeds, queries) of mean 0.03: queries differ, seeds differ by luck, and both together."""
    of_queries = generator.normal(0.03, 0.2, queries)
    return of_queries + generator.normal(0, luck, (seeds, 1)) + generator.normal(0, 0.1, (seeds, queries))


@pytest.mark.parametrize(("seeds", "luck"), [(2, 0.005), (3, 0.01), (5, 0.01)])
def test_the_interval_holds_the_true_gain_as_often_as_it_says(seeds: int, luck: float) -> None:
    """Over 300 experiments the 95% interval holds the true mean about 95 times in 100, often a little more."""
    generator = np.random.default_rng(seeds)
    found = [two_level_interval(gains(generator, seeds=seeds, queries=150, luck=luck), SETTINGS) for _ in range(300)]
    assert 0.91 <= np.mean([one.low <= 0.03 <= one.high for one in found]) <= 0.995


def compared(*shifts: float) -> SeedFacts:
    """Compare trainings that are better than the base by some shifts, give or take."""
    generator = np.random.default_rng(1)
    base = generator.uniform(0.2, 0.6, 100)
    tuned = np.array([base + shift + generator.normal(0, 0.1, 100) for shift in shifts])
    return compare_seeds(range(13, 13 + len(shifts)), base, tuned, minimum_gain=0.0, settings=SETTINGS)


def test_seeds_that_agree() -> None:
    """Three like gains: each is proven, and so is their mean."""
    found = compared(0.1, 0.11, 0.09)
    assert found.unanimous
    assert [run.seed for run in found.runs] == [13, 14, 15]
    assert all(run.proven for run in found.runs)
    assert found.gain.low > 0
    assert found.gain.value == pytest.approx(np.mean([run.gain for run in found.runs]))
    assert found.deviation == pytest.approx(np.std([run.gain for run in found.runs], ddof=1))


def test_one_lucky_seed_is_found_out() -> None:
    """One seed with a gain among others without: the seeds disagree, and the interval over both includes zero."""
    found = compared(0.1, 0.0, 0.0)
    assert not found.unanimous
    assert found.runs[0].proven
    assert found.gain.low <= 0
