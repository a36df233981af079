"""`dialekt serve` in a project with an index, as a process of its own."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cli.test_serve import Process, process
from tests.serving.searching import TEXTS, documents, embed_with, make_release

from dialekt.cli.serve_sources import open_served
from dialekt.config import load_config
from dialekt.errors import NotFoundError
from dialekt.index.opened import OpenIndex
from dialekt.index.switching import go_live
from dialekt.registry.aliases import promote
from dialekt.serving.sources import FolderSource, RegistrySource

NOW = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def project(project_copy: Path) -> Path:
    """A finished project whose champion's index is live."""
    config = load_config(project_copy / "dialekt.toml")
    promote(config.registry.path, "v1", minimum_gain=0.0, override_reason="test", now=NOW)
    opened = OpenIndex.open(config.index.path, create=True)
    opened.documents.write(documents())
    model = config.registry.path / "models" / "v1" / "model"
    release = make_release(opened, model, "v1")
    go_live(opened, release.name, embed_with(model), now=NOW)
    opened.close()
    return project_copy


def _search(server: Process, query: str) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/search", json={"query": query}, timeout=20)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@contextmanager
def _server(project: Path) -> Iterator[Process]:
    with process(project) as server:
        yield server


def test_the_project_s_index_is_served(project: Path) -> None:
    """The server says which release it answers from, searches, writes, and keeps what was written across kill -9."""
    with _server(project) as server:
        assert server.facts["release"] == "r1"
        body = _search(server, "bake bread")
        assert (body["hits"][0]["id"], body["release"]) == ("bread", "r1")
        assert body["model"].endswith("@v1")
        for number in range(20):
            document = {"id": f"n{number}", "text": f"red fish number {number}"}
            answer = httpx.post(f"{server.url}/documents", json={"documents": [document]}, timeout=20)
            assert answer.status_code == 200, answer.text
        server.end(signal.SIGKILL)
    with _server(project) as server:
        units = httpx.get(f"{server.url}/index", timeout=20).json()["units"]
        assert units == len(TEXTS) + 20
        assert {hit["id"][0] for hit in _search(server, "red fish number")["hits"]} == {"n"}
        start = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - start < 8


def test_models_that_are_named_are_served_beside_the_index(project: Path, tiny_model: Path) -> None:
    """The registry stays, for the index, after the models that were named; of equal names it gives way."""
    named = open_served(project, overrides=[f'serving.models=["judge={tiny_model}"]'])
    assert [type(source) for source in named.sources] == [FolderSource, RegistrySource]
    assert named.index is not None
    own = load_config(project / "dialekt.toml").project.name
    assert named.index.model_name == named.sources[1].name == own
    same = open_served(project, overrides=[f'serving.models=["{own}={tiny_model}"]'])
    assert [source.name for source in same.sources] == [own, f"{own}-index"]


def test_a_project_without_an_index_is_served_as_before(project_copy: Path) -> None:
    """Nothing is opened, nothing is made."""
    served = open_served(project_copy, overrides=['serving.version="latest"'])
    assert served.index is None
    assert not (project_copy / "index").exists()


def test_without_a_champion_the_live_release_says_what_is_served(project_copy: Path) -> None:
    """Its model answers where a request names none; without an index the error says what to promote."""
    with pytest.raises(NotFoundError, match="no version was promoted yet"):
        open_served(project_copy)
    config = load_config(project_copy / "dialekt.toml")
    opened = OpenIndex.open(config.index.path, create=True)
    opened.documents.write(documents())
    model = config.registry.path / "models" / "v1" / "model"
    go_live(opened, make_release(opened, model, "v1").name, embed_with(model), now=NOW)
    opened.close()
    source = open_served(project_copy).sources[0]
    assert isinstance(source, RegistrySource)
    assert source.default == "v1"
