"""The line through what was measured."""

import pytest

from dialekt.planning.growth import Observation, fit
from dialekt.types import Interval


def observed(rows: int, dimensions: int, seconds: float, *, off: float = 0.0) -> Observation:
    """Return an observation with a range of so many shares."""
    return Observation(rows, dimensions, Interval(seconds, seconds / (1 + off), seconds * (1 + off)))


def true_seconds(rows: int, dimensions: int) -> float:
    """Return 2 ms, 10 ns a row, and 1 ns a row and dimension."""
    return 0.002 + rows * (1e-8 + 1e-9 * dimensions)


GRID = [(rows, size) for rows in (5_000, 20_000, 60_000) for size in (64, 384)]


def test_a_line_is_found_again() -> None:
    """Times that follow the line give its three parts, and the time of any other size."""
    line = fit([observed(rows, size, true_seconds(rows, size)) for rows, size in GRID])
    assert (line.fixed, line.per_row, line.per_number) == pytest.approx((0.002, 1e-8, 1e-9), rel=1e-6)
    assert line.seconds(1_000_000, 128).value == pytest.approx(true_seconds(1_000_000, 128))
    assert line.spread == pytest.approx(0, abs=1e-9)
    assert line.largest == 60_000


def test_one_disturbed_measurement_does_not_bend_it() -> None:
    """A single time that is four times too long leaves the line and shows in the spread."""
    times = [true_seconds(rows, size) * (4 if (rows, size) == (60_000, 64) else 1) for rows, size in GRID]
    line = fit([observed(rows, size, seconds) for (rows, size), seconds in zip(GRID, times, strict=True)])
    assert line.seconds(1_000_000, 384).value == pytest.approx(true_seconds(1_000_000, 384), rel=1e-6)
    assert line.spread == pytest.approx(0.75)


def test_no_part_is_negative() -> None:
    """Times that fall with the rows, which only noise can do, make a line that does not fall."""
    line = fit([observed(1_000, 64, 0.004), observed(9_000, 64, 0.003)])
    assert min(line.fixed, line.per_row, line.per_number) >= 0
    assert line.seconds(10**9, 64).value >= line.seconds(1, 64).value > 0


def test_the_range_of_rounds_widens_the_answer() -> None:
    """Rounds that differ by a tenth make an interval of a tenth, both ways."""
    line = fit([observed(rows, size, true_seconds(rows, size), off=0.1) for rows, size in GRID])
    found = line.seconds(100_000, 64)
    assert found.high / found.value == pytest.approx(1.1, rel=1e-6)
    assert found.value / found.low == pytest.approx(1.1, rel=1e-6)


def test_one_size_of_codes_is_enough() -> None:
    """A model of one dimension has a line in rows alone."""
    line = fit([observed(rows, 32, 0.001 + rows * 1e-7) for rows in (1_000, 5_000)])
    assert (line.fixed, line.per_row, line.per_number) == pytest.approx((0.001, 1e-7, 0.0))
    assert line.spread == pytest.approx(0, abs=1e-9)
