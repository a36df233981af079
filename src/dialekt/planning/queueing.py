"""How many machines answer a rate of queries in time: a queue with one server per machine (M/M/1).

Kleinrock 1975, Queueing Systems I: with service time s and load r the wait W has P(W > t) = r·exp(-(1-r)·t/s). Service
is a machine's whole time per query, measured with as many searches at once as it has cores, so a machine counts as one
server. Searches do not take random times as the model says, which makes it careful; bursts are not in it.
"""

import math
from collections.abc import Callable

from dialekt.planning.records import Serving
from dialekt.types import Interval

MODEL = "a queue with random arrivals (M/M/1)"
TAIL = 0.05  # of 100 searches, five may take longer
_MOST_MACHINES = 10_000_000
_STEPS = 48
_WORTH_ONE_PIECE = 2


def wait_seconds(service: float, load: float) -> float:
    """Return the wait that 95 of 100 queries stay below; infinite where more comes than can be served."""
    if load >= 1:
        return math.inf
    return max(0.0, service / (1 - load) * math.log(max(load, 1e-300) / TAIL))


def copies_for(rate: float, *, service: float, alone: float, target: float) -> int | None:
    """Return the fewest machines that share a rate so that 95 of 100 answers come in time; None where none can.

    `alone` is how long an answer takes on a machine that has nothing else to do.
    """
    if alone > target:
        return None

    def in_time(machines: int) -> bool:
        return alone + wait_seconds(service, rate * service / machines) <= target

    low, high = 1, max(1, math.ceil(rate * service))
    while not in_time(high):
        low, high = high, 2 * high
        if high > _MOST_MACHINES:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if in_time(middle) else (middle + 1, high)
    return high


def serving(
    rate: float,
    *,
    encode: tuple[float, float],
    search: Callable[[int], tuple[float, float]],
    least_parts: int,
    target: float,
) -> Serving | None:
    """Return the fewest machines in all, and into how many parts they divide the index; None where none are enough.

    `encode` and `search(parts)` are seconds alone and seconds of service of one query. A query is encoded once and
    searched in every part, so each machine does a share of the encoding and its part of every search. An index in one
    piece is what the engines have, so it is taken where it needs at most twice the machines.
    """
    best: Serving | None = None
    whole: Serving | None = None
    parts = least_parts
    for _ in range(_STEPS):
        alone, service = search(parts)
        copies = copies_for(rate, service=service + encode[1] / parts, alone=encode[0] + alone, target=target)
        if copies is not None and (best is None or parts * copies < best.machines):
            best = Serving(parts, copies)
            whole = best if parts == 1 else whole
        if parts > _MOST_MACHINES or (best is not None and parts >= best.machines):
            break
        parts = max(parts + 1, math.ceil(parts * 1.25))
    if whole is not None and best is not None and whole.machines <= _WORTH_ONE_PIECE * best.machines:
        return whole
    return best


def widest(usual: Serving, *others: Serving | None) -> Interval:
    """Return a number of machines with the range that others span; infinite where one of them is none."""
    known = [usual.machines, *(other.machines for other in others if other is not None)]
    return Interval(usual.machines, min(known), math.inf if None in others else max(known))
