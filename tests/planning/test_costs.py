"""Time and money by hand."""

from dataclasses import replace

import pytest
from tests.planning.samples import WORKLOAD

from dialekt.planning.costs import Speeds, all_work, price_per_month
from dialekt.planning.records import Basis, Figure, Work
from dialekt.types import Interval

SPEEDS = Speeds(Interval(10_000.0, 8_000.0, 12_500.0), Interval(5_000.0, 4_000.0, 6_250.0), largest_rows=50_000)


def work(name: str, **changes: object) -> Work:
    """Return a piece of work of the sample workload by the beginning of its name."""
    found = all_work(replace(WORKLOAD, **changes), SPEEDS, units_per_document=2.0)  # type: ignore[arg-type]
    return next(one for one in found if one.name.startswith(name))


def test_embedding_is_tokens_by_speed() -> None:
    """A million of 100 tokens at 10,000 a second are 10,000 s, a quarter on four; the range is that of the speed."""
    found = work("embed all")
    assert (found.seconds.value, found.seconds.low, found.seconds.high) == (10_000, 8_000, 12_500)
    assert (found.machines, found.seconds_on_all.value) == (4, 2_500)
    assert found.seconds.basis is Basis.MEASURED
    assert "a straight line" in found.seconds.how


def test_an_index_has_one_writer() -> None:
    """Filling takes as long on four machines as on one: a million at 5,000 a second are 200 s."""
    found = work("fill")
    assert (found.seconds.value, found.seconds_on_all.value, found.machines) == (200, 200, 1)


def test_a_day_of_changes() -> None:
    """1,000 documents of two chunks of 100 tokens are 20 s; without changes there is nothing to do."""
    assert work("embed a day").seconds.value == 20
    assert work("embed a day", changed_per_day=0).seconds.value == 0


def test_another_model_takes_all_or_two_in_a_hundred() -> None:
    """A migration embeds and fills; an update serves after 2% are embedded and all are filled in."""
    assert work("another model: index migrate").seconds.value == 10_200
    assert work("another model: index migrate").seconds_on_all.value == 2_700
    assert work("another model: index update").seconds.value == pytest.approx(400)


def test_money_is_hours_of_machines() -> None:
    """10,000 s at 1.8 an hour are 5, however many share them; three machines at 2 an hour are 4,383 a month."""
    found = work("embed all", price=1.8).price
    assert found is not None
    assert found.value == pytest.approx(5.0)
    machines = Figure(3, 2, None, Basis.MEASURED, "")
    month = price_per_month(machines, replace(WORKLOAD, price=2.0))
    assert month is not None
    assert (month.value, month.low, month.high) == (4_383, 2_922, None)
    assert price_per_month(machines, WORKLOAD) is None


def test_what_was_not_measured_makes_no_sum() -> None:
    """Where an engine was not filled here, a migration's time is unknown, and embedding's is not."""
    found = all_work(WORKLOAD, Speeds(SPEEDS.tokens, None), units_per_document=1.0)
    unknown = {one.name for one in found if one.seconds.value is None}
    assert len(unknown) == 3
    assert not any(name.startswith("embed") for name in unknown)
