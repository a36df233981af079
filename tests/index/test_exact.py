"""What is particular to exact search in files: memory that follows the file."""

from pathlib import Path

import pytest
from tests.index.engines import DEFAULT, DIMENSION, FILE_ENGINES, clustered, exact_answers, recall, rows_of

from dialekt.config import Quantization
from dialekt.errors import StorageError
from dialekt.index.engines import exact
from dialekt.index.records import FirstStage, SearchSettings

CASE = FILE_ENGINES["exact"]


def test_who_has_missed_too_much_reads_afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that knows less than the list of removed rows still tells reads all rows again."""
    monkeypatch.setattr(exact, "_KEPT_GONE", 3)
    rows = rows_of(clustered(50, DIMENSION, seed=51))
    writer, reader = CASE.open(tmp_path), CASE.open(tmp_path)
    writer.load(rows)
    assert len(reader.search(rows.vectors[:1], 50, settings=DEFAULT)[0].ids) == 50
    writer.delete(rows.ids[:20])
    writer.upsert(rows.take([3]))
    writer.optimize()
    found = reader.search(rows.vectors[:1], 50, settings=DEFAULT)[0]
    assert set(found.ids) == {"d3", *rows.ids[20:]}


@pytest.mark.parametrize("first_stage", [None, FirstStage(8, Quantization.INT8)])
def test_rows_that_change_often_are_found_as_they_are_last(first_stage: FirstStage | None, tmp_path: Path) -> None:
    """Thousands of replacements of a few rows leave those rows, each found by its last vector."""
    engine = CASE.open(tmp_path, first_stage=first_stage)
    for turn in range(40):
        engine.upsert(rows_of(clustered(60, DIMENSION, seed=turn)))
        engine.search(clustered(1, DIMENSION, seed=0), 1, settings=DEFAULT)
    last = rows_of(clustered(60, DIMENSION, seed=39))
    found = engine.search(last.vectors, 1, settings=SearchSettings(oversampling=4))
    assert [one.ids[0] for one in found] == list(last.ids)
    assert engine.size().first_stage_bytes == 60 * DIMENSION * (1 if first_stage else 4)


def test_codes_that_began_with_one_row_are_as_good_as_those_of_all(tmp_path: Path) -> None:
    """An int8 first stage that grew row by row finds as much as one whose rows were there at once."""
    rows = rows_of(clustered(2_000, 64, seed=52))
    queries = clustered(40, 64, seed=53)
    engine = CASE.open(tmp_path, dimension=64, first_stage=FirstStage(64, Quantization.INT8))
    for start, end in ((0, 1), (1, 3), (3, 10), (10, 500), (500, 2_000)):
        engine.upsert(rows.take(range(start, end)))
        engine.search(queries[:1], 1, settings=DEFAULT)
    found = engine.search(queries, 10, settings=SearchSettings(oversampling=2))
    assert recall(found, exact_answers(rows, queries, 10)) >= 0.995


def test_a_file_of_another_dimension_is_refused(tmp_path: Path) -> None:
    """A version is not opened over a file that holds vectors of another length."""
    engine = CASE.open(tmp_path)
    engine.load(rows_of(clustered(3, DIMENSION, seed=54)))
    engine.close()
    with pytest.raises(StorageError, match=f"have {DIMENSION} dimensions, not {DIMENSION + 1}"):
        CASE.open(tmp_path, dimension=DIMENSION + 1)
