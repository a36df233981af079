"""Advice on a first stage: what is measured, and what is recommended."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.index.engines import FILE_ENGINES, clustered, rows_of

from dialekt.config import Quantization
from dialekt.errors import InputError
from dialekt.index.advising import (
    OVERSAMPLINGS,
    Advice,
    AdvicePoint,
    advise,
    held_vectors,
    name_of,
    one_per_stage,
    recommend,
)
from dialekt.index.records import FirstStage
from dialekt.types import Interval, Progress

DIMENSION = 64
DIMENSIONS = (64, 32, 16)
VECTORS = clustered(1_500, DIMENSION, seed=1)
QUERIES = clustered(60, DIMENSION, seed=2)
IDS = tuple(f"d{number}" for number in range(len(VECTORS)))


@pytest.fixture(scope="module")
def advice() -> Advice:
    """Advice without judgments."""
    return advise(VECTORS, QUERIES, ids=IDS, dimensions=DIMENSIONS, target=0.95)


def _point(stage: FirstStage, oversampling: float, *, low: float, milliseconds: float = 1.0) -> AdvicePoint:
    interval = Interval(low, low, low)
    share = stage.bytes_per_vector / (4 * DIMENSION)
    return AdvicePoint(stage, oversampling, share, milliseconds, interval, interval)


SMALL, LARGE = FirstStage(32, Quantization.BINARY), FirstStage(64, Quantization.INT8)


def test_the_whole_grid_is_measured(advice: Advice) -> None:
    """Every dimension and quantisation but full vectors themselves, with every oversampling; each takes time."""
    stages = {point.first_stage for point in advice.points}
    everything = {FirstStage(size, kind) for size in DIMENSIONS for kind in Quantization}
    assert stages == everything - {FirstStage(DIMENSION, Quantization.NONE)}
    assert len(advice.points) == len(stages) * len(OVERSAMPLINGS)
    assert all(point.milliseconds > 0 for point in advice.points)
    assert advice.full_milliseconds > 0


def test_both_halves_of_the_queries_are_reported(advice: Advice) -> None:
    """Each half has half of the queries, and without judgments full search is the measure: it scores 1."""
    assert (advice.choosing, advice.confirming, advice.documents) == (30, 30, 1_500)
    assert (advice.metric, advice.full_score) == ("overlap@10", 1.0)
    assert all(0 <= point.chosen_on.low <= point.chosen_on.value <= 1 for point in advice.points)


def test_more_oversampling_finds_no_less(advice: Advice) -> None:
    """Where codes are compared once, a longer shortlist holds the shorter one."""
    for size in (64, 32, 16):
        shares = [
            point.confirmed.value for point in advice.points if point.first_stage == FirstStage(size, Quantization.INT8)
        ]
        assert shares == sorted(shares)


def test_what_is_recommended_surely_reaches_the_target_with_the_least_memory(advice: Advice) -> None:
    """No first stage that takes less memory gets there, and the reason names stage and size."""
    best = advice.recommended
    assert best is not None
    assert best.chosen_on.low >= 0.95
    for point in one_per_stage(advice.points, 0.95):
        assert point.memory_share >= best.memory_share or point.chosen_on.low < 0.95
    assert name_of(best) in advice.reason
    assert advice.is_confirmed is (best.confirmed.value >= 0.95)


def test_the_shares_are_those_of_a_plain_computation(advice: Advice) -> None:
    """32 float32 dimensions at 2 candidates per result, computed once more in float64 without our code."""
    wide, short = VECTORS.astype(np.float64), VECTORS[:, :32].astype(np.float64)
    short /= np.linalg.norm(short, axis=1, keepdims=True)
    shares = []
    for query in QUERIES.astype(np.float64):
        shortlist = np.argsort(-(short @ query[:32]))[:20]
        reranked = shortlist[np.argsort(-(wide[shortlist] @ query))][:10]
        shares.append(len(set(reranked) & set(np.argsort(-(wide @ query))[:10])) / 10)
    stage = FirstStage(32, Quantization.NONE)
    point = next(one for one in advice.points if one.first_stage == stage and one.oversampling == 2)
    assert (point.chosen_on.value + point.confirmed.value) / 2 == pytest.approx(np.mean(shares))


def test_judgments_decide_where_they_are_given() -> None:
    """A score that counts one judged document per query gets the rows and ids that it knows, ten at most."""
    answers = {row: IDS[int(np.argmax(VECTORS @ query))] for row, query in enumerate(QUERIES)}

    def score(rows: Sequence[int], rankings: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        assert all(len(ranking) <= 10 for ranking in rankings)
        found = [float(answers[row] == ranking[0]) for row, ranking in zip(rows, rankings, strict=True)]
        return np.array(found)

    advice = advise(VECTORS, QUERIES, ids=IDS, dimensions=DIMENSIONS, score=score, target=0.95)
    assert (advice.metric, advice.full_score) == ("NDCG@10", 1.0)
    assert advice.recommended is not None


def test_gains_by_luck_do_not_choose() -> None:
    """A score under which every change of a ranking is a gain shows as unchanged where it chooses, plainly else."""

    def score(rows: Sequence[int], rankings: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        best = [set(np.argsort(-(VECTORS @ QUERIES[row]))[:10]) for row in rows]
        missed = [len({f"d{place}" for place in ten} - set(ids)) for ten, ids in zip(best, rankings, strict=True)]
        return np.array(missed, dtype=np.float64) + 1

    advice = advise(VECTORS, QUERIES, ids=IDS, dimensions=DIMENSIONS, score=score, target=0.95)
    worst = advice.points[-len(OVERSAMPLINGS)]
    assert worst.chosen_on == Interval(1.0, 1.0, 1.0)
    assert worst.confirmed.value > 1


def test_equal_inputs_give_equal_advice(advice: Advice) -> None:
    """But for the clock, nothing changes from run to run."""

    def timeless(one: Advice) -> list[AdvicePoint]:
        return [dataclasses.replace(point, milliseconds=0.0) for point in one.points]

    again = advise(VECTORS, QUERIES, ids=IDS, dimensions=DIMENSIONS, target=0.95)
    assert timeless(again) == timeless(advice)


def test_one_lucky_step_is_not_recommended() -> None:
    """A point counts only if more oversampling keeps the target too."""
    lucky = [_point(SMALL, 1, low=0.995), _point(SMALL, 2, low=0.97), _point(SMALL, 3, low=0.98)]
    sure = [_point(LARGE, 1, low=0.95), _point(LARGE, 2, low=0.991), _point(LARGE, 3, low=0.999)]
    assert recommend([*lucky, *sure], 0.99) == sure[1]
    assert recommend(lucky, 0.99) is None


def test_of_two_first_stages_of_one_size_the_faster_is_recommended() -> None:
    """32 dimensions in int8 take what 8 in float32 take."""
    slow = _point(FirstStage(32, Quantization.INT8), 1, low=1.0, milliseconds=2.0)
    fast = _point(FirstStage(8, Quantization.NONE), 6, low=1.0, milliseconds=1.0)
    assert recommend([slow, fast], 0.99) == fast


def test_where_nothing_reaches_the_target_full_search_is_recommended() -> None:
    """Sixteen signs of random directions cannot, and the reason names the best of all and what it keeps."""
    draw = np.random.default_rng(1)
    vectors = draw.normal(size=(3_000, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"d{number}" for number in range(3_000)]
    advice = advise(vectors, vectors[::75] + 0.1, ids=names, dimensions=(16,), target=0.99)
    assert advice.recommended is None
    assert not advice.is_confirmed
    assert "no first stage surely keeps 99.0%" in advice.reason
    assert "search full vectors" in advice.reason


def test_a_corpus_smaller_than_ten_is_searched_whole() -> None:
    """Six units are all in every shortlist, so the smallest first stage loses nothing."""
    advice = advise(VECTORS[:6], QUERIES, ids=IDS[:6], dimensions=DIMENSIONS)
    assert advice.recommended is not None
    assert advice.recommended.first_stage == FirstStage(16, Quantization.BINARY)
    assert advice.recommended.confirmed == Interval(1.0, 1.0, 1.0)


def test_few_queries_are_refused() -> None:
    """Advice needs queries to choose on and queries to confirm on."""
    with pytest.raises(InputError, match="from 19 queries would be a guess") as caught:
        advise(VECTORS, QUERIES[:19], ids=IDS, dimensions=DIMENSIONS)
    assert "at least 20" in caught.value.hint


def test_judgments_that_full_search_never_meets_are_refused() -> None:
    """A share of nothing says nothing."""
    with pytest.raises(InputError, match="finds nothing that is judged relevant"):
        advise(VECTORS, QUERIES, ids=IDS, dimensions=DIMENSIONS, score=lambda rows, _: np.zeros(len(rows)))


def test_vectors_come_from_an_index_too(tmp_path: Path) -> None:
    """All rows of an engine with their ids; an empty one is refused."""
    engine = FILE_ENGINES["exact"].open(tmp_path, dimension=DIMENSION)
    with pytest.raises(InputError, match="the index is empty"):
        held_vectors(engine)
    engine.load(rows_of(VECTORS))
    ids, vectors = held_vectors(engine)
    assert sorted(ids) == sorted(IDS)
    assert np.array_equal(vectors, VECTORS[[int(name[1:]) for name in ids]])


def test_progress_counts_first_stages() -> None:
    """It begins at none and ends with all of them."""
    steps: list[Progress] = []
    advise(VECTORS, QUERIES, ids=IDS, dimensions=(32,), progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
