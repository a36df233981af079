"""The click models recover what they assume, and know what they do not know."""

import numpy as np
import pytest

from dialekt.logs.click_models import LEVELS, Cells, Fit, fit, posterior, relevance_threshold

GENERATOR = np.random.default_rng(5)


def cells_of(attractiveness: np.ndarray, examination: np.ndarray, *, shown: int) -> Cells:
    """Return clicks of a position-based searcher where every pair is shown at every rank `shown` times."""
    pairs, ranks = len(attractiveness), len(examination)
    pair, state = np.repeat(np.arange(pairs), ranks), np.tile(np.arange(ranks), pairs)
    clicks = GENERATOR.binomial(shown, attractiveness[pair] * examination[state]).astype(float)
    counts = np.full(len(pair), float(shown))
    return Cells(pair, state, counts, clicks, np.zeros(len(pair)), np.zeros(pairs, dtype=np.int64))


def single(*, shown: float, clicks: float, rejected: float = 0.0) -> Cells:
    """Return one pair in one state."""
    one = np.zeros(1, dtype=np.int64)
    return Cells(one, one, np.array([shown]), np.array([clicks]), np.array([rejected]), one)


def test_examination_and_attractiveness_are_recovered() -> None:
    """Where documents move between ranks, the true curve and the true attractiveness come back."""
    examination = 1 / np.arange(1, 7)
    attractiveness = GENERATOR.choice([0.1, 0.7], 400, p=[0.8, 0.2])
    cells = cells_of(attractiveness, examination, shown=40)
    model = fit(cells, start=np.array([1.0, 0.8, 0.7, 0.6, 0.5, 0.5]), bands=1)
    assert model.examination == pytest.approx(examination, abs=0.03)
    assert posterior(cells, model).mean == pytest.approx(attractiveness, abs=0.2)


def test_bound_rises_with_support() -> None:
    """The same click rate from more impressions has a higher lower bound and more certainty."""
    model = Fit(np.ones(1), np.full((1, len(LEVELS)), 1 / len(LEVELS)))
    few, many = (posterior(single(shown=n, clicks=0.6 * n), model) for n in (5, 200))
    assert few.quantile(0.1)[0] < many.quantile(0.1)[0] < 0.6
    assert few.certainty(0.4)[0] < many.certainty(0.4)[0]


def test_click_that_came_back_counts_against() -> None:
    """A click that came straight back says more against a document than one that never happened far down the page."""
    model = Fit(np.array([0.2]), np.full((1, len(LEVELS)), 1 / len(LEVELS)))
    ignored, rejected = (
        posterior(single(shown=4, clicks=0), model),
        posterior(single(shown=4, clicks=0, rejected=4), model),
    )
    assert rejected.mean[0] < ignored.mean[0]
    assert rejected.examined[0] == pytest.approx(4)
    assert ignored.examined[0] < 1


def test_click_far_down_says_more_than_one_at_the_top() -> None:
    """Two clicks in ten at a rank that is rarely looked at make a better document than two in ten at the top."""
    prior = np.full((1, len(LEVELS)), 1 / len(LEVELS))
    top = posterior(single(shown=10, clicks=2), Fit(np.array([1.0]), prior))
    deep = posterior(single(shown=10, clicks=2), Fit(np.array([0.2]), prior))
    assert deep.mean[0] > 2 * top.mean[0]


def test_threshold_lies_between_background_and_attractive() -> None:
    """Whatever the noise, the threshold parts the two heaps of a prior."""
    for noise, answer in ((0.05, 0.5), (0.3, 0.8)):
        prior = np.zeros(len(LEVELS))
        prior[np.searchsorted(LEVELS, noise)], prior[np.searchsorted(LEVELS, answer)] = 0.9, 0.1
        assert LEVELS[np.searchsorted(LEVELS, noise)] < relevance_threshold(prior) < answer


def test_threshold_leaves_weak_answers_above_it() -> None:
    """Where answers are of several grades, the weak ones are not taken for background."""
    prior = np.zeros(len(LEVELS))
    for level, share in ((0.1, 0.8), (0.3, 0.1), (0.9, 0.1)):
        prior[np.searchsorted(LEVELS, level)] = share
    assert 0.1 < relevance_threshold(prior) < 0.3


def test_first_state_fixes_the_scale() -> None:
    """A state that starts at 1 stays there, so that two fits of one log can be compared."""
    cells = cells_of(np.full(50, 0.3), np.array([1.0, 0.5]), shown=20)
    assert fit(cells, start=np.array([1.0, 0.9]), bands=1).examination[0] == pytest.approx(1.0, abs=1e-9)
