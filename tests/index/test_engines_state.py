"""The congruence suite, part three: any order of writes, several threads, and kills."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.index.engines import (
    DEFAULT,
    DIMENSION,
    EXACT,
    EngineCase,
    HeldRow,
    clustered,
    contents,
    contents_of,
    rows_of,
    version_name,
)
from tests.index.load_until_killed import BATCH

from dialekt.index.engines.base import VectorEngine
from dialekt.index.filters import Condition, Filter

VECTORS = clustered(500, DIMENSION, seed=31)
NUMBERS = st.lists(st.integers(0, 11), min_size=1, max_size=5, unique=True)
WRITES = st.one_of(
    st.tuples(st.just("upsert"), NUMBERS, st.integers(0, 300)),
    st.tuples(st.just("load"), NUMBERS, st.integers(0, 300)),
    st.tuples(st.just("delete"), NUMBERS, st.just(0)),
    st.tuples(st.just("patch"), NUMBERS, st.integers(0, 3)),
    st.tuples(st.just("finish"), st.just([0]), st.just(0)),
    st.tuples(st.just("optimize"), st.just([0]), st.just(0)),
)


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(writes=st.lists(WRITES, min_size=1, max_size=10))
def test_any_order_of_writes_leaves_what_a_dict_would_hold(
    case: EngineCase, tmp_path: Path, writes: list[tuple[str, list[int], int]]
) -> None:
    """After every write the engine holds, finds and filters what a dict with the same writes does."""
    engine = case.open(tmp_path)
    model: dict[str, HeldRow] = {}
    try:
        for kind, numbers, salt in writes:
            ids = [f"d{number}" for number in numbers]
            match kind:
                case "upsert" | "load":
                    rows = rows_of(VECTORS[salt : salt + 12]).take(numbers)
                    (engine.upsert if kind == "upsert" else engine.load)(rows)
                    model |= contents_of(rows)
                case "delete":
                    engine.delete(ids)
                    model = {held: row for held, row in model.items() if held not in ids}
                case "patch":
                    tags = (f"salt={salt}",)
                    engine.patch(ids, [tags] * len(ids))
                    model |= {held: (*model[held][:2], tags, *model[held][3:]) for held in ids if held in model}
                case "finish":
                    engine.finish()
                case "optimize":
                    engine.optimize()
            assert contents(engine) == model
            assert engine.count() == len(model)
            found = engine.search(VECTORS[:1], 20, settings=EXACT)[0]
            assert set(found.ids) == set(model)
            only = Filter((Condition(frozenset({"salt=1", "lang=de"})),))
            passing = {held for held, row in model.items() if only.matches(row[2])}
            assert set(engine.search(VECTORS[:1], 20, settings=DEFAULT, where=only)[0].ids) == passing
    finally:
        engine.drop()


def _write(engine: VectorEngine, writer: int) -> None:
    rows = rows_of(VECTORS[writer * 10 : writer * 10 + 10], prefix=f"w{writer}-")
    for place in range(10):
        engine.upsert(rows.take([place]))
    engine.patch(rows.ids[:2], [("z=1",), ("z=2",)])
    engine.delete(rows.ids[5:])


def _search(engine: VectorEngine, stop: threading.Event) -> int:
    searches = 0
    while not stop.is_set() or not searches:
        found = engine.search(VECTORS[[33]], 5, settings=DEFAULT)[0]
        assert len({*found.ids}) == 5
        assert np.isclose(found.scores[0], 1, atol=1e-3)
        searches += 1
    return searches


def test_searches_go_on_while_threads_write(case: EngineCase, tmp_path: Path) -> None:
    """Four threads upsert, patch and delete while two search and two tidy up; at the end every write is there."""
    engine = case.open(tmp_path)
    fixed = rows_of(VECTORS[:100], prefix="fixed")
    engine.load(fixed)
    engine.finish()
    stop = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        searching = [pool.submit(_search, engine, stop) for _ in range(2)]
        writing = [pool.submit(_write, engine, writer) for writer in range(4)]
        tidying = [pool.submit(engine.optimize) for _ in range(2)]
        wait([*writing, *tidying])
        stop.set()
        assert [one.result() for one in (*writing, *tidying)] == [None] * 6
        assert all(one.result() for one in searching)
    assert set(contents(engine)) == {*fixed.ids, *(f"w{writer}-{n}" for writer in range(4) for n in range(5))}
    engine.drop()


def _start_loading(case: EngineCase, home: Path, way: str) -> "subprocess.Popen[str]":
    """Start a process that stores the same numbered batches over and over until it is killed."""
    words = [case.engine.value, version_name(home), str(home / "version"), str(DIMENSION), way]
    words += [case.url] if case.url else []
    script = Path(__file__).with_name("load_until_killed.py")
    return subprocess.Popen([sys.executable, str(script), *words], stdout=subprocess.PIPE, text=True)


def _acknowledged(process: "subprocess.Popen[str]", *, until: int) -> int:
    """Kill the process after so many batches and return the number of the last that it said was stored."""
    assert process.stdout is not None
    last = -1
    with process:
        for line in process.stdout:
            last = int(line)
            if last == until:
                process.kill()
    return last


@pytest.mark.parametrize("way", ["load", "upsert"])
def test_a_kill_loses_nothing_that_was_acknowledged(case: EngineCase, way: str, tmp_path: Path) -> None:
    """A loading process that is killed with -9 leaves every batch whose call had returned, whole and readable."""
    acknowledged = _acknowledged(_start_loading(case, tmp_path, way), until=6)
    assert acknowledged >= 6
    engine = case.open(tmp_path)
    held = contents(engine)
    expected: dict[str, HeldRow] = {}
    for batch in range(acknowledged + 1):
        expected |= contents_of(rows_of(clustered(BATCH, DIMENSION, seed=batch), first=batch * BATCH))
    assert {one: held[one] for one in expected} == expected
    engine.load(rows_of(VECTORS[:3], prefix="after"))
    engine.finish()
    assert engine.search(VECTORS[:1], 1, settings=DEFAULT)[0].ids == ("after0",)
    engine.drop()


def test_two_processes_that_write_the_same_rows_leave_each_once(case: EngineCase, tmp_path: Path) -> None:
    """Two processes insert and replace the same ids at the same time; every id is there once, whole."""
    if not case.several:
        pytest.skip("this engine is one process's alone")
    case.open(tmp_path).close()
    processes = [_start_loading(case, tmp_path, way) for way in ("upsert", "load")]
    with ThreadPoolExecutor(2) as pool:
        stored = list(pool.map(lambda process: _acknowledged(process, until=8), processes))
    engine = case.open(tmp_path)
    held = contents(engine)
    for batch in range(max(stored) + 1):
        expected = contents_of(rows_of(clustered(BATCH, DIMENSION, seed=batch), first=batch * BATCH))
        assert {one: held[one] for one in expected} == expected
    engine.drop()
