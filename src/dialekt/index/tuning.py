"""How hard searches must try: the fastest settings whose recall against exact search meets a target."""

import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import InputError
from dialekt.index.engines.base import VectorEngine
from dialekt.index.recall import exact_results, recall
from dialekt.index.records import EngineSpec, Found, SearchSettings
from dialekt.measures.shares import mean_interval
from dialekt.types import Progress, ReportProgress, no_progress

OVERSAMPLINGS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
TIMED_QUERIES = 50  # searched one by one for the latency; the others go in one batch
_SEED = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """What some settings found: mean recall@k against exact search, the lower end of its interval, latency.

    `milliseconds` is the median of single queries.
    """

    settings: SearchSettings
    recall: float
    low: float
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The settings to search with, what they reach, and everything that was tried, in order.

    `warning` is empty when the target is met; else these are the most thorough settings, which miss it.
    """

    settings: SearchSettings
    recall: float
    milliseconds: float
    tried: tuple[Trial, ...]
    warning: str = ""


def tune(
    engine: VectorEngine,
    spec: EngineSpec,
    queries: NDArray[np.float32],
    *,
    target: float,
    k: int = 10,
    oversampling: float | None = None,
    progress: ReportProgress = no_progress,
) -> Tuned:
    """Return the fastest settings whose mean recall@k is surely at least the target.

    Surely: the lower end of the bootstrap interval over `queries` (queries, dimension) reaches it. Of every effort
    the smallest oversampling that does so is searched for, unless `oversampling` is given. Raises `InputError` without
    queries.
    """
    if not len(queries):
        raise InputError("there is no query to measure recall with", hint="give queries, or texts of documents")
    bench = _Bench(engine, queries, exact_results(engine, queries, k), k, progress)
    steps = _steps(spec, oversampling)
    good: list[Trial] = []
    for effort in engine.efforts:
        trial = bench.least(effort, steps, target)
        good += [trial] if trial else []
        if trial and trial.settings.oversampling == steps[0]:
            break  # more effort can only be slower
    if good:
        best = min(good, key=lambda one: one.milliseconds)
        return Tuned(best.settings, best.recall, best.milliseconds, tuple(bench.tried))
    last = bench.trial(SearchSettings(effort=engine.efforts[-1], oversampling=steps[-1]))
    warning = (
        f"recall@{k} is {last.recall:.3f} (at least {last.low:.3f}) with the most thorough settings, "
        f"below the target of {target:g}"
    )
    return Tuned(last.settings, last.recall, last.milliseconds, tuple(bench.tried), warning)


def _steps(spec: EngineSpec, oversampling: float | None) -> tuple[float, ...]:
    if oversampling is not None:
        return (oversampling,)
    return OVERSAMPLINGS if spec.first_stage else (SearchSettings().oversampling,)


class _Bench:
    """Searches with one set of queries and remembers what every setting found."""

    def __init__(
        self, engine: VectorEngine, queries: NDArray[np.float32], truth: list[Found], k: int, progress: ReportProgress
    ):
        self._engine, self._queries, self._truth, self._k = engine, queries, truth, k
        self._progress = progress
        self.tried: list[Trial] = []

    def least(self, effort: int, steps: Sequence[float], target: float) -> Trial | None:
        """Return the trial with the smallest oversampling that meets the target; recall grows with oversampling."""

        def low(oversampling: float) -> float:
            return self.trial(SearchSettings(effort=effort, oversampling=oversampling)).low

        place = bisect_left(steps, target, key=low)
        return self.trial(SearchSettings(effort=effort, oversampling=steps[place])) if place < len(steps) else None

    def trial(self, settings: SearchSettings) -> Trial:
        """Return what these settings find, searching only when they are new."""
        if known := next((one for one in self.tried if one.settings == settings), None):
            return known
        found, milliseconds = self._search(settings)
        reached = mean_interval(recall(found, self._truth, self._k), seed=_SEED)
        trial = Trial(settings, reached.value, reached.low, milliseconds)
        self.tried.append(trial)
        note = f"effort {settings.effort}, oversampling {settings.oversampling:g}: recall {trial.recall:.3f}"
        self._progress(Progress("tune", len(self.tried), note=note))
        return trial

    def _search(self, settings: SearchSettings) -> tuple[list[Found], float]:
        found: list[Found] = []
        seconds: list[float] = []
        for query in self._queries[:TIMED_QUERIES]:
            start = time.perf_counter()
            found += self._engine.search(query[None], self._k, settings=settings)
            seconds.append(time.perf_counter() - start)
        if len(rest := self._queries[TIMED_QUERIES:]):
            found += self._engine.search(rest, self._k, settings=settings)
        return found, float(np.median(seconds)) * 1_000
