"""An incremental update: learn the map, load mapped rows, embed again in the order of harm, say how far it is."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import InputError
from dialekt.index.advising import Score
from dialekt.index.documents import content_hash
from dialekt.index.engines.base import VectorEngine
from dialekt.index.opened import rows_of
from dialekt.index.records import Embed, Rows, SearchSettings
from dialekt.index.update.displacement import Displacement, displace
from dialekt.index.update.gate import Calibration, MapGate, calibrate, judge_map
from dialekt.index.update.mapping import MAX_EXAMPLES, FittedMap, Pairs, fit_map
from dialekt.index.update.mixed import Fresh, MixedEngine, is_mapped, mapped_space, store_fresh
from dialekt.index.update.order import order_by_harm, popularity
from dialekt.index.update.probe import Probe, Step
from dialekt.types import Document, Progress, ReportProgress, Role, no_progress

CHUNK_ROWS = 1_024
_SAMPLE_ROWS = 256  # embedded while others wait for the version
_HITS_DEPTH = 50
_SAMPLE_SHARE = 0.02
_LEAST_SAMPLE = 200
_MOST_PAST = 3_000


@dataclass(frozen=True, slots=True, eq=False)
class PastQueries:
    """Queries that people asked, encoded by both models: `old` and `new` are float32 (queries, dimension).

    `answers` are the units that were judged or clicked for each query, or empty where nothing is known.
    """

    texts: tuple[str, ...]
    old: NDArray[np.float32]
    new: NDArray[np.float32]
    answers: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Sides:
    """What is updated: rows of the old space in `source`, a version under way in `target` that is to be of `space`.

    `read` returns units as they are now, `embed` encodes with the new model, and `holding` keeps everybody else from
    changing the target. `store` puts rows there: in bulk while the version is being built, later one can search them
    at once.
    """

    source: VectorEngine
    target: VectorEngine
    space: str
    read: Callable[[Sequence[str]], Mapping[str, Document]]
    embed: Embed
    holding: Callable[[], AbstractContextManager[None]]
    store: Callable[[Rows], None]


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """A map, whether it may be used, and how its scores compare with new ones."""

    fitted: FittedMap
    gate: MapGate
    calibration: Calibration


class IncrementalUpdate:
    """One update of an index version. What it has done is in the target's rows, so a killed one goes on from there."""

    def __init__(self, sides: Sides, past: PastQueries, *, seed: int):
        self._sides = sides
        self._past = past
        self._seed = seed
        turns = np.random.default_rng(seed).permutation(len(past))[:_MOST_PAST]
        self._learn_from, self._judge_by = np.sort(turns[::2]), np.sort(turns[1::2])
        self._learnt: Learnt | None = None

    @property
    def learnt(self) -> Learnt:
        """What `learn` found. Raises `InputError` before it."""
        if self._learnt is None:
            raise InputError("the map is not learnt yet", hint="call learn with a sample of units first")
        return self._learnt

    def learn(self, sample: Sequence[str], *, progress: ReportProgress = no_progress) -> Learnt:
        """Embed a random sample of units, store them, learn the map from them and judge it.

        Units of the sample that the target has by now are not embedded again. Half of the past queries judge; the
        other half are learnt from too where that ranks better: it helps with small samples, not always. Raises
        `InputError` for too few units or models of different dimensions.
        """
        self._load_new(sample, progress)
        documents = self._pairs(sample)
        past = self._past
        texts = tuple(past.texts[place] for place in self._learn_from.tolist())
        queries = Pairs(past.old[self._learn_from], past.new[self._learn_from], texts) if texts else None
        judging = past.new[self._judge_by]
        fits = [
            fit_map(documents, queries=examples, seed=self._seed)
            for examples in ((None, queries) if texts else (None,))
        ]
        judged = [(fitted, judge_map(fitted, judging, seed=self._seed)) for fitted in fits]
        fitted, gate = max(judged, key=lambda pair: pair[1].mapped)
        self._learnt = Learnt(fitted, gate, calibrate(fitted, judging))
        return self._learnt

    def load(self, *, progress: ReportProgress = no_progress) -> int:
        """Store every old row mapped, where the target has no new one; return how many.

        May be repeated with a map that was learnt from more. Rows whose text changed since they were embedded, and new
        units, are left to whoever fills the version. Raises `InputError` if the gate did not pass.
        """
        if not self.learnt.gate.passed:
            raise InputError("the map is not to be used", hint=self.learnt.gate.reason)
        total, done, stored = self._sides.source.count(), 0, 0
        for rows in self._sides.source.scan(vectors=True, chunk_rows=CHUNK_ROWS):
            stored += self._load_mapped(rows)
            done += len(rows)
            progress(Progress("map", done, total))
        return stored

    def relearn(self, *, progress: ReportProgress = no_progress) -> bool:
        """Learn the map again from every row that is new by now, and map the others again; return whether that helps.

        Worth while whenever the share that is new has doubled. Where the new map does not pass its gate, or explains
        less, everything stays as it is.
        """
        before = self.learnt
        new = self._units(mapped=False)
        chosen = np.random.default_rng(self._seed).permutation(len(new))[:MAX_EXAMPLES]
        after = self.learn([new[place] for place in sorted(chosen.tolist())], progress=progress)
        if after.gate.passed and after.fitted.cosine > before.fitted.cosine:
            self.load(progress=progress)
            return True
        self._learnt = before
        return False

    def order(self) -> list[str]:
        """Return the units whose rows are mapped, those first that do most harm so."""
        mapped = self._units(mapped=True)
        turns = sorted([*self._learn_from.tolist(), *self._judge_by.tolist()])
        found = self.mixed().search(self._past.new[turns], _HITS_DEPTH, settings=SearchSettings()) if turns else []
        answers = [self._past.answers[place] for place in turns] if self._past.answers else ()
        ids, displacement = self._displacement(mapped)
        return order_by_harm(ids, displacement, popularity(found, answers))

    def refresh(self, units: Sequence[str]) -> int:
        """Embed some units and put them in the place of their mapped rows; return how many were replaced."""
        fresh = self.embed(units)
        return self._keep(fresh)

    def freshen(self, units: Sequence[str]) -> Fresh:
        """Embed what a search needs and keep it: `MixedEngine`'s `freshen`."""
        fresh = self.embed(units)
        self._keep(fresh)
        return fresh

    def embed(self, units: Sequence[str]) -> Fresh:
        """Embed those of the units that are still there; nothing is stored."""
        return embed_units(self._sides.read(units), self._sides.embed, self._dimension())

    def mixed(self) -> MixedEngine:
        """Return the target as it is searched while rows of both kinds are in it; nothing is embedded on demand."""
        return MixedEngine(self._sides.target, self.learnt.calibration)

    def probe(self, *, score: Score | None = None) -> Probe:
        """Return what measures how far the update is, with a few of the past queries that the map was judged by.

        `score` gives the true NDCG@10 of rankings of these queries, by their places in `PastQueries`.
        """
        return Probe(self.mixed, self._past.new, self._judge_by, self.embed, score=score, seed=self._seed)

    def step(self, probe: Probe) -> Step:
        """Return how far the update is now."""
        total = self._sides.target.count()
        return probe.measure(total - len(self._units(mapped=True)), total)

    def _keep(self, fresh: Fresh) -> int:
        with self._sides.holding():
            return store_fresh(self._sides.target, fresh, space=self._sides.space)

    def _dimension(self) -> int:
        return int(self._past.new.shape[1])

    def _load_new(self, sample: Sequence[str], progress: ReportProgress) -> None:
        there = self._sides.target.fetch(sample, vectors=False)
        new = {unit for unit, space in zip(there.ids, there.spaces, strict=True) if not is_mapped(space)}
        lacking = [unit for unit in sample if unit not in new]
        for start in range(0, len(lacking), _SAMPLE_ROWS):
            with self._sides.holding():
                units = list(self._sides.read(lacking[start : start + _SAMPLE_ROWS]).values())
                if units:
                    vectors = self._sides.embed([unit.content for unit in units], Role.DOCUMENT)
                    self._sides.store(rows_of(units, self._sides.space, vectors))
            progress(Progress("sample", min(start + _SAMPLE_ROWS, len(lacking)), len(lacking)))

    def _pairs(self, sample: Sequence[str]) -> Pairs:
        """Return the sampled units that both sides hold with the same text."""
        old, new = _by_unit(self._sides.source.fetch(sample)), _by_unit(self._sides.target.fetch(sample))
        units = self._sides.read(sample)
        kept = [
            unit for unit in sample if unit in old and unit in new and unit in units and old[unit][0] == new[unit][0]
        ]
        dimension = self._dimension()
        vectors = [np.stack([side[unit][1] for unit in kept]) if kept else _none(dimension) for side in (old, new)]
        return Pairs(vectors[0], vectors[1], tuple(units[unit].content for unit in kept))

    def _load_mapped(self, rows: Rows) -> int:
        with self._sides.holding():
            there = self._sides.target.fetch(rows.ids, vectors=False)
            new = {unit for unit, space in zip(there.ids, there.spaces, strict=True) if not is_mapped(space)}
            units = self._sides.read([unit for unit in rows.ids if unit not in new])
            columns = enumerate(zip(rows.ids, rows.hashes, strict=True))
            kept = [
                place for place, (unit, content) in columns if unit in units and content_hash(units[unit]) == content
            ]
            if not kept:
                return 0
            part = rows.take(kept)
            now = [units[unit] for unit in part.ids]
            vectors = self.learnt.fitted.map.apply(part.vectors, [unit.content for unit in now])
            self._sides.store(rows_of(now, mapped_space(self._sides.space), vectors))
        return len(kept)

    def _units(self, *, mapped: bool) -> list[str]:
        return [
            unit
            for rows in self._sides.target.scan()
            for unit, space in zip(rows.ids, rows.spaces, strict=True)
            if is_mapped(space) is mapped
        ]

    def _displacement(self, mapped: Sequence[str]) -> tuple[list[str], Displacement]:
        """Return the mapped units that the source still has, and their displacement."""
        ids: list[str] = []
        parts: list[Displacement] = []
        for start in range(0, len(mapped), CHUNK_ROWS):
            chunk = mapped[start : start + CHUNK_ROWS]
            old, new = _by_unit(self._sides.source.fetch(chunk)), _by_unit(self._sides.target.fetch(chunk))
            both = [unit for unit in chunk if unit in old and unit in new]
            if both:
                matrices = [np.stack([side[unit][1] for unit in both]) for side in (old, new)]
                parts.append(displace(self.learnt.fitted, matrices[0], matrices[1]))
                ids += both
        if not parts:
            return [], Displacement(np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int64))
        moved, left, cells = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("moved", "left", "cells")
        )
        return ids, Displacement(moved, left, cells)


def sample_size(units: int) -> int:
    """Return how many units to embed for the first map: 2%, at least 200, at most the 3,000 that are learnt from."""
    return min(units, max(_LEAST_SAMPLE, min(MAX_EXAMPLES, round(_SAMPLE_SHARE * units))))


def embed_units(units: Mapping[str, Document], embed: Embed, dimension: int) -> Fresh:
    """Embed units; none give none."""
    found = list(units.values())
    texts = [unit.content for unit in found]
    vectors = embed(texts, Role.DOCUMENT) if texts else _none(dimension)
    return Fresh(tuple(unit.id for unit in found), tuple(map(content_hash, found)), vectors)


def _by_unit(rows: Rows) -> dict[str, tuple[str, NDArray[np.float32]]]:
    return dict(zip(rows.ids, zip(rows.hashes, rows.vectors, strict=True), strict=True))


def _none(dimension: int) -> NDArray[np.float32]:
    return np.empty((0, dimension), dtype=np.float32)
