"""Searching an index version in which some rows are mapped from an older model and some are new."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import DialektError
from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import Filter
from dialekt.index.records import EngineSize, Found, Release, Rows, SearchSettings
from dialekt.index.update.gate import Calibration
from dialekt.types import ReportProgress, no_progress

SHORTLIST = 50
MIXED = "mixed"  # of a release's facts: how to search while some of its rows are mapped
_MAPPED = "~mapped"
_MOST_OVERFETCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """Units embedded by the new model: `hashes` of the encoded texts, `vectors` float32 (units, dimension)."""

    ids: tuple[str, ...]
    hashes: tuple[str, ...]
    vectors: NDArray[np.float32]


Freshen = Callable[[Sequence[str]], Fresh]
"""Unit ids → those that are still there, embedded by the new model; the callee keeps them for the next search."""


def mapped_space(space: str) -> str:
    """Return the space of rows that were mapped into a space rather than embedded in it."""
    return space + _MAPPED


def is_mapped(space: str) -> bool:
    """Whether a row's vector was mapped."""
    return space.endswith(_MAPPED)


class MixedEngine:
    """A `VectorEngine` over another one whose rows are of two kinds: mapped scores are calibrated before merging.

    With `freshen`, the mapped units among the `shortlist` best are embedded, and these ordered by new vectors alone.
    """

    def __init__(
        self,
        engine: VectorEngine,
        calibration: Calibration,
        *,
        freshen: Freshen | None = None,
        shortlist: int = SHORTLIST,
    ):
        self._engine = engine
        self._calibration = calibration
        self._freshen = freshen
        self._shortlist = shortlist

    @property
    def efforts(self) -> tuple[int, ...]:
        """The steps of the engine below."""
        return self._engine.efforts

    def search(
        self, queries: NDArray[np.float32], limit: int, *, settings: SearchSettings, where: Filter | None = None
    ) -> list[Found]:
        """Return the best units of every query (queries, dimension) by calibrated scores."""
        depth = limit if self._freshen is None else max(limit, self._shortlist)
        merged = self._merged(queries, depth, settings, where)
        if self._freshen is not None:
            with suppress(DialektError):  # embedding takes too long or is not to be had: calibrated scores will do
                merged = _refreshed(merged, queries, self._freshen)
        return [_first(found, limit) for found in merged]

    def _merged(
        self, queries: NDArray[np.float32], depth: int, settings: SearchSettings, where: Filter | None
    ) -> list[Found]:
        """Fetch more until no row that was not fetched can belong among the best `depth`."""
        fetched = 2 * depth
        while True:
            every = self._engine.search(queries, fetched, settings=settings, where=where)
            merged = [self._calibrated(found) for found in every]
            pairs = zip(every, merged, strict=True)
            if fetched >= depth * _MOST_OVERFETCH or all(self._is_settled(*pair, depth, fetched) for pair in pairs):
                return [_first(found, depth) for found in merged]
            fetched *= 2

    def _is_settled(self, raw: Found, merged: Found, depth: int, fetched: int) -> bool:
        if len(raw.ids) < fetched:
            return True
        rest = np.append(self._calibration.apply(raw.scores[-1:]), raw.scores[-1:])  # the best that is left to fetch
        return bool(merged.scores[depth - 1] >= rest.max())

    def _calibrated(self, found: Found) -> Found:
        mapped = np.array([is_mapped(space) for space in found.spaces], dtype=bool)
        return _ordered(found, np.where(mapped, self._calibration.apply(found.scores), found.scores))

    def load(self, rows: Rows) -> None:
        """As the engine below does."""
        self._engine.load(rows)

    def finish(self, *, progress: ReportProgress = no_progress) -> None:
        """As the engine below does."""
        self._engine.finish(progress=progress)

    def upsert(self, rows: Rows) -> None:
        """As the engine below does."""
        self._engine.upsert(rows)

    def delete(self, ids: Sequence[str]) -> None:
        """As the engine below does."""
        self._engine.delete(ids)

    def patch(self, ids: Sequence[str], tags: Sequence[tuple[str, ...]]) -> None:
        """As the engine below does."""
        self._engine.patch(ids, tags)

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Rows:
        """As the engine below does."""
        return self._engine.fetch(ids, vectors=vectors)

    def scan(self, *, vectors: bool = False, chunk_rows: int = 4_096) -> Iterator[Rows]:
        """As the engine below does."""
        return self._engine.scan(vectors=vectors, chunk_rows=chunk_rows)

    def count(self) -> int:
        """As the engine below does."""
        return self._engine.count()

    def size(self) -> EngineSize:
        """As the engine below does."""
        return self._engine.size()

    def optimize(self) -> None:
        """As the engine below does."""
        self._engine.optimize()

    def close(self) -> None:
        """As the engine below does."""
        self._engine.close()

    def drop(self) -> None:
        """As the engine below does."""
        self._engine.drop()


def searched(engine: VectorEngine, release: Release, *, freshen: Freshen | None = None) -> VectorEngine:
    """Return an engine as a release's rows are to be searched: as it is, or with its mapped rows calibrated."""
    known = release.facts.get(MIXED)
    if known is None:
        return engine
    calibration = Calibration(offset=known["offset"], slope=known["slope"])
    return MixedEngine(engine, calibration, freshen=freshen, shortlist=known["shortlist"])


def store_fresh(engine: VectorEngine, fresh: Fresh, *, space: str) -> int:
    """Put new vectors in the place of mapped ones; return how many rows that were.

    A row that is gone, or whose text is another by now, is left as it is: nothing is brought back. The caller holds
    the version.
    """
    rows = engine.fetch(fresh.ids, vectors=False)
    made = dict(zip(zip(fresh.ids, fresh.hashes, strict=True), fresh.vectors, strict=True))
    columns = enumerate(zip(rows.ids, rows.hashes, rows.spaces, strict=True))
    kept = [place for place, (unit, content, of) in columns if is_mapped(of) and (unit, content) in made]
    if kept:
        part = rows.take(kept)
        vectors = np.stack([made[key] for key in zip(part.ids, part.hashes, strict=True)])
        spaces = (space,) * len(part)
        engine.upsert(Rows(part.ids, part.document_ids, part.hashes, part.tags, spaces, vectors))
    return len(kept)


def _refreshed(every: Sequence[Found], queries: NDArray[np.float32], freshen: Freshen) -> list[Found]:
    """Order shortlists by new vectors; a unit that is gone meanwhile is left out."""
    columns = (zip(found.ids, found.spaces, strict=True) for found in every)
    wanted = list(dict.fromkeys(unit for column in columns for unit, space in column if is_mapped(space)))
    if not wanted:
        return list(every)
    fresh = freshen(wanted)
    vectors = dict(zip(fresh.ids, fresh.vectors, strict=True))
    return [_rescored(found, query, vectors) for found, query in zip(every, queries, strict=True)]


def _rescored(found: Found, query: NDArray[np.float32], vectors: dict[str, NDArray[np.float32]]) -> Found:
    kept = [place for place, space in enumerate(found.spaces) if not is_mapped(space) or found.ids[place] in vectors]
    part = _take(found, kept)
    scores = part.scores.copy()
    for place, (unit, space) in enumerate(zip(part.ids, part.spaces, strict=True)):
        if is_mapped(space):
            scores[place] = query @ vectors[unit]
    spaces = tuple(space.removesuffix(_MAPPED) for space in part.spaces)
    return _ordered(Found(part.ids, part.document_ids, spaces, part.scores), scores)


def _ordered(found: Found, scores: NDArray[np.float32]) -> Found:
    order = np.argsort(-scores, kind="stable").tolist()
    return _take(Found(found.ids, found.document_ids, found.spaces, scores.astype(np.float32)), order)


def _first(found: Found, limit: int) -> Found:
    return Found(found.ids[:limit], found.document_ids[:limit], found.spaces[:limit], found.scores[:limit])


def _take(found: Found, places: Sequence[int]) -> Found:
    columns = (found.ids, found.document_ids, found.spaces)
    ids, documents, spaces = (tuple(column[place] for place in places) for column in columns)
    return Found(ids, documents, spaces, found.scores[list(places)])
