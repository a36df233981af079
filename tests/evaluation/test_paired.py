"""Two tuned models from two evaluations are compared query by query."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dialekt.evaluation.comparison import Settings
from dialekt.evaluation.paired import compare_tuned
from dialekt.evaluation.records import QueryScore
from dialekt.measures.metrics import NDCG
from dialekt.store.tables import write_records

SETTINGS = Settings(confidence=0.95, resamples=1_000, seed=1)


def evaluation(folder: Path, values: Mapping[str, float]) -> Path:
    """An evaluation artefact in which the tuned model has these values, and another system and metric others."""
    folder.mkdir()
    rows = [QueryScore(query, "tuned", NDCG, value) for query, value in values.items()]
    others = [QueryScore(query, "base", NDCG, 0.0) for query in values]
    others += [QueryScore(query, "tuned", "MRR@10", 0.0) for query in values]
    write_records(folder / "scores.parquet", [*rows[::-1], *others], QueryScore)
    return folder


def test_own_minus_other_on_the_same_queries(tmp_path: Path) -> None:
    """Differences are paired by query id, whatever the order of the rows."""
    values = {f"q{number}": number / 100 for number in range(60)}
    own = evaluation(tmp_path / "own", values)
    other = evaluation(tmp_path / "other", {query: values[query] + 0.1 for query in reversed(values)})
    found = compare_tuned(own, other, SETTINGS)
    assert found is not None
    assert (found.difference, found.low, found.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert (found.losses, found.wins) == (60, 0)


def test_other_queries_cannot_be_compared(tmp_path: Path) -> None:
    """One query more or less, and there is no comparison."""
    own = evaluation(tmp_path / "own", {"a": 0.5, "b": 0.5})
    assert compare_tuned(own, evaluation(tmp_path / "other", {"a": 0.5}), SETTINGS) is None
    assert compare_tuned(evaluation(tmp_path / "none", {}), evaluation(tmp_path / "empty", {}), SETTINGS) is None
