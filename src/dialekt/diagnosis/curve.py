"""From probes on a little of the data to what all of it should bring, with an interval of prediction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dialekt.diagnosis.records import CurvePoint, ExpectedGain
from dialekt.types import Interval

TUNED = "tuned"
ADAPTER = "adapter"

GROWTH = 0.12
"""Expected growth of the gain per doubling of the train queries, as a part of the gain (docs/experiments.md)."""

GROWTH_DEVIATION = 0.10
LEAST_SLOPE_DEVIATION = 0.004
RUN_DEVIATION = 0.006
"""Deviation of one probe's gain from another's that was trained on other queries of the same number."""

RUN_SHARE = 0.08
MODEL_DEVIATION = 0.006
"""What the straight line over log2(queries), and a pool for the whole corpus, get wrong even with endless queries."""

MODEL_SHARE = 0.12
_DEGREES = 8  # of Student's t: the deviations above are themselves estimates from a dozen sets


@dataclass(frozen=True, slots=True)
class Sampling:
    """The test queries on which the gain will be seen.

    `deviation` is the standard deviation of one query's difference in NDCG@10 after tuning, tuned minus base.
    """

    test_queries: int
    deviation: float


def expect_gain(
    points: Sequence[CurvePoint], queries: int, *, sampling: Sampling, least_gain: float, confidence: float
) -> ExpectedGain:
    """Predict the gain of tuning with `queries` train queries from the probes that were really trained.

    The gain grows by a straight line over log2(queries), as learning curves of retrieval do between a hundred and
    some ten thousand queries. Its slope has a prior (`GROWTH` of the gain per doubling), so that two noisy probes do
    not promise the moon; level and slope are then estimated by generalised least squares. The interval covers the
    measured queries, chance in training, the extrapolation, and the test queries on which the truth will be seen.
    """
    trained = [point for point in points if point.recipe == TUNED]
    level, covariance, anchor = _line(trained)
    distance = math.log2(queries / anchor)
    reach = np.array([1.0, distance])
    gain = float(reach @ level)
    shared = max(point.error for point in trained) ** 2
    sampled = sampling.deviation**2 / max(1, sampling.test_queries)
    model = MODEL_DEVIATION**2 + (MODEL_SHARE * gain) ** 2
    deviation = math.sqrt(float(reach @ covariance @ reach) + shared + sampled + model)
    half = float(stats.t.ppf((1 + confidence) / 2, df=_DEGREES)) * deviation
    chance = float(stats.t.sf((least_gain - gain) / deviation, df=_DEGREES))
    return ExpectedGain(queries, Interval(gain, max(-1.0, gain - half), min(1.0, gain + half)), chance)


def _line(points: Sequence[CurvePoint]) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return (gain at the largest probe, slope per doubling), their covariance (2, 2), and that probe's queries.

    The error of the measured queries moves all probes alike: it is not in here, the caller adds it once.
    """
    anchor = max(point.queries for point in points)
    gains = np.array([point.gain for point in points])
    doublings = np.array([math.log2(point.queries / anchor) for point in points])
    noise = RUN_DEVIATION**2 + (RUN_SHARE * gains) ** 2
    largest = max(float(gains[doublings == 0].mean()), 0.0)
    prior_slope = GROWTH * largest
    prior_variance = (GROWTH_DEVIATION * largest) ** 2 + LEAST_SLOPE_DEVIATION**2
    design = np.stack([np.ones_like(doublings), doublings], axis=1)  # (probes, 2)
    precision = design.T @ (design / noise[:, None]) + np.diag([0.0, 1 / prior_variance])
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    known = design.T @ (gains / noise) + np.array([0.0, prior_slope / prior_variance])
    return np.asarray(covariance @ known, dtype=np.float64), covariance, anchor
