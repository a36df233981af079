"""How the time of a search grows: a + rows × (b + c × dimensions), fitted to what was measured here.

Exact search and LanceDB's partitions compare a query with every row that they read, so a straight line is what their
work is. That the line holds far beyond the largest size that was measured is a model, not a measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from dialekt.types import Interval

MODEL = "a straight line in rows and dimensions"


@dataclass(frozen=True, slots=True)
class Observation:
    """The seconds of one search when it compares a query with `rows` codes of so many dimensions."""

    rows: float
    dimensions: int
    seconds: Interval


@dataclass(frozen=True, slots=True)
class Growth:
    """The fitted line. `spread` is the largest share by which a measurement, or its own range, lies off the line.

    `largest` is the most rows that were measured.
    """

    fixed: float
    per_row: float
    per_number: float
    spread: float
    largest: float

    def seconds(self, rows: float, dimensions: int) -> Interval:
        """Return the time at so many rows, with the range that the measurements scattered over."""
        value = self.fixed + rows * (self.per_row + self.per_number * dimensions)
        return Interval(value, value / (1 + self.spread), value * (1 + self.spread))


def fit(observations: Sequence[Observation]) -> Growth:
    """Fit the line by least absolute relative errors, which one disturbed measurement does not bend.

    No part is negative: a search cannot take less for more rows. With one size of codes the share of the dimensions is
    nought.
    """
    values = np.array([one.seconds.value for one in observations])
    columns = np.array([[1.0, one.rows, one.rows * one.dimensions] for one in observations])
    if len({one.dimensions for one in observations}) == 1:
        columns[:, 2] = 0.0
    scales = np.maximum(columns.max(axis=0), 1e-12)
    found = _least_absolute(columns / scales / values[:, None])
    off = np.abs(columns @ (found / scales) / values - 1)
    ranges = [
        max(one.seconds.high / one.seconds.value, one.seconds.value / one.seconds.low) - 1 for one in observations
    ]
    fixed, per_row, per_number = (found / scales).tolist()
    largest = max(one.rows for one in observations)
    return Growth(fixed, per_row, per_number, float(max(off.max(), *ranges)), largest)


def _least_absolute(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights x >= 0 with the least sum of |shares @ x - 1|, as a linear programme."""
    count, width = shares.shape
    apart = np.eye(count)
    upper = np.block([[shares, -apart], [-shares, -apart]])
    limits = np.concatenate([np.ones(count), -np.ones(count)])
    costs = np.concatenate([np.zeros(width), np.ones(count)])
    solved = linprog(costs, A_ub=upper, b_ub=limits, bounds=(0, None), method="highs")
    assert solved.x is not None, solved.message
    return np.asarray(solved.x, dtype=np.float64)[:width]
