"""How much of a gain is the luck of one training: the same journey with several seeds, on the same test queries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings, compare
from dialekt.measures.metrics import NDCG
from dialekt.measures.statistics import resampled_means
from dialekt.types import Interval

_SEED = 7


@dataclass(frozen=True, slots=True)
class SeedRun:
    """One training: its NDCG@10 on the test queries and its gain over the base model, with the interval over queries.

    `proven` says whether the promotion gate would call the gain proven.
    """

    seed: int
    ndcg: float
    gain: float
    low: float
    high: float
    proven: bool


@dataclass(frozen=True, slots=True)
class SeedFacts:
    """All trainings, and the mean gain with its interval over queries and seeds.

    `deviation` is the standard deviation of the gains between seeds. `unanimous` says that every seed alone would have
    decided the same at the gate.
    """

    runs: tuple[SeedRun, ...]
    queries: int
    confidence: float
    base_ndcg: float
    gain: Interval
    deviation: float
    unanimous: bool


def compare_seeds(
    seeds: Sequence[int],
    base: NDArray[np.float64],
    tuned: NDArray[np.float64],
    *,
    minimum_gain: float,
    settings: Settings,
) -> SeedFacts:
    """Compare NDCG@10 of several trainings, `tuned` (seeds, queries), with the base model's (queries,)."""
    runs = tuple(_run(seed, base, values, minimum_gain, settings) for seed, values in zip(seeds, tuned, strict=True))
    gains = np.array([run.gain for run in runs])
    return SeedFacts(
        runs=runs,
        queries=len(base),
        confidence=settings.confidence,
        base_ndcg=float(base.mean()),
        gain=two_level_interval(tuned - base, settings),
        deviation=float(gains.std(ddof=1)) if len(gains) > 1 else 0.0,
        unanimous=len({run.proven for run in runs}) == 1,
    )


def _run(
    seed: int, base: NDArray[np.float64], tuned: NDArray[np.float64], minimum_gain: float, settings: Settings
) -> SeedRun:
    scores = {"tuned": {NDCG: tuned}, "base": {NDCG: base}}
    found = compare(scores, [("tuned", "base", NDCG)], settings)[0]
    ndcg = float(tuned.mean())
    return SeedRun(seed, ndcg, found.difference, found.low, found.high, proven=found.low > minimum_gain)


def two_level_interval(differences: NDArray[np.float64], settings: Settings) -> Interval:
    """Return the mean of `differences` (seeds, queries) with its percentile interval over queries and seeds.

    Every resample draws queries, the same for all seeds, and seeds, the same for all queries (the pigeonhole bootstrap
    of crossed factors, Owen 2007). The seeds' deviations from their mean are stretched by √(seeds / (seeds - 1)),
    because a resample of few seeds varies too little. Two or three seeds still only hint at how much training varies.
    """
    seeds = len(differences)
    middle = differences.mean(axis=0)
    stretch = math.sqrt(seeds / (seeds - 1)) if seeds > 1 else 0.0
    stretched = middle + stretch * (differences - middle)
    means = resampled_means(stretched.T, resamples=settings.resamples, seed=settings.seed + _SEED)  # (resamples, seeds)
    generator = np.random.default_rng(settings.seed + _SEED + 1)
    counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=settings.resamples)
    drawn = (means * counts).sum(axis=1) / seeds
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(middle.mean()), float(low), float(high))
