"""Searches and writes while releases change: every answer fits itself, and no write is lost or comes back."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Served, serving
from tests.serving.searching import NAME, NOW, documents, embed_with, encoder, make_release

from dialekt.config import ModelConfig, SearchConfig
from dialekt.index.checksums import engine_checksum
from dialekt.index.opened import OpenIndex
from dialekt.index.records import Embed
from dialekt.index.switching import drop, go_live, roll_back
from dialekt.serving.index_service import IndexService
from dialekt.serving.service import Service
from dialekt.serving.sources import RegistrySource
from dialekt.types import Role

QUERIES = ("pump valve", "reset password", "bake bread", "solar wind")


@dataclass
class Releases:
    """An index with r1 of v1, which is live, and r2 of v2."""

    opened: OpenIndex
    registry: Path
    models: dict[str, Path] = field(default_factory=dict)

    @property
    def embeds(self) -> dict[str, Embed]:
        """What makes the vectors of each release."""
        return {release: embed_with(model) for release, model in self.models.items()}


@pytest.fixture
def releases(two_versions: Path, tmp_path: Path) -> Iterator[Releases]:
    """Two releases of models whose vectors differ."""
    opened = OpenIndex.open(tmp_path / "index", create=True)
    opened.documents.write(documents())
    found = Releases(opened, two_versions)
    for version in ("v1", "v2"):
        model = two_versions / "models" / version / "model"
        found.models[make_release(opened, model, version).name] = model
    go_live(opened, "r1", found.embeds["r1"], now=NOW)
    yield found
    opened.close()


@contextmanager
def _serving(releases: Releases, cache: Path) -> Iterator[Served]:
    def open_index(service: Service) -> IndexService:
        return IndexService(OpenIndex.open(releases.opened.folder), service, SearchConfig(), model_name=NAME)

    model = ModelConfig(base=str(releases.registry.parent / "base"), device="cpu")
    source = RegistrySource(NAME, releases.registry, "champion", model, lambda: None)
    with serving([source], cache, index=open_index) as served:
        yield served


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "it did not happen within 10 s"
        time.sleep(0.02)


def _release(served: Served) -> str:
    return str(served.post("/search", {"query": "pump", "k": 1}).json()["release"])


def _check_answer(releases: Releases, answer: Any, query: str) -> None:
    """Scores are the cosines of the model that the answer names, and all names agree."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    release = body["release"]
    assert answer.headers["x-dialekt-release"] == release
    assert body["model"] == answer.headers["x-dialekt-model"] == f"{NAME}@v{release[1:]}"
    hits = [hit for hit in body["hits"] if not hit["id"].startswith("changing")]
    model = encoder(releases.models[release])
    texts = model.encode([f"{hit['title']} {hit['text']}".strip() for hit in hits], Role.DOCUMENT)
    cosines = texts @ model.encode([query], Role.QUERY)[0]
    assert np.allclose([hit["score"] for hit in hits], cosines, atol=2e-3)


def test_every_answer_fits_itself_while_releases_are_switched(releases: Releases, tmp_path: Path) -> None:
    """Under searches and writes: no request fails, acknowledged writes are found, deleted documents are not."""
    stop, truth = threading.Event(), {document.id for document in documents()}

    def search(served: Served) -> set[str]:
        seen: set[str] = set()
        for query in itertools.cycle(QUERIES):
            if stop.is_set():
                return seen
            answer = served.post("/search", {"query": query, "k": 50})
            _check_answer(releases, answer, query)
            seen.add(answer.json()["release"])
        return seen

    def write(served: Served) -> int:
        for number in itertools.count():
            if stop.is_set():
                return number
            name, text = f"w{number}", f"valve number {number} of pump {number * 7}"
            bodies = [{"id": name, "text": text}, {"id": "changing", "text": f"{text} again"}]
            written = served.post("/documents", {"documents": bodies})
            assert (written.status_code, written.json()["applied"]) == (200, True), written.text
            truth.update({name, "changing"})
            assert name in _ids(served, text)
            if number % 2:
                gone = served.client.request("DELETE", "/documents", json={"ids": [f"w{number - 1}"]})
                assert (gone.status_code, gone.json()["applied"]) == (200, True), gone.text
                truth.discard(f"w{number - 1}")
                assert f"w{number - 1}" not in _ids(served, text)
        return 0

    with _serving(releases, tmp_path / "engines") as served, ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(search, served) for _ in range(2)]
        writes = pool.submit(write, served)
        for _ in range(3):
            go_live(releases.opened, "r2", releases.embeds["r2"], now=NOW)
            _until(lambda: _release(served) == "r2")
            roll_back(releases.opened, releases.embeds["r1"], now=NOW)
            _until(lambda: _release(served) == "r1")
        stop.set()
        assert set().union(*(future.result() for future in searches)) == {"r1", "r2"}
        assert writes.result() > 3
        assert _ids(served, "pump") == truth
    for version, release in (("i1", "r1"), ("i2", "r2")):
        releases.opened.apply(version, releases.embeds[release])
        assert engine_checksum(releases.opened.engine(version)) == releases.opened.documents.checksum()[0]


def _ids(served: Served, query: str) -> set[str]:
    return {hit["id"] for hit in served.post("/search", {"query": query, "k": 1_000}).json()["hits"]}


def test_two_servers_follow_a_switch_within_a_second(releases: Releases, tmp_path: Path) -> None:
    """Both are asked to get ready, both have answered from the new release a second after the switch."""
    with _serving(releases, tmp_path / "one") as one, _serving(releases, tmp_path / "two") as two:
        _until(lambda: len(releases.opened.catalogue.servers()) == 2)
        go_live(releases.opened, "r2", releases.embeds["r2"], now=NOW)
        start = time.monotonic()
        _until(lambda: {_release(one), _release(two)} == {"r2"})
        assert time.monotonic() - start < 1.0
        assert one.post("/documents", {"documents": [{"id": "new", "text": "red fish"}]}).status_code == 200
        assert "new" in _ids(two, "red fish")
        servers = releases.opened.catalogue.servers()
        assert [server.release for server in servers] == ["r2", "r2"]
    assert releases.opened.catalogue.servers() == []


def test_a_release_that_is_dropped_leaves_the_server(releases: Releases, tmp_path: Path) -> None:
    """After a switch the old release can be dropped, and the server goes on."""
    with _serving(releases, tmp_path / "engines") as served:
        go_live(releases.opened, "r2", releases.embeds["r2"], now=NOW)
        _until(lambda: _release(served) == "r2")
        assert drop(releases.opened, "r1") == "i1"
        time.sleep(1.5)  # by then the server has let go of it
        _check_answer(releases, served.post("/search", {"query": "pump"}), "pump")
        assert served.post("/documents", {"documents": [{"id": "new", "text": "red fish"}]}).status_code == 200


def test_a_release_of_another_model_is_not_answered_from(releases: Releases, tmp_path: Path) -> None:
    """A release whose model is not what it was made with is never got ready, and the log says why."""
    opened, of_v1 = releases.opened, releases.opened.catalogue.release("r1")
    wrong = opened.catalogue.add_release("i2", model="v1", model_id=of_v1.model_id, created=NOW)
    opened.catalogue.set_release_ready(wrong.name)
    with _serving(releases, tmp_path / "engines") as served:
        opened.catalogue.announce(wrong.name)
        _until(lambda: b"was made with another model" in served.log.getvalue())
        assert {server.prepared for server in opened.catalogue.servers()} == {""}
        assert _release(served) == "r1"
