"""The planner's bytes held against indexes that every engine really made."""

import gc
import tracemalloc
from pathlib import Path

import pytest
from tests.index.engines import FILE_ENGINES, SERVER_ENGINES, clustered, rows_of, version_name

from dialekt.config import IndexEngine, Quantization
from dialekt.flow.planning.plan import PARTITIONS
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.records import EngineSpec, FirstStage, Rows
from dialekt.planning.records import Layout, RowShape, Stored
from dialekt.planning.storage import code_bytes, quantizations, stored

TOLERANCE = 0.05
ROWS = 2_000
INDEXED_ROWS = 6_000  # LanceDB makes no index below 5,000
ROW_BYTES = 4  # LanceDB packs a row's address on disk; in memory it has eight bytes
STAGES = (
    (384, None),
    (384, FirstStage(64, Quantization.INT8)),
    (384, FirstStage(128, Quantization.BINARY)),
    (384, FirstStage(64, Quantization.NONE)),
)


def layout_of(engine: IndexEngine, dimension: int, stage: FirstStage | None) -> Layout:
    """Return the layout that a version is made of."""
    if stage is None:
        return Layout(engine, dimension, dimension, Quantization.NONE, first_stage=False)
    return Layout(engine, dimension, stage.dimensions, stage.quantization, first_stage=True)


def planned(engine: IndexEngine, dimension: int, stage: FirstStage | None, rows: Rows) -> Stored:
    """Return what the planner says of these rows, per row."""
    count = len(rows)
    shape = RowShape(
        id_bytes=sum(map(len, rows.ids)) / count,
        document_bytes=sum(map(len, rows.document_ids)) / count,
        tags=sum(map(len, rows.tags)) / count,
        tag_bytes=sum(len(tag) for own in rows.tags for tag in own) / count,
    )
    return stored(layout_of(engine, dimension, stage), shape, rows=count, partitions=PARTITIONS)


def filled(spec: EngineSpec, home: Path, rows: Rows, *, url: str | None = None) -> VectorEngine:
    """Return an engine with the rows in it."""
    engine = open_engine(spec, name=version_name(home), folder=home, url=url)
    for start in range(0, len(rows), 1_000):
        engine.load(rows.take(range(start, min(start + 1_000, len(rows)))))
    engine.finish()
    return engine


@pytest.mark.parametrize("dimension", [64, 384, 768, 1_024])
def test_the_file_of_exact_search(tmp_path: Path, dimension: int) -> None:
    """Pages that a row fills or overflows are counted as SQLite fills them; codes take no room on disk."""
    rows = rows_of(clustered(ROWS, dimension, seed=1))
    spec = EngineSpec(IndexEngine.EXACT, dimension, FirstStage(64, Quantization.INT8))
    filled(spec, tmp_path / "v", rows).close()  # which brings what was written ahead into the file
    size = (tmp_path / "v" / "rows.sqlite").stat().st_size / ROWS
    expected = planned(IndexEngine.EXACT, dimension, spec.first_stage, rows)
    assert expected.disk == pytest.approx(size, rel=TOLERANCE)


@pytest.mark.parametrize("stage", [None, FirstStage(64, Quantization.BINARY), FirstStage(48, Quantization.INT8)])
def test_the_memory_of_exact_search(tmp_path: Path, stage: FirstStage | None) -> None:
    """Codes or vectors, and an object per row beside them, are what Python holds; room that may grow is not counted."""
    rows = rows_of(clustered(ROWS, 64, seed=1))
    plain = Rows(rows.ids, rows.document_ids, rows.hashes, ((),) * ROWS, ("0123456789abcdef",) * ROWS, rows.vectors)
    spec = EngineSpec(IndexEngine.EXACT, 64, stage)
    filled(spec, tmp_path / "v", plain).close()
    gc.collect()
    tracemalloc.start()
    try:
        engine = open_engine(spec, name="v", folder=tmp_path / "v", url=None)
        engine.finish()
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] / ROWS
    finally:
        tracemalloc.stop()
    expected = planned(IndexEngine.EXACT, 64, stage, plain)
    assert expected.memory == pytest.approx(held, rel=2 * TOLERANCE)
    engine.close()


@pytest.mark.parametrize(("dimension", "stage"), STAGES)
def test_the_files_of_lancedb(tmp_path: Path, dimension: int, stage: FirstStage | None) -> None:
    """Just after a build the files are there twice, as planned; what a search reads first is the index."""
    rows = rows_of(clustered(INDEXED_ROWS, dimension, seed=1))
    size = filled(EngineSpec(IndexEngine.LANCEDB, dimension, stage), tmp_path / "v", rows).size()
    expected = planned(IndexEngine.LANCEDB, dimension, stage, rows)
    assert expected.disk + expected.building == pytest.approx(size.disk_bytes / INDEXED_ROWS, rel=TOLERANCE)
    assert expected.memory == pytest.approx(size.first_stage_bytes / INDEXED_ROWS, abs=ROW_BYTES)


def test_a_small_lancedb_has_no_index(tmp_path: Path) -> None:
    """Below 5,000 rows a search reads the vectors themselves."""
    rows = rows_of(clustered(ROWS, 384, seed=1))
    size = filled(EngineSpec(IndexEngine.LANCEDB, 384), tmp_path / "v", rows).size()
    expected = planned(IndexEngine.LANCEDB, 384, None, rows)
    assert expected.disk + expected.building == pytest.approx(size.disk_bytes / ROWS, rel=TOLERANCE)
    assert expected.memory == pytest.approx(size.first_stage_bytes / ROWS)


@pytest.mark.parametrize(
    ("dimension", "stage"),
    [
        (64, None),
        (384, None),
        (384, FirstStage(128, Quantization.BINARY)),
        (384, FirstStage(64, Quantization.NONE)),
        (1_024, None),
    ],
)
def test_the_tables_of_postgresql(tmp_path: Path, pgvector_url: str, dimension: int, stage: FirstStage | None) -> None:
    """Table, long vectors beside it, keys and graph take the pages that are planned."""
    rows = rows_of(clustered(ROWS, dimension, seed=1))
    engine = filled(EngineSpec(IndexEngine.PGVECTOR, dimension, stage), tmp_path / "v", rows, url=pgvector_url)
    size = engine.size()
    engine.drop()
    expected = planned(IndexEngine.PGVECTOR, dimension, stage, rows)
    assert expected.disk == pytest.approx(size.disk_bytes / ROWS, rel=TOLERANCE)
    assert expected.memory == pytest.approx(size.first_stage_bytes / ROWS, rel=TOLERANCE)


@pytest.mark.parametrize("quantization", list(Quantization))
def test_a_code_is_as_long_as_the_index_says(quantization: Quantization) -> None:
    """The planner's bytes of a code are those of the index room."""
    assert code_bytes(96, quantization) == FirstStage(96, quantization).bytes_per_vector


def test_the_planner_offers_what_the_engines_take(tmp_path: Path, pgvector_url: str) -> None:
    """Every quantisation that is planned can be opened, and int8 in PostgreSQL, which cannot be, is not planned."""
    for case in (*FILE_ENGINES.values(), SERVER_ENGINES["pgvector"]):
        url = pgvector_url if case.engine is IndexEngine.PGVECTOR else None
        for kind in quantizations(case.engine, 32):
            home = tmp_path / f"{case.engine.value}-{kind.value}"
            engine = open_engine(
                EngineSpec(case.engine, 64, FirstStage(32, kind)), name=version_name(home), folder=home, url=url
            )
            engine.drop()
    assert Quantization.INT8 not in quantizations(IndexEngine.PGVECTOR, 32)
    assert Quantization.BINARY not in quantizations(IndexEngine.LANCEDB, 36)
