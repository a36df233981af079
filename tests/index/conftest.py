"""The engine of a test of the congruence suite, and the servers behind some."""

import dataclasses
from collections.abc import Iterator

import pytest
from tests.index.engines import FILE_ENGINES, SERVER_ENGINES, EngineCase
from tests.index.postgres_server import PostgresServer
from tests.index.qdrant_rest import QdrantRest


@pytest.fixture(params=[*FILE_ENGINES, *SERVER_ENGINES])
def case(request: pytest.FixtureRequest) -> EngineCase:
    """Every engine in turn."""
    if request.param in FILE_ENGINES:
        return FILE_ENGINES[request.param]
    server = SERVER_ENGINES[request.param]
    return dataclasses.replace(server, url=request.getfixturevalue(f"{server.engine}_url"))


@pytest.fixture(scope="session")
def pgvector_url() -> Iterator[str]:
    """Address of a PostgreSQL with pgvector that all tests share."""
    server = PostgresServer()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def qdrant_url() -> Iterator[str]:
    """Address of Qdrant's REST routes over its local mode."""
    server = QdrantRest()
    yield server.url
    server.stop()


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of a test's own, which it may kill."""
    server = PostgresServer()
    yield server
    server.start()
    server.stop()
