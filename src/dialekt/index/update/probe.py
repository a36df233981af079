"""How good an index is while it is updated: what it serves, held against new vectors, for a few past queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.index.advising import Score
from dialekt.index.records import SearchSettings
from dialekt.index.update.estimate import CUTOFF, Ideal, estimate_share
from dialekt.index.update.mixed import Fresh, MixedEngine
from dialekt.types import Interval

PROBED = 50
DEPTH = 100
_SHORTLISTS = (10, 15, 20, 30, 50, 75, DEPTH)

EmbedUnits = Callable[[Sequence[str]], Fresh]


@dataclass(frozen=True, slots=True)
class Step:
    """How far an update is. `estimated` is the share of the new model's NDCG@10 that is served now; `true` NDCG@10.

    `true` is None without judgments.
    """

    fresh: int
    total: int
    estimated: Interval
    true: float | None

    @property
    def share(self) -> float:
        """The share of the rows that the new model embedded."""
        return self.fresh / self.total if self.total else 1.0

    def reaches(self, target: float) -> bool:
        """Whether the estimated share is at the target, for certain."""
        return self.estimated.low >= target


class Probe:
    """The queries an update is watched by. Their shortlists are embedded once and kept aside, not stored.

    Stored, they would make just these queries' results new, and the estimate would speak of no other query. The ideal
    ranking is that of the first 100 mapped or new rows by new vectors: what lies deeper is not seen.
    """

    def __init__(
        self,
        mixed: Callable[[], MixedEngine],
        vectors: NDArray[np.float32],
        places: NDArray[np.int64],
        embed: EmbedUnits,
        *,
        score: Score | None,
        seed: int,
    ):
        self._places = np.sort(np.random.default_rng(seed).permutation(places)[:PROBED])
        self._queries = vectors[self._places]
        self._mixed, self._embed, self._score, self._seed = mixed, embed, score, seed
        self._known: dict[str, NDArray[np.float32]] = {}
        self._pools: list[tuple[str, ...]] = self._served(DEPTH)

    def measure(self, fresh: int, total: int) -> Step:
        """Return the state with `fresh` of `total` rows embedded by the new model."""
        served = self._served(CUTOFF)
        pairs = zip(self._pools, served, strict=True)
        ideal = self._ranked([tuple(dict.fromkeys((*pool, *found))) for pool, found in pairs])
        estimated = estimate_share(served, ideal, seed=self._seed)
        true = float(self._score(self._places.tolist(), served).mean()) if self._score and served else None
        return Step(fresh, total, estimated, true)

    def shortlist(self, target: float) -> int:
        """Return how many candidates must be embedded on demand to serve a share of the quality, at most 100."""
        ideal = self._ranked(self._pools)
        for depth in _SHORTLISTS:
            served = [found.ids for found in self._ranked([pool[:depth] for pool in self._pools])]
            if estimate_share(served, ideal, seed=self._seed).low >= target:
                return depth
        return DEPTH

    def _served(self, depth: int) -> list[tuple[str, ...]]:
        if not len(self._places):
            return []
        return [found.ids for found in self._mixed().search(self._queries, depth, settings=SearchSettings())]

    def _ranked(self, pools: Sequence[tuple[str, ...]]) -> list[Ideal]:
        """Order units by new vectors; those that are gone are left out."""
        lacking = [unit for unit in dict.fromkeys(unit for pool in pools for unit in pool) if unit not in self._known]
        if lacking:
            fresh = self._embed(lacking)
            self._known |= dict(zip(fresh.ids, fresh.vectors, strict=True))
        return [self._by_new(query, pool) for query, pool in zip(self._queries, pools, strict=True)]

    def _by_new(self, query: NDArray[np.float32], pool: Sequence[str]) -> Ideal:
        kept = [unit for unit in pool if unit in self._known]
        if not kept:
            return Ideal((), np.empty(0, dtype=np.float32))
        scores = np.stack([self._known[unit] for unit in kept]) @ query
        order = np.argsort(-scores, kind="stable")
        return Ideal(tuple(kept[place] for place in order.tolist()), scores[order])
