"""In which order documents are embedded again: by the harm that their mapped vectors are expected to do."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from dialekt.index.records import Found
from dialekt.index.update.displacement import Displacement


@dataclass(frozen=True, slots=True)
class Popularity:
    """What past queries say of future ones.

    `hits` is Σ 1 / log2(1 + rank) over the past queries that retrieve a unit. `newness` estimates how often a future
    query is answered by a unit that answered none before: the share of answers seen only once (Good 1953, Turing).
    """

    hits: Mapping[str, float]
    newness: float


def popularity(found: Sequence[Found], answers: Sequence[Sequence[str]] = ()) -> Popularity:
    """Count what past queries retrieve; `answers` are the units that were judged or clicked, where that is known.

    Without answers a query's first result stands for them.
    """
    hits: defaultdict[str, float] = defaultdict(float)
    for units in found:
        for rank, unit in enumerate(units.ids, start=1):
            hits[unit] += 1 / math.log2(1 + rank)
    given = [tuple(units) for units in answers if units] or [units.ids[:1] for units in found if units.ids]
    seen = Counter(chain.from_iterable(given))
    once = sum(times == 1 for times in seen.values())
    return Popularity(dict(hits), once / seen.total() if seen else 1.0)


def order_by_harm(ids: Sequence[str], displacement: Displacement, past: Popularity) -> list[str]:
    """Return units, those first whose mapped vector does most harm.

    A share of `1 - newness` is taken by hits × unexplained displacement; the rest are whole neighbourhoods, those first
    where the map leaves most unexplained, because nothing else is known of what new queries will need.
    """
    hits = np.array([past.hits.get(unit, 0.0) for unit in ids])
    asked = np.argsort(-hits * displacement.left, kind="stable")
    asked = asked[hits[asked] > 0]
    around = _by_neighbourhood(displacement)
    return [ids[place] for place in _interleaved(asked, around, past.newness)]


def _by_neighbourhood(displacement: Displacement) -> NDArray[np.int64]:
    """Return places, neighbourhood by neighbourhood, by the falling mean of what is left unexplained there."""
    _, cells = np.unique(displacement.cells, return_inverse=True)
    means = np.bincount(cells, weights=displacement.left) / np.bincount(cells)
    return np.lexsort((-displacement.left, cells, -means[cells])).astype(np.int64)


def _interleaved(first: NDArray[np.int64], second: NDArray[np.int64], share_second: float) -> Iterator[int]:
    """Yield every place once; `share_second` of them come from the second order as long as both last."""
    taken: set[int] = set()
    queues = [iter(first.tolist()), iter(second.tolist())]
    debt = 0.0
    while queues:
        debt += share_second
        wanted = len(queues) - 1 if debt >= 1 else 0
        debt -= debt >= 1
        place = next((place for place in queues[wanted] if place not in taken), None)
        if place is None:
            del queues[wanted]
            continue
        taken.add(place)
        yield place
