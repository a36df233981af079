"""Which recipe is kept: a gain on dev must be more than the luck of the best of several."""

import numpy as np
import pytest
from tests.flow.recipes.sample import QUERIES, probe, study, trial, with_scores

from dialekt.flow.recipes.decision import Decision, decide
from dialekt.flow.recipes.records import Study, Trial


def _decide(found: Study) -> Decision:
    return decide(found, confidence=0.95, resamples=2_000, seed=3)


def _noisy(number: int, gain: float, *, seed: int, spread: float = 0.1) -> Trial:
    """A trial whose scores differ from 0.5 by a gain and by noise."""
    noise = np.random.default_rng(seed).normal(0, spread, QUERIES)
    return with_scores(trial(number, 0.5), list(0.5 + gain + noise - noise.mean()))


def test_a_clear_gain_is_kept() -> None:
    """The winner is named with its interval, which lies above zero."""
    found = _decide(study(_noisy(0, 0.0, seed=1), _noisy(1, 0.1, seed=2), _noisy(2, 0.02, seed=3)))
    assert (found.winner, found.best, found.candidates, found.queries) == (1, 1, 2, QUERIES)
    assert 0 < found.low < found.gain < found.high
    assert found.gain == pytest.approx(0.1)


def test_a_gain_within_noise_keeps_the_default() -> None:
    """The best trial is named, the default is kept, and the reason says why."""
    found = _decide(study(_noisy(0, 0.0, seed=1), _noisy(1, 0.01, seed=2)))
    assert (found.winner, found.best) == (0, 1)
    assert found.low < 0 < found.high
    assert "can be chance" in found.reason


def test_the_best_of_many_must_be_better_than_the_best_of_one() -> None:
    """The same gain is kept as the only candidate, and not as the best of thirty."""
    default, good = _noisy(0, 0.0, seed=1), _noisy(1, 0.05, seed=2)
    others = [_noisy(number, 0.0, seed=number) for number in range(3, 40)]
    alone, among = _decide(study(default, good)), _decide(study(default, good, *others))
    assert alone.winner == among.best == 1
    assert among.winner == 0
    assert among.low < alone.low


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ((trial(0, 0.5),), "no time to try another"),
        ((trial(0, 0.5), probe(1, 0.4)), "no other recipe came so far"),
        ((trial(0, 0.5), trial(1, 0.4)), "no other recipe did better"),
        ((trial(0, 0.5), trial(1, 0.5)), "no other recipe did better"),
    ],
)
def test_the_default_stays_and_the_reason_is_said(trials: tuple[Trial, ...], reason: str) -> None:
    """Nothing tried, nothing finished, nothing better: each has its words."""
    found = _decide(study(*trials))
    assert not found.changed
    assert reason in found.reason


def test_very_few_dev_queries_prove_nothing() -> None:
    """Five queries that all win could do so by chance."""
    few = [with_scores(trial(number, 0.5), [0.3 + number / 2] * 5) for number in (0, 1)]
    found = _decide(study(*few))
    assert (found.winner, found.low, found.high) == (0, -1.0, 1.0)
