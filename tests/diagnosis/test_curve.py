"""The predicted gain: a line over log2(queries), honest about what it does not know."""

import numpy as np
import pytest

from dialekt.diagnosis.curve import ADAPTER, TUNED, Sampling, expect_gain
from dialekt.diagnosis.records import CurvePoint, ExpectedGain

SAMPLING = Sampling(test_queries=400, deviation=0.25)


def point(queries: int, gain: float, *, error: float = 0.01, seed: int = 1, recipe: str = TUNED) -> CurvePoint:
    """Return a probe."""
    return CurvePoint(recipe, queries, seed, gain, error, 10.0)


def expect(points: list[CurvePoint], queries: int) -> ExpectedGain:
    """Predict with usual settings."""
    return expect_gain(points, queries, sampling=SAMPLING, least_gain=0.01, confidence=0.9)


def test_a_rising_curve_goes_on_rising() -> None:
    """What grew from a quarter to all of the probes' queries is expected to grow further, at about that pace."""
    found = expect([point(256, 0.06), point(1024, 0.08)], 16_384)
    assert 0.09 < found.gain.value < 0.14
    assert found.gain.low < found.gain.value < found.gain.high


def test_the_further_the_less_certain() -> None:
    """The interval widens with every doubling between the largest probe and all train queries."""
    points = [point(256, 0.06), point(1024, 0.08)]
    widths = [(found := expect(points, queries).gain).high - found.low for queries in (1_024, 8_192, 65_536)]
    assert widths == sorted(widths)


def test_no_gain_in_the_probes_promises_none() -> None:
    """Probes that stayed at the base model do not predict a gain, and the chance of one is small."""
    found = expect([point(256, 0.0), point(1024, 0.0, seed=2)], 5_000)
    assert abs(found.gain.value) < 0.005
    assert found.gain.low < 0
    assert found.chance < 0.5


def test_the_cheap_recipe_does_not_move_the_prediction() -> None:
    """Linear maps are shown, but only what was trained as the journey trains is extrapolated."""
    points = [point(256, 0.06), point(1024, 0.08)]
    assert expect([*points, point(1024, 0.3, recipe=ADAPTER)], 5_000) == expect(points, 5_000)


def test_a_large_certain_gain_is_certain() -> None:
    """Where every probe gained far more than the least that counts, the chance is near one."""
    assert expect([point(256, 0.15), point(1024, 0.2)], 4_096).chance > 0.99


@pytest.mark.parametrize("level", [0.0, 0.03, 0.15])
def test_intervals_hold_the_truth_about_as_often_as_they_say(level: float) -> None:
    """Over simulated domains with curves of the assumed kind at least 85% of the 90% intervals hold the truth."""
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        slope = generator.normal(0.12, 0.08) * level
        shared = generator.normal(0, 0.25 / np.sqrt(400))
        points = [
            point(size, level + slope * np.log2(size / 1024) + shared + generator.normal(0, 0.008), error=0.25 / 20)
            for size in (256, 1024)
        ]
        truth = level + slope * 3 + generator.normal(0, 0.25 / np.sqrt(400)) + generator.normal(0, 0.006)
        found = expect(points, 8_192).gain
        held += found.low <= truth <= found.high
    assert 340 <= held <= 400
