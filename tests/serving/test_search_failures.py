"""What the server does when the index, its model or the server with its vectors is not there."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.index.postgres_server import PostgresServer
from tests.serving.conftest import Served
from tests.serving.searching import NOW, documents, embed_with, make_release, searching

from dialekt.config import IndexEngine
from dialekt.index.opened import OpenIndex
from dialekt.index.switching import go_live


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, which it may kill."""
    server = PostgresServer()
    yield server
    server.start()
    server.stop()


def _ids(served: Served, query: str) -> set[str]:
    answer = served.post("/search", {"query": query, "k": 100})
    return {hit["id"] for hit in answer.json()["hits"]} if answer.status_code == 200 else set()


def test_a_lost_server_of_vectors_loses_no_write(postgres: PostgresServer, tiny_model: Path, tmp_path: Path) -> None:
    """While PostgreSQL is away searches are 503 and writes 202, models answer; once it is back all is found."""
    opened = OpenIndex.open(tmp_path / "index", url=postgres.url, create=True)
    opened.documents.write(documents())
    release = make_release(opened, tiny_model, "base", engine=IndexEngine.PGVECTOR)
    go_live(opened, release.name, embed_with(tiny_model), now=NOW)
    opened.close()
    with searching(tmp_path / "index", tiny_model, url=postgres.url) as served:
        assert "pump" in _ids(served, "pump valve")
        postgres.kill()
        lost = served.post("/search", {"query": "pump"})
        assert (lost.status_code, lost.json()["error_type"]) == (503, "Unhealthy")
        hasty = served.post("/search", {"query": "pump"}, x_timeout_ms="200")
        assert (hasty.status_code, "no answer within" in hasty.json()["error"]) == (504, True)
        kept = served.post("/documents", {"documents": [{"id": "new", "text": "red fish"}]})
        assert (kept.status_code, kept.json()["applied"]) == (202, False)
        gone = served.client.request("DELETE", "/documents", json={"ids": ["pump"]})
        assert gone.status_code == 202
        assert served.post("/embed", {"inputs": "pump"}).status_code == 200
        assert "dialekt_index_pending" in served.client.get("/metrics").text
        postgres.start()
        end = time.monotonic() + 20
        while (found := _ids(served, "red fish")) == set() or "new" not in found:
            assert time.monotonic() < end, "the writes were not applied"
            time.sleep(0.1)
        assert "pump" not in found
        log = served.log.getvalue().decode()
        assert "red fish" not in log
        assert "PostgreSQL" in log


def test_a_release_that_cannot_be_loaded_leaves_the_models(tiny_model: Path, tmp_path: Path) -> None:
    """Its model is not registered any more: the server is ready and embeds; searches say where to look."""
    opened = OpenIndex.open(tmp_path / "index", create=True)
    opened.documents.write(documents())
    go_live(opened, make_release(opened, tiny_model, "v7").name, embed_with(tiny_model), now=NOW)
    opened.close()
    with searching(tmp_path / "index", tiny_model) as served:
        assert served.client.get("/ready").status_code == 200
        assert served.post("/embed", {"inputs": "pump"}).status_code == 200
        answer = served.post("/search", {"query": "pump"})
        assert (answer.status_code, "cannot be loaded" in answer.json()["error"]) == (503, True)
        written = served.post("/documents", {"documents": [{"id": "new", "text": "red fish"}]})
        assert (written.status_code, written.json()["release"]) == (202, "r1")
        assert served.client.get("/documents/new").status_code == 200


def test_an_index_without_a_release_takes_writes(tiny_model: Path, tmp_path: Path) -> None:
    """Nothing is live yet: searches say how to change that, documents are kept, and the first release is followed."""
    opened = OpenIndex.open(tmp_path / "index", create=True)
    with searching(tmp_path / "index", tiny_model) as served:
        answer = served.post("/search", {"query": "pump"})
        assert (answer.status_code, "dialekt index build" in answer.json()["hint"]) == (404, True)
        kept = served.post("/documents", {"documents": [{"id": "new", "text": "red fish"}]})
        assert (kept.status_code, kept.json()["release"]) == (202, "")
        go_live(opened, make_release(opened, tiny_model, "base").name, embed_with(tiny_model), now=NOW)
        end = time.monotonic() + 10
        while "new" not in _ids(served, "red fish"):
            assert time.monotonic() < end, "the release was not followed"
            time.sleep(0.1)
    opened.close()
