"""Engines on servers when something is wrong: an address, a right, a lost connection, a full disk."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from tests.index.engines import DEFAULT, DIMENSION, clustered, contents, contents_of, rows_of
from tests.index.postgres_server import PostgresServer
from tests.index.qdrant_rest import QdrantRest

from dialekt.config import IndexEngine, Quantization
from dialekt.errors import ConfigError, DialektError, EndpointError, InputError, StorageError
from dialekt.index.engines import postgres_connection
from dialekt.index.engines.base import VectorEngine, open_engine
from dialekt.index.engines.postgres import PostgresEngine
from dialekt.index.engines.qdrant import LOCAL_ROWS, point_id
from dialekt.index.filters import Condition, Filter
from dialekt.index.records import EngineSpec, FirstStage, SearchSettings

POSTGRES = EngineSpec(IndexEngine.PGVECTOR, DIMENSION)
QDRANT = EngineSpec(IndexEngine.QDRANT, DIMENSION)
HERE = Path()


@pytest.fixture
def name() -> str:
    """A table's name of a test's own."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call waits for a server that is gone for two seconds, not ten."""
    monkeypatch.setattr(postgres_connection, "PATIENCE_SECONDS", 2.0)


@pytest.fixture
def table(pgvector_url: str, name: str) -> Iterator[VectorEngine]:
    """An empty version in PostgreSQL."""
    engine = open_engine(POSTGRES, name=name, folder=HERE, url=pgvector_url)
    yield engine
    engine.drop()


@pytest.mark.parametrize("engine", [IndexEngine.PGVECTOR, IndexEngine.QDRANT])
@pytest.mark.parametrize("url", ["ftp://anna:geheim@host:1/x", "anna:geheim@host", "https://anna:geheim@[host"])
def test_an_odd_address_is_told_without_its_password(engine: IndexEngine, url: str, name: str, tmp_path: Path) -> None:
    """What is no address of such a server is refused with an example of one."""
    with pytest.raises(ConfigError, match="no address of a") as caught:
        open_engine(EngineSpec(engine, DIMENSION), name=name, folder=tmp_path, url=url)
    assert "DIALEKT_INDEX__URL=" in caught.value.hint
    assert "geheim" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        (POSTGRES, "postgresql://anna:geheim@127.0.0.1:1/index"),
        (QDRANT, "https://:geheim@127.0.0.1:1"),
    ],
)
def test_a_server_that_is_not_there_is_named_without_the_password(
    spec: EngineSpec, url: str, name: str, tmp_path: Path
) -> None:
    """The error says which host and port, and that one can try again."""
    with pytest.raises(EndpointError, match=r"server at 127\.0\.0\.1:1 cannot be reached") as caught:
        open_engine(spec, name=name, folder=tmp_path, url=url)
    assert "try again" in caught.value.hint
    assert "geheim" not in str(caught.value)


def test_postgres_needs_an_address(name: str) -> None:
    """Without a url there is nothing to fall back to."""
    with pytest.raises(ConfigError, match="needs the server's address"):
        open_engine(POSTGRES, name=name, folder=HERE, url=None)


def test_pgvector_has_no_int8(pgvector_url: str, name: str) -> None:
    """A first stage that pgvector has not got is refused with those that work."""
    spec = EngineSpec(IndexEngine.PGVECTOR, DIMENSION, FirstStage(4, Quantization.INT8))
    with pytest.raises(ConfigError, match="no first stage of int8") as caught:
        open_engine(spec, name=name, folder=HERE, url=pgvector_url)
    assert "binary" in caught.value.hint


def test_a_table_of_another_dimension_is_refused(table: VectorEngine, pgvector_url: str, name: str) -> None:
    """A name that another index uses does not mix two kinds of vectors."""
    table.load(rows_of(clustered(3, DIMENSION, seed=1)))
    with pytest.raises(ConfigError, match=f"vectors of {DIMENSION} dimensions, not 5"):
        open_engine(EngineSpec(IndexEngine.PGVECTOR, 5), name=name, folder=HERE, url=pgvector_url)
    assert table.count() == 3


def test_vectors_too_wide_for_an_index_are_searched_exactly(pgvector_url: str, name: str) -> None:
    """Above 4,000 dimensions pgvector has no index: there is one effort, and it is exact."""
    engine = open_engine(EngineSpec(IndexEngine.PGVECTOR, 4_100), name=name, folder=HERE, url=pgvector_url)
    rows = rows_of(clustered(30, 4_100, seed=2))
    engine.load(rows)
    engine.finish()
    assert engine.efforts == (0,)
    assert [found.ids[0] for found in engine.search(rows.vectors[:4], 3, settings=DEFAULT)] == list(rows.ids[:4])
    engine.drop()


def test_the_index_is_what_searches_use(pgvector_url: str, name: str) -> None:
    """The planner takes the vectors' index for the order that searches ask for, with and without a first stage."""
    for first_stage in (None, FirstStage(32, Quantization.NONE), FirstStage(64, Quantization.BINARY)):
        spec = EngineSpec(IndexEngine.PGVECTOR, 64, first_stage)
        engine = PostgresEngine.open(spec, name=name, folder=HERE, url=pgvector_url)
        rows = rows_of(clustered(3_000, 64, seed=3))
        engine.load(rows)
        engine.finish()
        with psycopg.connect(pgvector_url, autocommit=True) as connection:
            before = _index_scans(connection, name)
            engine.search(rows.vectors[:3], 10, settings=SearchSettings(effort=engine.efforts[0]))
            engine.close()  # a session that ends hands in what it counted
            assert _index_scans(connection, name, more_than=before) >= before + 3
            connection.execute(f"DROP TABLE {name}")


def _index_scans(connection: "psycopg.Connection[tuple[int, ...]]", name: str, *, more_than: int = -1) -> int:
    for _ in range(100):
        row = connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", (f"{name}_ann",)
        ).fetchone()
        if row and row[0] > more_than:
            return row[0]
        connection.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("the index was not used")


def test_connections_that_end_are_replaced(table: VectorEngine, pgvector_url: str) -> None:
    """When the server has ended every connection, the next read and the next write find new ones."""
    rows = rows_of(clustered(20, DIMENSION, seed=4))
    table.load(rows)
    _end_connections(pgvector_url)
    assert table.count() == 20
    _end_connections(pgvector_url)
    table.upsert(rows_of(clustered(1, DIMENSION, seed=5), prefix="new"))
    _end_connections(pgvector_url)
    assert table.search(rows.vectors[:1], 21, settings=DEFAULT)[0].ids[0] == "d0"
    assert table.count() == 21


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def test_a_scan_goes_on_when_its_connection_is_lost(table: VectorEngine, pgvector_url: str) -> None:
    """A scan that loses its connection between two chunks still gives every row once."""
    rows = rows_of(clustered(50, DIMENSION, seed=6))
    table.load(rows)
    seen: list[str] = []
    for part in table.scan(chunk_rows=20):
        seen += part.ids
        _end_connections(pgvector_url)
    assert sorted(seen) == sorted(rows.ids)


def test_a_killed_server_loses_nothing_that_was_acknowledged(mortal_postgres: PostgresServer, name: str) -> None:
    """While rows are loaded the server is killed with -9 and started again: the load goes on, every row is there."""
    engine = open_engine(POSTGRES, name=name, folder=HERE, url=mortal_postgres.url)
    rows = rows_of(clustered(3_000, DIMENSION, seed=7))
    half = threading.Event()

    def kill_and_start() -> None:
        half.wait()
        mortal_postgres.kill()
        mortal_postgres.start()

    killer = threading.Thread(target=kill_and_start)
    killer.start()
    for start in range(0, 3_000, 100):
        engine.load(rows.take(range(start, start + 100)))
        if start == 1_000:
            half.set()
    killer.join()
    engine.finish()
    assert contents(engine) == contents_of(rows)
    engine.close()


def test_a_server_that_stays_away_is_an_error_and_its_return_is_noticed(
    mortal_postgres: PostgresServer, name: str, impatient: None
) -> None:
    """Reads and writes fail with a clear error while the server is gone; the same engine works when it is back."""
    engine = open_engine(POSTGRES, name=name, folder=HERE, url=mortal_postgres.url)
    rows = rows_of(clustered(10, DIMENSION, seed=8))
    engine.load(rows.take(range(5)))
    mortal_postgres.kill()
    with pytest.raises(EndpointError, match="cannot be reached"):
        engine.search(rows.vectors[:1], 3, settings=DEFAULT)
    with pytest.raises(EndpointError, match="cannot be reached"):
        engine.upsert(rows)
    mortal_postgres.start()
    assert contents(engine) == contents_of(rows.take(range(5)))
    engine.upsert(rows)
    assert contents(engine) == contents_of(rows)
    engine.close()


def test_a_full_disk_is_told_and_nothing_is_changed(table: VectorEngine, pgvector_url: str, name: str) -> None:
    """PostgreSQL's own code for a full disk, raised in mid-write, leaves the rows as they were."""
    rows = rows_of(clustered(20, DIMENSION, seed=9))
    table.load(rows.take(range(10)))
    with psycopg.connect(pgvector_url, autocommit=True) as connection:
        connection.execute(
            f"CREATE FUNCTION {name}_full() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.id = 'd15' THEN RAISE 'could not extend file' USING ERRCODE = '53100'; END IF; "
            "RETURN NEW; END $$"
        )
        connection.execute(
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {name}_full()"
        )
    for write in (table.load, table.upsert):
        with pytest.raises(StorageError, match=r"disk of the PostgreSQL server at .* is full; nothing was changed"):
            write(rows)
    assert contents(table) == contents_of(rows.take(range(10)))


def test_a_user_without_rights_is_told_what_to_ask_for(pgvector_url: str, name: str) -> None:
    """Where pgvector is not in the database and the user may not put it there, the error says who can."""
    with psycopg.connect(pgvector_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'geheim'")
        host = connection.info.host
    url = f"postgresql://{name}:geheim@/{name}?host={host}"
    with pytest.raises(EndpointError, match="does not let this user") as caught:
        open_engine(POSTGRES, name=name, folder=HERE, url=url)
    assert "CREATE EXTENSION vector" in caught.value.hint
    assert "geheim" not in str(caught.value)


def test_a_value_that_postgres_cannot_keep_is_an_input_error(table: VectorEngine) -> None:
    """Text with a NUL and a vector that is no number are refused, and nothing is stored."""
    rows = rows_of(clustered(2, DIMENSION, seed=10))
    broken = rows.vectors.copy()
    broken[1, 0] = np.nan
    for write in (table.load, table.upsert):
        with pytest.raises(InputError, match="PostgreSQL cannot keep a value"):
            write(rows_of(broken))
        with pytest.raises(InputError, match="PostgreSQL cannot keep a value"):
            write(rows_of(rows.vectors, prefix="nul\x00"))
    assert table.count() == 0


def test_a_table_that_somebody_removed_is_told(table: VectorEngine, pgvector_url: str, name: str) -> None:
    """A version whose table is gone says so, and how to get it back."""
    with psycopg.connect(pgvector_url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {name}")
    with pytest.raises(StorageError, match="table of this index version is gone"):
        table.count()


def test_two_versions_are_apart(pgvector_url: str, name: str) -> None:
    """Dropping one version leaves the rows of another."""
    first, second = (open_engine(POSTGRES, name=f"{name}_i{n}", folder=HERE, url=pgvector_url) for n in (1, 2))
    rows = rows_of(clustered(10, DIMENSION, seed=11))
    first.load(rows)
    second.load(rows.take([0, 1]))
    first.drop()
    assert contents(second) == contents_of(rows.take([0, 1]))
    second.drop()


def test_qdrants_local_mode_is_one_handles_alone(name: str, tmp_path: Path) -> None:
    """A second handle on the folder is refused with what to do; after a close the folder is free."""
    first = open_engine(QDRANT, name=name, folder=tmp_path, url=None)
    first.load(rows_of(clustered(3, DIMENSION, seed=12)))
    with pytest.raises(StorageError, match="one at a time") as caught:
        open_engine(QDRANT, name=name, folder=tmp_path, url=None)
    assert "lancedb" in caught.value.hint
    first.close()
    second = open_engine(QDRANT, name=name, folder=tmp_path, url=None)
    assert second.count() == 3
    second.close()


def test_qdrants_local_mode_refuses_more_rows_than_it_is_made_for(name: str, tmp_path: Path) -> None:
    """A bulk load above 20,000 rows is refused before anything is stored."""
    engine = open_engine(QDRANT, name=name, folder=tmp_path, url=None)
    with pytest.raises(ConfigError, match="made for up to 20,000 rows"):
        engine.load(rows_of(clustered(LOCAL_ROWS + 1, DIMENSION, seed=13)))
    assert engine.count() == 0
    engine.close()


def test_a_qdrant_folder_of_another_dimension_is_refused_and_let_go(name: str, tmp_path: Path) -> None:
    """The folder of an index with other vectors is not opened, and stays free for its own."""
    open_engine(QDRANT, name=name, folder=tmp_path, url=None).close()
    with pytest.raises(DialektError, match=f"vectors of {DIMENSION} dimensions, not 5"):
        open_engine(EngineSpec(IndexEngine.QDRANT, 5), name=name, folder=tmp_path, url=None)
    open_engine(QDRANT, name=name, folder=tmp_path, url=None).close()


@pytest.fixture
def rest() -> Iterator[QdrantRest]:
    """Qdrant's routes of a test's own, with nothing asked so far."""
    server = QdrantRest()
    yield server
    server.stop()


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.BINARY])
def test_a_qdrant_server_is_asked_for_two_stages(rest: QdrantRest, name: str, quantization: Quantization) -> None:
    """Short vectors are quantised and kept in memory, full ones on disk without a graph; searches ask for both."""
    spec = EngineSpec(IndexEngine.QDRANT, DIMENSION, FirstStage(4, quantization))
    engine = open_engine(spec, name=name, folder=HERE, url=rest.url)
    made = next(body for method, path, body in rest.asked if (method, path) == ("PUT", ""))
    assert made["vectors"]["full"] | {"hnsw_config": {"m": 0}, "on_disk": True} == made["vectors"]["full"]
    (code,) = made["vectors"]["short"]["quantization_config"].values()
    assert code["always_ram"] is True
    assert ("PUT", "/index", {"field_name": "tags", "field_schema": "keyword"}) in rest.asked
    rows = rows_of(clustered(20, DIMENSION, seed=14))
    engine.load(rows)
    engine.finish()
    where = Filter((Condition(frozenset({"lang=de"})), Condition(frozenset({"n=3"}), negated=True)))
    engine.search(rows.vectors[:1], 3, settings=SearchSettings(effort=engine.efforts[-1], oversampling=2), where=where)
    (asked,) = rest.asked[-1][2]["searches"]
    first = asked["prefetch"]
    assert (first["using"], first["limit"], len(first["query"])) == ("short", 6, 4)
    assert (asked["using"], asked["limit"], len(asked["query"]["nearest"])) == ("full", 3, DIMENSION)
    assert first["params"] == {"exact": False, "hnsw_ef": 1_024, "quantization": {"rescore": False}}
    assert first["filter"] == asked["filter"]
    engine.search(rows.vectors[:1], 3, settings=SearchSettings(exact=True))
    (asked,) = rest.asked[-1][2]["searches"]
    assert asked["params"]["exact"] is True
    assert "prefetch" not in asked
    engine.close()


def test_writes_to_a_qdrant_server_wait_until_they_are_kept(rest: QdrantRest, name: str) -> None:
    """Bodies stay below what a server takes, and a point's id is the same in every process."""
    dimension = 4_096
    engine = open_engine(EngineSpec(IndexEngine.QDRANT, dimension), name=name, folder=HERE, url=rest.url)
    engine.load(rows_of(clustered(400, dimension, seed=15)))
    points = [body["batch"]["ids"] for _, path, body in rest.asked if path == "/points"]
    assert len(points) > 1
    assert sum(map(len, points)) == engine.count() == 400
    assert point_id("d1") == "312e2a94-561d-5d04-aa23-6c9827f9298c"
    engine.close()


def test_a_qdrant_servers_key_is_the_urls_password(name: str) -> None:
    """With the key the server answers; without it the error says where to put it."""
    server = QdrantRest(key="geheim")
    with pytest.raises(EndpointError, match="does not accept the key: 401") as caught:
        open_engine(QDRANT, name=name, folder=HERE, url=server.url)
    assert "https://:key@host:6333" in caught.value.hint
    with pytest.warns(UserWarning, match="insecure connection"):  # of the client: the key over http
        engine = open_engine(QDRANT, name=name, folder=HERE, url=server.url.replace("//", "//:geheim@"))
    assert engine.count() == 0
    engine.close()
    server.stop()


def test_a_qdrant_server_that_goes_away_is_an_error(name: str) -> None:
    """A server that ends in between is named; nothing else breaks."""
    server = QdrantRest()
    engine = open_engine(QDRANT, name=name, folder=HERE, url=server.url)
    server.stop()
    with pytest.raises(EndpointError, match=r"Qdrant server at 127\.0\.0\.1:\d+ cannot be reached"):
        engine.upsert(rows_of(clustered(3, DIMENSION, seed=16)))
    engine.close()


def test_a_collection_that_somebody_removed_is_an_error(rest: QdrantRest, name: str) -> None:
    """A version whose collection is gone says so, and how to get it back."""
    engine, other = (open_engine(QDRANT, name=name, folder=HERE, url=rest.url) for _ in range(2))
    other.drop()
    with pytest.raises(StorageError, match="collection of this index version is gone"):
        engine.count()
    engine.drop()
