"""Rates count the measured time, latencies count from the intended moment, ratios come with intervals."""

import numpy as np
import pytest

from dialekt.load.records import BatchFill, Failure, Tally
from dialekt.load.statistics import batch_fill, combine, join_fills, latencies_ms, ratio, summarise
from dialekt.load.targets import BatchCounters


def make_tally(*rows: tuple[float, float, int, int], seconds: float = 10.0, unsent: int = 0) -> Tally:
    """Rows are (intended, finished, status, tokens)."""
    intended, finished, status, tokens = (np.array(column) for column in zip(*rows, strict=True))
    return Tally(
        seconds, intended.astype(np.float64), finished.astype(np.float64), status.astype(np.int16),
        tokens.astype(np.int64), unsent=unsent, busy_share=0.1,
    )  # fmt: skip


def test_rates_count_what_ended_in_the_measured_time() -> None:
    """An answer to a warm-up request counts for the rate, one after the end does not; latencies are the other way."""
    tally = make_tally((-1.0, 1.0, 200, 5), (1.0, 2.0, 200, 5), (9.0, 12.0, 200, 5))
    found = summarise(tally, texts_per_request=4)
    assert (found.answered, found.requests) == (2, 2)
    assert found.requests_per_second == pytest.approx(0.2)
    assert found.texts_per_second == pytest.approx(0.8)
    assert found.tokens_per_second == pytest.approx(1.0)
    assert latencies_ms(tally).tolist() == [1_000, 3_000]


def test_failures_are_counted_by_status_and_have_no_latency() -> None:
    """An overloaded server that refuses quickly does not look quick."""
    tally = make_tally((1, 2, 200, -1), (1, 1.001, 429, -1), (1, 1.001, 429, -1), (1, 9, Failure.TIMEOUT, -1))
    found = summarise(tally, texts_per_request=1)
    assert found.failures == {"429": 2, "timeout": 1}
    assert found.latency_ms is not None
    assert found.latency_ms.p50 == pytest.approx(1_000)
    assert found.tokens_per_second is None


def test_a_load_without_answers_has_no_latency() -> None:
    """Nothing is made up."""
    found = summarise(make_tally((1, 1, Failure.REFUSED, -1)), texts_per_request=1)
    assert (found.latency_ms, found.answered, found.failures) == (None, 0, {"refused": 1})


def test_percentiles_are_numpys() -> None:
    """The published numbers are those of the library."""
    latencies = np.random.default_rng(1).exponential(0.02, 999)
    found = summarise(make_tally(*((0.0, late, 200, 1) for late in latencies)), texts_per_request=1).latency_ms
    assert found is not None
    expected = np.percentile(latencies * 1_000, [50, 90, 95, 99])
    assert [found.p50, found.p90, found.p95, found.p99] == pytest.approx(expected)
    assert (found.max, found.mean) == pytest.approx((latencies.max() * 1_000, latencies.mean() * 1_000))


def test_processes_measure_together_and_rounds_follow_each_other() -> None:
    """Two processes share the time; two rounds add theirs, and the second starts where the first ended."""
    one, other = make_tally((0, 1, 200, 1), unsent=1), make_tally((2, 3, 200, 1), unsent=2)
    together, after = combine([one, other], together=True), combine([one, other], together=False)
    assert (together.seconds, together.unsent, together.finished.tolist()) == (10, 3, [1, 3])
    assert (after.seconds, after.finished.tolist()) == (20, [1, 13])


def test_ratio_is_a_geometric_mean_with_its_interval() -> None:
    """Twice as fast and half as fast cancel out; the interval is Student's t of the logarithms."""
    found = ratio("texts/s", [2.0, 1.0], [1.0, 2.0])
    assert found is not None
    assert found.value == pytest.approx(1.0)
    assert found.rounds == pytest.approx((2.0, 0.5))
    assert found.low is not None
    assert found.low == pytest.approx(np.exp(-12.7062 * np.log(2)), rel=1e-3)
    single = ratio("texts/s", [3.0], [1.0])
    assert single is not None
    assert single.value == pytest.approx(3.0)
    assert (single.low, single.high) == (None, None)
    assert ratio("texts/s", [1.0, 0.0], [1.0, 1.0]) is None


def test_batch_fill_is_the_mean_between_two_looks() -> None:
    """Only batches of the measurement count; rounds are weighted by their batches."""
    fill = batch_fill(BatchCounters(10, 100, 1_000), BatchCounters(20, 300, 9_000), most_tokens=1_600)
    assert fill == BatchFill(10, 20.0, 800.0, 0.5)
    assert batch_fill(BatchCounters(10, 1, 1), BatchCounters(10, 1, 1), most_tokens=None) is None
    assert join_fills([BatchFill(1, 4.0, None, None), BatchFill(3, 8.0, None, None), None]) == (
        BatchFill(4, 7.0, None, None)
    )
    assert join_fills([None]) is None
