"""Time of work that is done once or every day, and money: straight lines in tokens and rows."""

from dataclasses import dataclass

from dialekt.planning.records import Basis, Figure, Work, Workload, counted, unknown
from dialekt.types import Interval

UPDATE_SHARE = 0.02  # of the documents that `dialekt index update` embeds before the new model serves
HOURS_PER_MONTH = 730.5
_HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class Speeds:
    """Tokens per second in bulk, and rows per second into the index; None where that was not measured."""

    tokens: Interval
    rows: Interval | None
    largest_rows: int = 0


def all_work(workload: Workload, speeds: Speeds, *, units_per_document: float) -> tuple[Work, ...]:
    """Return everything that has to be embedded and stored: now, every day, and when the model changes."""
    embedding = _embedding(workload.units * workload.tokens_per_unit, speeds)
    filling = _filling(workload.units, speeds)
    daily = _embedding(workload.changed_per_day * units_per_document * workload.tokens_per_unit, speeds)
    first = _embedding(UPDATE_SHARE * workload.units * workload.tokens_per_unit, speeds)
    machines = workload.embedding_machines
    return (
        _work("embed all documents", embedding, None, machines, workload),
        _work("fill the index", None, filling, 1, workload),
        _work("embed a day's changed documents", daily, None, machines, workload),
        _work("another model: index migrate", embedding, filling, machines, workload),
        _work("another model: index update serves after", first, filling, machines, workload),
    )


def price_per_month(machines: Figure, workload: Workload) -> Figure | None:
    """Return what machines cost that run all the time; None where no price was given."""
    if workload.price is None or machines.value is None:
        return None
    each = workload.price * HOURS_PER_MONTH
    low, high = ((each * one if one is not None else None) for one in (machines.low, machines.high))
    return Figure(each * machines.value, low, high, machines.basis, f"machines × {HOURS_PER_MONTH:g} hours × price")


def _embedding(tokens: float, speeds: Speeds) -> Figure:
    if not tokens:
        return counted(0.0, "nothing to embed")
    rate = speeds.tokens
    how = f"{tokens:.3g} tokens at {rate.value:,.0f} a second, a straight line"
    return Figure(tokens / rate.value, tokens / rate.high, tokens / rate.low, Basis.MEASURED, how)


def _filling(rows: int, speeds: Speeds) -> Figure:
    if speeds.rows is None:
        return unknown("this engine was not filled here")
    rate = speeds.rows
    how = f"{rows:,} rows at {rate.value:,.0f} a second, a straight line from {speeds.largest_rows:,} rows"
    return Figure(rows / rate.value, rows / rate.high, rows / rate.low, Basis.MEASURED, how)


def _work(name: str, spread: Figure | None, alone: Figure | None, machines: int, workload: Workload) -> Work:
    """Return work whose one part is spread over machines, while its other part, the index, has one writer."""
    nothing = counted(0.0, "")
    once = _sum(spread or nothing, alone or nothing)
    shared = _sum(_divided(spread or nothing, machines), alone or nothing)
    price = None
    if workload.price is not None and once.value is not None:
        each = workload.price / _HOUR
        low, high = (each * one if one is not None else None for one in (once.low, once.high))
        price = Figure(each * once.value, low, high, once.basis, "hours of machines × price")
    return Work(name, once, machines, shared, price)


def _divided(figure: Figure, machines: int) -> Figure:
    value, low, high = (None if one is None else one / machines for one in (figure.value, figure.low, figure.high))
    how = f"{figure.how}, divided by {machines}" if machines > 1 else figure.how
    return Figure(value, low, high, figure.basis, how)


def _sum(one: Figure, other: Figure) -> Figure:
    """Return a figure of both; what one of them does not know, the sum does not know either."""
    if one.value is None or other.value is None:
        return one if one.value is None else other
    pairs = ((one.low, other.low), (one.high, other.high))
    low, high = (None if first is None or second is None else first + second for first, second in pairs)
    basis = Basis.MEASURED if Basis.MEASURED in {one.basis, other.basis} else one.basis
    return Figure(one.value + other.value, low, high, basis, "; ".join(filter(None, [one.how, other.how])))
