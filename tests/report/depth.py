"""What an evaluation says in depth: slices, general queries, judged shares, thresholds, similarity."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.records import (
    Comparison,
    GeneralFacts,
    Histogram,
    JudgedShare,
    Slice,
    Threshold,
    UnjudgedFacts,
)
from dialekt.measures.metrics import NDCG
from dialekt.types import Interval

TEST_QUERIES = 812
SLICES = {
    "query length": ("1-2 words", "3-5 words", "6-10 words", "over 10 words"),
    "query frequency": ("head", "torso", "tail"),
    "jargon": ("little", "some", "much"),
    "answer seen in training": ("seen", "unseen"),
    "words shared with the answer": ("few", "many"),
    "metadata category": ("pandas", "a category with a name that is very much longer than the others", "torch"),
}


def slices(gain: float, *, losing: str = "") -> tuple[Slice, ...]:
    """Return every slice with about this gain; the losing one is proven worse."""
    generator = np.random.default_rng(5)
    found = []
    for dimension, values in SLICES.items():
        shares = generator.dirichlet([3.0] * len(values))
        for value, share in zip(values, shares, strict=True):
            queries = max(int(TEST_QUERIES * share), 12)
            half = 2.9 * 0.19 / queries**0.5
            difference = gain + float(generator.normal(0, 0.02)) if value != losing else -1.4 * half
            base = float(generator.uniform(0.42, 0.58))
            found.append(
                Slice(
                    dimension, value, queries, base, base + difference, difference, difference - half, difference + half
                )
            )
    return tuple(found)


def general(difference: float, *, limit: float = 0.03) -> GeneralFacts:
    """Return what a run that changes general queries by this much leaves."""
    low, high = difference - 0.014, difference + 0.014
    comparison = Comparison("tuned", "base", NDCG, difference, low, high, 0.012, 31, 48, 121)
    base = Interval(0.671, 0.622, 0.719)
    tuned = Interval(*(value + difference for value in (0.671, 0.622, 0.719)))
    return GeneralFacts("builtin", 200, 1_500, base, tuned, comparison, limit, passed=difference > -limit)


def unjudged(means: Mapping[str, float], comparison: Comparison | None, *, meaningful: bool) -> UnjudgedFacts:
    """Return shares of judged documents: the tuned systems find more that nobody judged."""
    shares = {"base": 0.62, "bm25": 0.66, "tuned": 0.55, "hybrid_base": 0.63, "hybrid_tuned": 0.58}
    systems = tuple(
        JudgedShare(name, Interval(shares[name], shares[name] - 0.02, shares[name] + 0.02), _around(mean + 0.03, 0.025))
        for name, mean in means.items()
    )
    return UnjudgedFacts(systems, comparison, 4_120 if meaningful else 0, meaningful)


def thresholds() -> tuple[Threshold, ...]:
    """Return a threshold that holds, and one that no dev query allows."""
    return (
        Threshold("base", 0.8, None, None, None, None, TEST_QUERIES),
        Threshold("tuned", 0.8, 0.634, _around(0.79, 0.03), _around(0.41, 0.028), 0.22, TEST_QUERIES),
    )


def _around(value: float, half: float) -> Interval:
    return Interval(value, value - half, value + half)


def _histogram(generator: np.random.Generator, mean: float, spread: float) -> Histogram:
    values: NDArray[np.float64] = np.clip(generator.normal(mean, spread, 2_400), -1, 1)
    counts, _ = np.histogram(values, bins=80, range=(-1, 1))
    return Histogram(-1.0, 1.0, tuple(int(count) for count in counts))


def similarity(*, separated: bool) -> dict[str, Histogram]:
    """Return cosines of positives and negatives before and after tuning."""
    generator = np.random.default_rng(7)
    shift = 0.09 if separated else 0.005
    return {
        "base_positives": _histogram(generator, 0.58, 0.13),
        "base_negatives": _histogram(generator, 0.51, 0.08),
        "tuned_positives": _histogram(generator, 0.60 + shift / 3, 0.12),
        "tuned_negatives": _histogram(generator, 0.51 - shift, 0.08),
    }
