"""What is particular to LanceDB: when there is an index, what it refuses."""

import logging
from pathlib import Path

import pytest
from tests.index.engines import (
    DIMENSION,
    FILE_ENGINES,
    clustered,
    contents,
    contents_of,
    exact_answers,
    recall,
    rows_of,
)

from dialekt.config import Quantization
from dialekt.errors import ConfigError, StorageError
from dialekt.index.engines import lance
from dialekt.index.engines.lance import MIN_INDEXED
from dialekt.index.records import FirstStage, SearchSettings

CASE = FILE_ENGINES["lancedb"]


def test_a_small_version_is_compared_row_by_row(tmp_path: Path) -> None:
    """Below 5,000 rows there is no index over vectors and one effort; from there on there is a ladder."""
    engine = CASE.open(tmp_path)
    rows = rows_of(clustered(MIN_INDEXED, DIMENSION, seed=61))
    engine.load(rows.take(range(1_000)))
    engine.finish()
    before = engine.efforts
    engine.load(rows.take(range(1_000, MIN_INDEXED)))
    engine.finish()
    assert (before, engine.efforts) == ((0,), (1, 2, 4))
    engine.drop()


def test_more_results_than_a_partition_has_are_all_there(tmp_path: Path) -> None:
    """With the least effort too there are as many results as were asked for, and finishing twice changes nothing."""
    engine = CASE.open(tmp_path)
    rows = rows_of(clustered(MIN_INDEXED, DIMENSION, seed=62))
    engine.load(rows)
    engine.finish()
    engine.finish()
    queries = clustered(3, DIMENSION, seed=63)
    found = engine.search(queries, MIN_INDEXED - 5, settings=SearchSettings(effort=1))
    assert [len({*one.ids}) for one in found] == [MIN_INDEXED - 5] * 3
    assert recall(engine.search(queries, 500, settings=SearchSettings()), exact_answers(rows, queries, 500)) >= 0.99
    engine.drop()


def test_rows_that_came_later_are_in_the_index_after_tidying_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Optimizing takes later rows into the index; what was found before is found after, and nothing is logged."""
    caplog.set_level(logging.WARNING)
    engine = CASE.open(tmp_path)
    rows = rows_of(clustered(MIN_INDEXED + 500, DIMENSION, seed=64))
    engine.load(rows.take(range(MIN_INDEXED)))
    engine.finish()
    for start in range(MIN_INDEXED, MIN_INDEXED + 500, 100):
        engine.upsert(rows.take(range(start, start + 100)))
    queries = rows.vectors[-20:]
    truth = exact_answers(rows, queries, 10)
    assert recall(engine.search(queries, 10, settings=SearchSettings()), truth) >= 0.99
    engine.optimize()
    assert recall(engine.search(queries, 10, settings=SearchSettings()), truth) >= 0.99
    assert engine.count() == MIN_INDEXED + 500
    assert caplog.records == []
    engine.drop()


def test_many_small_writes_are_tidied_up_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows come one by one, they lie in few pieces, and none is lost."""
    import lancedb

    monkeypatch.setattr(lance, "TIDY_WRITES", 8)
    engine = CASE.open(tmp_path)
    rows = rows_of(clustered(40, DIMENSION, seed=67))
    for place in range(40):
        engine.upsert(rows.take([place]))
    assert contents(engine) == contents_of(rows)
    table = lancedb.connect(tmp_path / "version").open_table("rows")
    assert table.stats()["fragment_stats"]["num_fragments"] <= 8
    engine.drop()


def test_files_of_another_dimension_are_refused(tmp_path: Path) -> None:
    """A version is not opened over files that hold vectors of another length, or no short ones."""
    CASE.open(tmp_path).close()
    with pytest.raises(StorageError, match="schema does not match"):
        CASE.open(tmp_path, dimension=DIMENSION + 1)
    with pytest.raises(StorageError, match="schema does not match"):
        CASE.open(tmp_path, first_stage=FirstStage(4, Quantization.INT8))


def test_binary_codes_need_whole_bytes(tmp_path: Path) -> None:
    """A binary first stage of a length that RaBitQ cannot take is refused with one that it can."""
    with pytest.raises(ConfigError, match="100 dimensions cannot be binary"):
        CASE.open(tmp_path, dimension=384, first_stage=FirstStage(100, Quantization.BINARY))


def test_damaged_files_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """A vector file that was cut short is reported as damaged, with the way out."""
    engine = CASE.open(tmp_path)
    engine.load(rows_of(clustered(50, DIMENSION, seed=65)))
    for path in (tmp_path / "version" / "rows.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="cannot be used") as caught:
        CASE.open(tmp_path).search(clustered(1, DIMENSION, seed=66), 3, settings=SearchSettings())
    assert "build it again" in caught.value.hint
