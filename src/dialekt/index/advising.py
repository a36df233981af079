"""Which first stage suits a corpus: quality, memory and latency of searching short vectors and reranking by full ones.

The settings are chosen on one half of the queries and confirmed on the other, so that the choice does not flatter
itself. When choosing, a query whose score rises because the first stage missed something counts as unchanged: such
gains are luck, which the next queries do not have (chosen with them, 256 binary dimensions at four candidates per
result showed 101.0% of full search's NDCG@10 on one half of 1,000 queries, and 98.2% on the other).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Quantization
from dialekt.errors import InputError
from dialekt.index.engines.base import VectorEngine
from dialekt.index.measuring import CUTOFF, FullSearch, Measured, measure_stage, search_fully
from dialekt.index.records import FirstStage
from dialekt.measures.shares import share_intervals
from dialekt.types import Interval, Progress, ReportProgress, no_progress

OVERSAMPLINGS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
MAX_QUERIES = 1_000
LEAST_QUERIES = 20
SMALL_SHARE = 1 / 12  # of float32 memory: a first stage that saves less is taken only where nothing smaller will do
_MOST_COMPARISONS = 50_000_000  # query times document, per first stage: bounds the time on a large corpus
_ENOUGH_QUERIES = 200

Score = Callable[[Sequence[int], Sequence[Sequence[str]]], NDArray[np.float64]]
"""Rows of the queries and the ten best unit ids of each, best first → float64 (rows,), such as NDCG@10."""


@dataclass(frozen=True, slots=True)
class AdvicePoint:
    """A first stage with an oversampling, measured.

    `chosen_on` is the share of full search's score on the choosing half of the queries, gains of single queries left
    out, `confirmed` the plain share on the other half. `memory_share` is of the float32 vectors of all dimensions,
    `milliseconds` of a search with both stages, one query at a time.
    """

    first_stage: FirstStage
    oversampling: float
    memory_share: float
    milliseconds: float
    chosen_on: Interval
    confirmed: Interval


@dataclass(frozen=True, slots=True)
class Advice:
    """All points, grouped by first stage with rising oversampling, and the one to take: None is full search.

    `full_score` is full search's mean on all sampled queries, `full_milliseconds` its latency. `choosing` and
    `confirming` count queries. `is_confirmed` says whether the other half of the queries reaches the target too.
    """

    documents: int
    dimension: int
    metric: str
    target: float
    choosing: int
    confirming: int
    full_score: float
    full_milliseconds: float
    points: tuple[AdvicePoint, ...]
    recommended: AdvicePoint | None
    is_confirmed: bool
    reason: str


def advise(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    *,
    ids: Sequence[str],
    dimensions: Sequence[int],
    score: Score | None = None,
    target: float = 0.99,
    seed: int = 0,
    progress: ReportProgress = no_progress,
) -> Advice:
    """Measure every first stage on a corpus's vectors (units, dimension) and recommend the smallest that will do.

    `dimensions` are the encoding contract's Matryoshka dimensions. `score` gives quality from judgments (NDCG@10);
    without it, quality is the share of full search's ten best that is found. At most `MAX_QUERIES` of the queries
    (queries, dimension), drawn at random, are asked. Raises `InputError` for too few of them, and where full search
    finds nothing that the score counts.
    """
    sample = _sample(len(queries), len(vectors), seed)
    asked = np.ascontiguousarray(queries[sample])
    full = search_fully(vectors, asked)
    judge = _Judge(score, sample, ids, full)
    stages = _stages(dimensions, vectors.shape[1])
    measured: list[Measured] = []
    for done, stage in enumerate(stages):
        progress(Progress("advise", done, len(stages), note=f"{stage.dimensions} {stage.quantization.value}"))
        measured.append(measure_stage(vectors, asked, stage, OVERSAMPLINGS))
    progress(Progress("advise", len(stages), len(stages)))
    half = len(sample) // 2
    points = _points(measured, judge, half, vectors.shape[1])
    recommended = recommend(points, target)
    return Advice(
        documents=len(vectors),
        dimension=vectors.shape[1],
        metric=f"overlap@{CUTOFF}" if score is None else f"NDCG@{CUTOFF}",
        target=target,
        choosing=half,
        confirming=len(sample) - half,
        full_score=float(judge.full.mean()),
        full_milliseconds=full.milliseconds,
        points=points,
        recommended=recommended,
        is_confirmed=recommended is not None and recommended.confirmed.value >= target,
        reason=_reason(recommended, points, target),
    )


def held_vectors(engine: VectorEngine) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the ids and the vectors (units, dimension) of all rows of an engine."""
    chunks = list(engine.scan(vectors=True))
    if not chunks:
        raise InputError("the index is empty", hint="dialekt index build fills it")
    return tuple(name for chunk in chunks for name in chunk.ids), np.concatenate([chunk.vectors for chunk in chunks])


def recommend(points: Sequence[AdvicePoint], target: float) -> AdvicePoint | None:
    """Return the point with the least memory that surely reaches the target, None where there is none.

    Of one first stage it is that with the least oversampling, of two of the same size the faster one.

    A point counts only if all larger oversamplings of its first stage reach the target too: with few queries, one
    can get there by luck.
    """
    good: dict[FirstStage, AdvicePoint] = {}
    lost: set[FirstStage] = set()
    for point in sorted(points, key=lambda one: -one.oversampling):
        if point.chosen_on.low < target:
            lost.add(point.first_stage)
        if point.first_stage not in lost:
            good[point.first_stage] = point  # the last one has the least oversampling
    return min(good.values(), key=lambda one: (one.memory_share, one.milliseconds), default=None)


def one_per_stage(points: Sequence[AdvicePoint], target: float) -> tuple[AdvicePoint, ...]:
    """Return of every first stage the point with the least oversampling that surely reaches the target, else the most.

    The smallest first stage comes first.
    """
    stages = sorted(
        {point.first_stage for point in points}, key=lambda stage: (stage.bytes_per_vector, stage.dimensions)
    )
    return tuple(
        recommend(of_stage := [point for point in points if point.first_stage == stage], target)
        or max(of_stage, key=lambda one: one.oversampling)
        for stage in stages
    )


class _Judge:
    """Scores rankings; one that equals full search's is not scored again."""

    def __init__(self, score: Score | None, sample: NDArray[np.int64], ids: Sequence[str], full: FullSearch):
        self._score, self._sample, self._ids, self._best = score, sample, ids, full
        everything = np.arange(len(sample))
        self.full = self._values(everything, full.indices, full.scores)
        if not self.full[: len(sample) // 2].any():
            raise InputError(
                "full search finds nothing that is judged relevant, so no share of its quality can be measured",
                hint="check that the judgments are of this corpus",
            )

    def scores(self, indices: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the score of every query's ranking (queries, 10)."""
        values = self.full.copy()
        changed = np.flatnonzero((indices != self._best.indices).any(axis=1))
        values[changed] = self._values(changed, indices[changed], scores[changed])
        return values

    def _values(
        self, rows: NDArray[np.intp], indices: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        if self._score is None:
            return self._best.overlap(rows, scores)
        rankings = [[self._ids[index] for index in ranking if index >= 0] for ranking in indices.tolist()]
        return np.asarray(self._score(self._sample[rows].tolist(), rankings), dtype=np.float64)


def _sample(queries: int, documents: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of the queries to ask, in random order: the first half chooses."""
    if queries < LEAST_QUERIES:
        raise InputError(
            f"advice from {queries} queries would be a guess", hint=f"give at least {LEAST_QUERIES} queries"
        )
    affordable = max(_ENOUGH_QUERIES, _MOST_COMPARISONS // max(documents, 1))
    return np.random.default_rng(seed).permutation(queries)[: min(MAX_QUERIES, affordable)]


def _stages(dimensions: Sequence[int], full: int) -> list[FirstStage]:
    stages = [FirstStage(size, kind) for size in dimensions for kind in Quantization]
    return [stage for stage in stages if stage != FirstStage(full, Quantization.NONE)]


def _points(measured: Sequence[Measured], judge: _Judge, half: int, dimension: int) -> tuple[AdvicePoint, ...]:
    scores = np.stack(
        [
            judge.scores(one.indices[place], one.scores[place])
            for one in measured
            for place in range(len(OVERSAMPLINGS))
        ],
        axis=1,
    )  # (queries, points)
    lossy = np.minimum(scores, judge.full[:, None])
    chosen = share_intervals(lossy[:half], judge.full[:half], seed=1)
    confirmed = share_intervals(scores[half:], judge.full[half:], seed=2)
    grid = [(one, place) for one in measured for place in range(len(OVERSAMPLINGS))]
    return tuple(
        AdvicePoint(
            first_stage=one.stage,
            oversampling=OVERSAMPLINGS[place],
            memory_share=one.stage.bytes_per_vector / (4 * dimension),
            milliseconds=one.milliseconds[place],
            chosen_on=chosen[column],
            confirmed=confirmed[column],
        )
        for column, (one, place) in enumerate(grid)
    )


def _reason(recommended: AdvicePoint | None, points: Sequence[AdvicePoint], target: float) -> str:
    if recommended is None:
        best = max(points, key=lambda one: one.chosen_on.low)
        return (
            f"no first stage surely keeps {target:.1%} of full search's quality; the best, {name_of(best)}, keeps "
            f"{best.chosen_on.value:.1%} (at least {best.chosen_on.low:.1%}): search full vectors"
        )
    size = f"1/{math.floor(1 / recommended.memory_share + 1e-9)} of the memory"
    text = f"the least memory of all that surely keep {target:.1%}: {name_of(recommended)} takes {size} of full vectors"
    if recommended.memory_share > SMALL_SHARE + 1e-9:
        text += ", and nothing that takes 1/12 or less keeps enough"
    if recommended.confirmed.value < target:
        text += (
            "; the other half of the queries does not confirm it: take more oversampling, or measure again with more"
        )
    return text


def name_of(point: AdvicePoint) -> str:
    """Return a point in words: `128 dimensions in int8, 4 candidates per result`."""
    stage = point.first_stage
    kind = "float32" if stage.quantization is Quantization.NONE else stage.quantization.value
    return f"{stage.dimensions} dimensions in {kind}, {point.oversampling:g} candidates per result"
