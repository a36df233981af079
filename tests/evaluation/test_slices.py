"""Slices say for whom it got better, and their intervals hold at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.world import World

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.held import read_held
from dialekt.evaluation.records import Slice
from dialekt.evaluation.slices import SliceSources, slice_queries
from dialekt.logs.records import LogQuery
from dialekt.measures.metrics import NDCG
from dialekt.measures.retrieval import read_collection
from dialekt.store.tables import write_records
from dialekt.types import Split

SETTINGS = Settings(confidence=0.95, resamples=1000, seed=1)


def slices(world: World, differences: NDArray[np.float64] | None, *, logs: Path | None = None) -> tuple[Slice, ...]:
    """Slice a world whose test queries changed by some differences; None: nothing was tuned."""
    held = read_held(world.folder("split"), labels=None, minimum_grade=1)
    base = np.full(len(held.test), 0.4)
    scores = {"base": {NDCG: base}} | ({} if differences is None else {"tuned": {NDCG: base + differences}})
    sources = SliceSources(world.folder("corpus"), world.folder("pairs"), logs=logs, fields=("kind",))
    return slice_queries(sources, read_collection(world.folder("corpus")), held, scores, settings=SETTINGS)


@pytest.fixture
def kinds(world: World) -> World:
    """The world with 30 test queries, whose answers are of an even or an odd kind."""
    queries = tuple(
        replace(query, split=Split.TEST if number < 30 else Split.TRAIN) for number, query in enumerate(world.queries)
    )
    documents = tuple(
        replace(document, metadata={"kind": "even" if int(document.id.split("/")[0]) % 2 == 0 else "odd"})
        for document in world.documents
    )
    pairs = tuple(pair for pair in world.pairs if int(pair.query_id[1:]) >= 30)
    return world.changed(queries=queries, documents=documents, pairs=pairs)


def test_a_slice_that_gains_is_told_from_one_that_loses(kinds: World) -> None:
    """Even topics gained, odd ones lost: both are proven, and the means are those of their queries."""
    generator = np.random.default_rng(1)
    signs = np.where(np.arange(30) % 2 == 0, 1.0, -1.0)
    differences = signs * generator.uniform(0.1, 0.3, 30)
    found = {item.value: item for item in slices(kinds, differences) if item.dimension == "answer's kind"}
    assert found["even"].low > 0
    assert found["odd"].high < 0
    assert found["even"].queries == found["odd"].queries == 15
    assert found["even"].difference == pytest.approx(differences[::2].mean())
    assert found["even"].tuned == pytest.approx(0.4 + differences[::2].mean())


def test_few_wins_prove_nothing(kinds: World) -> None:
    """Two wins of fifteen are no proof, whatever their size."""
    differences = np.zeros(30)
    differences[[0, 2]] = 0.6
    assert all(item.low <= 0 <= item.high for item in slices(kinds, differences))


def test_a_log_tells_how_frequent_queries_are(kinds: World) -> None:
    """Queries are found in the log by their text; those that it does not have belong to no slice of frequency."""
    logs = kinds.folder("logs")
    rows = [
        LogQuery(query.id, query.text, frequency="head" if number < 12 else "tail")
        for number, query in enumerate(kinds.queries[:25])
    ]
    write_records(logs / "queries.parquet", rows, LogQuery)
    found = [item for item in slices(kinds, np.zeros(30), logs=logs) if item.dimension == "query frequency"]
    assert [(item.value, item.queries) for item in found] == [("head", 12), ("tail", 13)]


def test_without_a_tuned_model_there_are_no_slices(kinds: World) -> None:
    """Nothing changed for anybody."""
    assert slices(kinds, None) == ()


def test_too_few_queries_have_no_slices(world: World) -> None:
    """Twelve test queries cannot be divided into parts of ten."""
    assert slices(world, np.zeros(12)) == ()
