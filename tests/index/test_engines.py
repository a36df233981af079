"""The congruence suite, part one: what is stored, changed and removed, the same for every engine."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.index.engines import DEFAULT, DIMENSION, EXACT, EngineCase, clustered, contents, contents_of, rows_of, unit

from dialekt.errors import InputError
from dialekt.index.checksums import engine_checksum
from dialekt.index.documents import Documents, content_hash
from dialekt.index.filters import Condition, Filter, tags_of
from dialekt.index.records import Rows
from dialekt.index.schema import open_database
from dialekt.types import Document

ODD_IDS = ("it's", 'a "b" c', "日本語-ключ-é", "a;DROP TABLE x", "50%_off\\", "{x}", "--", "a,b")
ODD_TAGS = ("note=it's", 'say="x"', "地=日本", "p=50%_\\", "list=a,b", "brace={x}")


def test_a_new_version_is_empty_and_finds_nothing(case: EngineCase, tmp_path: Path) -> None:
    """Before anything is stored there is nothing to count, scan, fetch or find, and finishing is no error."""
    engine = case.open(tmp_path)
    queries = clustered(2, DIMENSION, seed=1)
    for _ in range(2):
        assert engine.count() == 0
        assert [len(found.ids) for found in engine.search(queries, 5, settings=DEFAULT)] == [0, 0]
        assert [part for part in engine.scan(vectors=True) if len(part)] == []
        assert len(engine.fetch(["nothing"])) == 0
        engine.finish()
    engine.optimize()
    engine.close()


def test_what_is_loaded_is_held_in_every_column(case: EngineCase, tmp_path: Path) -> None:
    """Scan and fetch give back ids, documents, hashes, tags, spaces and float32 vectors as they were loaded."""
    engine = case.open(tmp_path)
    rows = rows_of(clustered(300, DIMENSION, seed=2))
    engine.load(rows.take(range(200)))
    engine.load(rows.take(range(200, 300)))
    engine.finish()
    assert engine.count() == 300
    assert contents(engine) == contents_of(rows)
    some = engine.fetch(["d7", "absent", "d299"])
    assert contents_of(some) == contents_of(rows.take([7, 299]))
    bare = engine.fetch(["d7"], vectors=False)
    assert (bare.ids, bare.hashes, bare.vectors.shape) == (("d7",), ("hash-7",), (1, 0))
    sizes = [len(part) for part in engine.scan(chunk_rows=128)]
    assert sum(sizes) == 300
    assert max(sizes) <= 128
    assert all(part.vectors.shape == (len(part), 0) for part in engine.scan())
    engine.close()


def test_a_row_replaces_the_one_of_its_id(case: EngineCase, tmp_path: Path) -> None:
    """An id that comes again, in the same call too, leaves one row, the last, for scan, fetch, count and search."""
    engine = case.open(tmp_path)
    rows = rows_of(clustered(40, DIMENSION, seed=3))
    engine.load(rows)
    engine.load(rows.take(range(10)))
    engine.finish()
    moved = rows_of(clustered(5, DIMENSION, seed=4), space="space-b")
    twice = rows_of(np.concatenate([rows.vectors[20:25], moved.vectors]), space="space-b")
    engine.upsert(dataclasses.replace(twice, ids=moved.ids * 2, hashes=moved.hashes * 2, tags=moved.tags * 2))
    assert engine.count() == 40
    engine.upsert(moved)
    expected = contents_of(rows) | contents_of(moved)
    assert engine.count() == 40
    assert contents(engine) == expected
    for settings in (DEFAULT, EXACT):
        found = engine.search(moved.vectors, 3, settings=settings)
        assert [one.ids[0] for one in found] == list(moved.ids)
        assert all(one.spaces[0] == "space-b" and len(set(one.ids)) == 3 for one in found)
    engine.close()


def test_changes_are_seen_by_the_next_search(case: EngineCase, tmp_path: Path) -> None:
    """An upserted unit is found at once, a deleted one never again, and absent ids are no error."""
    engine = case.open(tmp_path)
    rows = rows_of(clustered(60, DIMENSION, seed=5))
    engine.load(rows.take(range(50)))
    engine.finish()
    for place in range(50, 60):
        engine.upsert(rows.take([place]))
        assert engine.search(rows.vectors[[place]], 1, settings=DEFAULT)[0].ids == (f"d{place}",)
        engine.delete([f"d{place - 50}", "absent"])
        assert f"d{place - 50}" not in engine.search(rows.vectors[[place - 50]], 60, settings=DEFAULT)[0].ids
    assert contents(engine) == contents_of(rows.take(range(10, 60)))
    engine.delete([])
    assert engine.count() == 50
    engine.close()


def test_a_patch_changes_tags_and_leaves_the_vector(case: EngineCase, tmp_path: Path) -> None:
    """Patched tags decide filters at once; the vector stays, absent ids are passed over, none is made."""
    engine = case.open(tmp_path)
    rows = rows_of(clustered(30, DIMENSION, seed=6))
    engine.load(rows)
    engine.finish()
    engine.patch(["d3", "absent", "d4"], [("lang=fr", "z=1"), ("z=2",), ()])
    assert engine.count() == 30
    held = contents(engine)
    assert held["d3"][2] == ("lang=fr", "z=1")
    assert held["d4"][2] == ()
    assert held["d3"][4] == contents_of(rows)["d3"][4]
    only = Filter((Condition(frozenset({"lang=fr"})),))
    assert engine.search(rows.vectors[:1], 5, settings=DEFAULT, where=only)[0].ids == ("d3",)
    engine.close()


def test_odd_ids_and_tags_are_kept_as_they_are(case: EngineCase, tmp_path: Path) -> None:
    """Quotes, backslashes, wildcards and other scripts in ids and tags neither break nor widen anything."""
    engine = case.open(tmp_path)
    count = len(ODD_IDS)
    rows = Rows(
        ODD_IDS, ODD_IDS, ("h",) * count,
        tuple((ODD_TAGS[place % len(ODD_TAGS)],) for place in range(count)), ("s",) * count,
        clustered(count, DIMENSION, seed=7),
    )  # fmt: skip
    engine.load(rows.take(range(4)))
    engine.finish()
    engine.upsert(rows.take(range(4, count)))
    assert contents(engine) == contents_of(rows)
    for place, odd in enumerate(ODD_TAGS):
        only = Filter((Condition(frozenset({odd})),))
        found = engine.search(rows.vectors[:1], count, settings=DEFAULT, where=only)[0]
        assert set(found.ids) == {ODD_IDS[n] for n in range(count) if n % len(ODD_TAGS) == place}
    engine.patch([ODD_IDS[0]], [ODD_TAGS])
    assert contents_of(engine.fetch([ODD_IDS[0]]))[ODD_IDS[0]][2] == tuple(sorted(ODD_TAGS))
    for odd in ODD_IDS:
        assert engine.fetch([odd]).ids == (odd,)
        engine.delete([odd])
        assert engine.fetch([odd]).ids == ()
    assert engine.count() == 0
    engine.close()


def test_the_checksum_equals_the_tables(case: EngineCase, tmp_path: Path) -> None:
    """An engine that holds the documents' units has their checksum; with one tag changed it has another."""
    database = open_database(tmp_path / "index")
    documents = Documents(database)
    units = [Document(f"u{n}", f"text {n}", metadata={"lang": "en", "it's": f"é{n}"}) for n in range(20)]
    documents.write(units)
    engine = case.open(tmp_path)
    tags = tuple(tags_of(one.metadata) for one in units)
    ids = tuple(one.id for one in units)
    engine.load(Rows(ids, ids, tuple(map(content_hash, units)), tags, ("s",) * 20, clustered(20, DIMENSION, seed=8)))
    engine.finish()
    assert engine_checksum(engine) == documents.checksum()[0]
    engine.patch(["u3"], [("lang=de",)])
    assert engine_checksum(engine) != documents.checksum()[0]
    engine.close()
    database.close()


def test_another_dimension_is_an_error_that_names_both(case: EngineCase, tmp_path: Path) -> None:
    """Rows and queries of another dimension are refused, and nothing is stored."""
    engine = case.open(tmp_path)
    wrong = rows_of(clustered(3, DIMENSION + 2, seed=9))
    named = rf"(?s)(?=.*\b{DIMENSION}\b)(?=.*\b{DIMENSION + 2}\b)"
    with pytest.raises(InputError, match=named):
        engine.load(wrong)
    with pytest.raises(InputError, match=named):
        engine.upsert(wrong)
    with pytest.raises(InputError, match=named):
        engine.search(wrong.vectors, 3, settings=DEFAULT)
    assert engine.count() == 0
    engine.close()


def test_reopening_keeps_all(case: EngineCase, tmp_path: Path) -> None:
    """Closed and opened again, a version holds and finds what it did, indexes included."""
    rows = rows_of(clustered(80, DIMENSION, seed=10))
    engine = case.open(tmp_path)
    engine.load(rows)
    engine.finish()
    engine.delete(["d1"])
    engine.patch(["d2"], [("z=1",)])
    held = contents(engine)
    before = [one.ids for one in engine.search(rows.vectors[:5], 10, settings=EXACT)]
    engine.close()
    again = case.open(tmp_path)
    assert contents(again) == held
    assert [one.ids for one in again.search(rows.vectors[:5], 10, settings=EXACT)] == before
    again.close()


def test_another_handle_sees_what_was_written(case: EngineCase, tmp_path: Path) -> None:
    """What one handle has stored, replaced, patched or removed, another finds in its next search."""
    if not case.several:
        pytest.skip("this engine is one process's alone")
    rows = rows_of(clustered(50, DIMENSION, seed=12))
    writer, reader = case.open(tmp_path), case.open(tmp_path)
    writer.load(rows)
    writer.finish()
    assert reader.search(rows.vectors[[9]], 1, settings=DEFAULT)[0].ids == ("d9",)
    writer.delete(["d9"])
    assert "d9" not in reader.search(rows.vectors[[9]], 50, settings=DEFAULT)[0].ids
    reader.upsert(rows.take([9]))
    writer.patch(["d9"], [("z=1",)])
    only = Filter((Condition(frozenset({"z=1"})),))
    assert reader.search(rows.vectors[[0]], 50, settings=DEFAULT, where=only)[0].ids == ("d9",)
    assert contents(reader) == contents(writer)
    assert reader.count() == 50
    writer.close()
    reader.close()


def test_dropping_removes_the_version(case: EngineCase, tmp_path: Path) -> None:
    """After a drop nothing is left to find, dropping once more is no error, and a new version starts empty."""
    engine = case.open(tmp_path)
    engine.load(rows_of(clustered(20, DIMENSION, seed=13)))
    engine.finish()
    assert engine.size().disk_bytes > 0
    engine.drop()
    engine.drop()
    again = case.open(tmp_path)
    assert again.count() == 0
    again.drop()


def test_optimizing_changes_no_answer(case: EngineCase, tmp_path: Path) -> None:
    """After many small writes, tidying up leaves the rows and the answers as they are."""
    rows = rows_of(clustered(60, DIMENSION, seed=14))
    engine = case.open(tmp_path)
    engine.load(rows.take(range(30)))
    engine.finish()
    for place in range(30, 60):
        engine.upsert(rows.take([place]))
    engine.delete([f"d{n}" for n in range(0, 60, 7)])
    held = contents(engine)
    before = [one.ids for one in engine.search(rows.vectors[:5], 10, settings=EXACT)]
    engine.optimize()
    assert contents(engine) == held
    assert [one.ids for one in engine.search(rows.vectors[:5], 10, settings=EXACT)] == before
    engine.close()


def test_scores_are_cosines_best_first(case: EngineCase, tmp_path: Path) -> None:
    """Scores are the cosines to three places, falling, and name the document and space of their unit."""
    rows = rows_of(clustered(100, DIMENSION, seed=15))
    engine = case.open(tmp_path)
    engine.load(rows)
    engine.finish()
    query = unit(np.random.default_rng(1).normal(size=(1, DIMENSION)))
    for settings in (DEFAULT, EXACT):
        (found,) = engine.search(query, 10, settings=settings)
        held = dict(zip(rows.ids, rows.vectors @ query[0], strict=True))
        assert np.allclose(found.scores, [held[one] for one in found.ids], atol=1e-3)
        assert np.all(np.diff(found.scores) <= 0)
        assert found.document_ids == tuple(f"whole-d{int(one[1:]) // 2}" for one in found.ids)
        assert found.scores.dtype == np.float32
    engine.close()
