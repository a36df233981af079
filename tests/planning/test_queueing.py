"""Machines for a rate of queries."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from dialekt.planning.queueing import copies_for, serving, wait_seconds, widest
from dialekt.planning.records import Serving


def test_the_wait_is_what_a_simulated_queue_shows() -> None:
    """Of 400,000 customers of a simulated M/M/1 queue at load .8, 95 in 100 wait no longer than the formula says."""
    draw = np.random.default_rng(7)
    service, gap = draw.exponential(1.0, 400_000), draw.exponential(1.25, 400_000)
    waits, wait = np.empty(len(service)), 0.0
    for place in range(len(service)):
        waits[place] = wait
        wait = max(0.0, wait + service[place] - gap[place])
    assert wait_seconds(1.0, 0.8) == pytest.approx(np.quantile(waits, 0.95), rel=0.05)


def test_an_idle_machine_makes_nobody_wait() -> None:
    """Below a load of one in twenty, fewer than five in a hundred wait at all; above one all wait for ever."""
    assert wait_seconds(1.0, 0.04) == 0
    assert wait_seconds(1.0, 1.0) == math.inf


def test_machines_by_hand() -> None:
    """100 queries of 20 ms are two machines' work; three make 95 in 100 wait 0.155 s, which a limit decides on."""
    assert wait_seconds(0.02, 2 / 3) == pytest.approx(0.06 * math.log(2 / 3 / 0.05))
    assert copies_for(100, service=0.02, alone=0.03, target=0.2) == 3
    assert copies_for(100, service=0.02, alone=0.03, target=0.18) == 4
    assert copies_for(100, service=0.02, alone=0.03, target=0.0299) is None


def test_fewer_machines_would_be_late() -> None:
    """The answer is the least: one machine less misses the limit."""
    found = copies_for(5_000, service=0.013, alone=0.05, target=0.1)
    assert found is not None
    assert 0.05 + wait_seconds(0.013, 5_000 * 0.013 / found) <= 0.1
    assert 0.05 + wait_seconds(0.013, 5_000 * 0.013 / (found - 1)) > 0.1


def search_of(rows: float) -> Callable[[int], tuple[float, float]]:
    """Return a search of an index in parts that takes 1 ms and 10 ns a row."""
    return lambda parts: (0.001 + rows / parts * 1e-8, 0.001 + rows / parts * 1e-8)


def test_an_index_that_is_too_slow_in_one_piece_is_divided() -> None:
    """A billion rows take ten seconds in one piece; in a hundred parts a tenth of one."""
    found = serving(10, encode=(0.01, 0.002), search=search_of(1e9), least_parts=1, target=0.2)
    assert found is not None
    assert found.parts >= 10 / 0.189
    assert found.machines == found.parts * found.copies


def test_one_piece_is_kept_where_it_answers() -> None:
    """What a single machine answers is not divided, and parts that memory asks for are kept."""
    whole = serving(10, encode=(0.01, 0.002), search=search_of(1e6), least_parts=1, target=0.2)
    assert whole == Serving(1, 1)
    parts = serving(10, encode=(0.01, 0.002), search=search_of(1e6), least_parts=3, target=0.2)
    assert parts is not None
    assert parts.parts >= 3


def test_no_number_of_machines_helps_where_encoding_takes_too_long() -> None:
    """Dividing the index does not make a query's own embedding faster."""
    assert serving(10, encode=(0.3, 0.1), search=search_of(1e6), least_parts=1, target=0.2) is None


def test_the_range_is_open_where_one_end_is_none() -> None:
    """Where the slow end of what was measured cannot answer, nobody knows how many would."""
    span = widest(Serving(1, 4), Serving(1, 3), None)
    assert (span.value, span.low, span.high) == (4, 3, math.inf)
