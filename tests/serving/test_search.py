"""POST /search and the routes of documents, over HTTP, with the tiny model and exact search."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serving.conftest import Served
from tests.serving.searching import TEXTS, build_index, encoder, judge, searching

from dialekt.index.opened import OpenIndex
from dialekt.types import Document, Role


@pytest.fixture(scope="module")
def index_folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that nobody writes to."""
    return build_index(tmp_path_factory.mktemp("indexed") / "index", tiny_model)


@pytest.fixture(scope="module")
def searched(index_folder: Path, tiny_model: Path, tiny_judge: Path) -> Iterator[Served]:
    """A server for searches; tests that write have one of their own."""
    with searching(index_folder, tiny_model, others=[judge(tiny_judge)]) as found:
        yield found


@pytest.fixture
def writable(index_folder: Path, tiny_model: Path, tmp_path: Path) -> Iterator[Served]:
    """A server whose index a test may change."""
    shutil.copytree(index_folder, tmp_path / "index")
    with searching(tmp_path / "index", tiny_model) as found:
        yield found


def _search(served: Served, query: str, **fields: Any) -> list[dict[str, Any]]:
    answer = served.post("/search", {"query": query, **fields})
    assert answer.status_code == 200, answer.text
    hits: list[dict[str, Any]] = answer.json()["hits"]
    return hits


def test_a_search_ranks_documents_as_the_library_does(searched: Served, tiny_model: Path) -> None:
    """Ids in the order of the library's cosines, with texts, metadata, release and model."""
    query = "how do I reset my password"
    answer = searched.post("/search", {"query": query, "k": 5})
    body = answer.json()
    model = encoder(tiny_model)
    vectors = model.encode([f"{name} {text}" for name, text in TEXTS.items()], Role.DOCUMENT)
    cosines = dict(zip(TEXTS, (vectors @ model.encode([query], Role.QUERY)[0]).tolist(), strict=True))
    assert [hit["id"] for hit in body["hits"]] == sorted(TEXTS, key=lambda name: -cosines[name])
    assert np.allclose([hit["score"] for hit in body["hits"]], sorted(cosines.values(), reverse=True), atol=1e-3)
    first = body["hits"][0]
    assert (first["text"], first["title"]) == (TEXTS[first["id"]], first["id"])
    assert first["metadata"] == {"first": first["id"][0], "lang": "en"}
    assert (body["release"], body["model"]) == ("r1", "support@base")
    assert (answer.headers["x-dialekt-release"], answer.headers["x-dialekt-model"]) == ("r1", "support@base")
    assert body["took_ms"] > 0
    assert body["query_id"]


def test_several_queries_have_as_many_results(searched: Served) -> None:
    """A list of queries is answered with a list of lists and an id each."""
    body = searched.post("/search", {"query": ["pump valve", "bake bread"], "k": 1}).json()
    assert [[hit["id"] for hit in hits] for hits in body["results"]] == [["pump"], ["bread"]]
    assert len(set(body["query_ids"])) == 2


def test_filters_and_what_is_returned(searched: Served) -> None:
    """Conditions on metadata hold; texts and metadata are left out where they are not wanted."""
    assert {hit["id"] for hit in _search(searched, "pump", filter={"first": ["s", "b"]})} == {"solar", "bread"}
    assert {hit["id"] for hit in _search(searched, "pump", filter={"first": {"not": ["s", "b", "r"]}})} == {"pump"}
    assert _search(searched, "pump", filter={"lang": "de"}) == []
    bare = _search(searched, "pump", k=1, return_text=False, return_metadata=False)[0]
    assert bare.keys() == {"id", "unit", "score", "title"}


def test_hybrid_search_knows_words(searched: Served) -> None:
    """With `hybrid` a rare word decides, and scores are fused ranks."""
    hits = _search(searched, "invoice inverter invoice", hybrid=True, k=5)
    assert {hits[0]["id"], hits[1]["id"]} == {"refund", "solar"}
    assert hits[0]["score"] < 0.05


def test_a_re_ranker_orders_the_best(searched: Served) -> None:
    """`rerank` gives the order of the cross-encoder's own scores, as /rerank does."""
    hits = _search(searched, "pump valve", rerank=True, k=5)
    texts = [f"{hit['title']} {hit['text']}" for hit in hits]
    ranks = searched.post("/rerank", {"model": "judge", "query": "pump valve", "texts": texts}).json()
    assert [rank["index"] for rank in ranks] == list(range(5))
    assert np.allclose([hit["rerank_score"] for hit in hits], [rank["score"] for rank in ranks], atol=1e-4)
    named = _search(searched, "pump valve", rerank="judge", rerank_depth=2, k=3)
    assert [("rerank_score" in hit) for hit in named] == [True, True, False]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"query": ""}, 400, "`query` cannot be empty"),
        ({"query": []}, 422, "a text, or a list of texts"),
        ({"query": "pump", "k": 0}, 422, "`k`"),
        ({"query": "pump", "k": 5000}, 422, "the most is 1000"),
        ({"query": "pump", "filters": {"lang": "en"}}, 422, "`filters`: Extra inputs"),
        ({"query": "pump", "filter": {"lang": {"is": "en"}}}, 422, "`filter` should be"),
        ({"query": "pump", "rerank": "nobody"}, 404, "'nobody' is not served"),
        ({"query": "pump", "rerank": "support"}, 424, "is not a re-ranker model"),
        ({"query": ["pump"] * 33}, 422, "batch size 33"),
    ],
)
def test_odd_searches_are_refused(searched: Served, body: dict[str, Any], status: int, said: str) -> None:
    """Each with a status and a word on what is wrong; a misspelt field is not passed over."""
    answer = searched.post("/search", body)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text


def test_a_server_without_an_index_says_how_to_make_one(served: Served) -> None:
    """All routes of the index are 404 with a hint."""
    answer = served.post("/search", {"query": "pump"})
    assert (answer.status_code, answer.json()["error_type"]) == (404, "NotFound")
    assert "dialekt index build" in answer.json()["hint"]
    assert served.client.get("/index").status_code == served.client.get("/documents/a").status_code == 404


def test_writes_are_found_by_the_next_search(writable: Served) -> None:
    """Upserts, patches and deletes are seen at once, by vectors, words and filters."""
    new = {"id": "kiwi/ü", "text": "green apple and fish soup", "metadata": {"lang": "en", "year": 2026, "old": False}}
    answer = writable.post("/documents", {"documents": [new]})
    assert answer.json() == {"release": "r1", "sequence": 6, "changed": 1, "applied": True, "unknown": []}
    assert answer.headers["x-dialekt-release"] == "r1"
    assert _search(writable, "green apple fish soup", k=1)[0]["id"] == "kiwi/ü"
    assert [hit["id"] for hit in _search(writable, "soup", filter={"year": 2026, "old": False})] == ["kiwi/ü"]
    shown = writable.client.get("/documents/kiwi%2F%C3%BC").json()
    assert shown["units"][0]["metadata"] == {"lang": "en", "year": "2026", "old": "false"}

    patch = {"documents": [{"id": "kiwi/ü", "metadata": {"lang": "de", "old": None}}, {"id": "none", "metadata": {}}]}
    patched = writable.client.patch("/documents", json=patch).json()
    assert (patched["changed"], patched["unknown"]) == (1, ["none"])
    assert [hit["id"] for hit in _search(writable, "soup", filter={"lang": "de"})] == ["kiwi/ü"]

    assert writable.post("/documents", {"documents": [new | {"text": "solar wind"}]}).json()["changed"] == 1
    assert _search(writable, "solar wind", hybrid=True, k=1)[0]["text"] == "solar wind"
    gone = writable.client.request("DELETE", "/documents", json={"ids": ["kiwi/ü"]}).json()
    assert (gone["changed"], gone["applied"]) == (1, True)
    assert "kiwi/ü" not in {hit["id"] for hit in _search(writable, "solar wind", k=10)}
    assert writable.client.get("/documents/kiwi%2F%C3%BC").status_code == 404


def test_texts_that_are_too_long_are_told_of(writable: Served) -> None:
    """A document that fills the model's limit is kept whole, and the answer warns."""
    answer = writable.post("/documents", {"documents": [{"id": "long", "text": "pump " * 200}]})
    assert answer.status_code == 200
    assert "1 of 1 documents reach the model's limit of 64 tokens" in answer.headers["x-dialekt-warning"]
    assert len(writable.client.get("/documents/long").json()["units"][0]["text"]) == 1_000


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({"id": "", "text": "pump"}, 422, "id"),
        ({"id": "a", "text": " "}, 400, "cannot both be empty"),
        ({"id": "a\nb", "text": "pump"}, 422, "cannot have the id"),
        ({"id": "a", "text": "pump", "metadata": {"tags": ["x"]}}, 422, "documents"),
        ({"id": "a", "text": "pump\0"}, 422, "U+0000"),
    ],
)
def test_odd_documents_are_refused(searched: Served, document: dict[str, Any], status: int, said: str) -> None:
    """Nothing of such a request is kept."""
    answer = searched.post("/documents", {"documents": [document]})
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    twice = searched.post("/documents", {"documents": [{"id": "b", "text": "pump"}] * 2})
    assert "in the request twice" in twice.json()["error"]
    assert searched.client.get("/index").json()["tail"] == 5


def test_what_others_write_is_found_soon(writable: Served, tmp_path: Path) -> None:
    """A write of another process, such as a command, is applied by the server within seconds."""
    opened = OpenIndex.open(tmp_path / "index")
    opened.documents.write([Document("late", "green bird and red fish", parent_id="late")])
    opened.close()
    end = time.monotonic() + 10
    while "late" not in {hit["id"] for hit in _search(writable, "green bird red fish")}:
        assert time.monotonic() < end, "the write was not applied"
        time.sleep(0.1)
    facts = writable.client.get("/index").json()
    assert (facts["units"], facts["pending"], facts["engine"], facts["dimension"]) == (6, 0, "exact", 32)
    assert [entry["kind"] for entry in facts["history"]] == ["cut-over"]


def test_a_write_that_cannot_be_applied_yet_is_kept(writable: Served, tmp_path: Path) -> None:
    """While another process holds the vectors a write is accepted with 202; searches go on, and later see it."""
    opened = OpenIndex.open(tmp_path / "index")
    body = {"documents": [{"id": "late", "text": "green bird and red fish"}]}
    with opened.holding("i1"):
        answer = writable.post("/documents", body, x_timeout_ms="300")
        assert (answer.status_code, answer.json()["applied"], answer.json()["sequence"]) == (202, False, 6)
        assert "late" not in {hit["id"] for hit in _search(writable, "green bird")}
    end = time.monotonic() + 10
    while "late" not in {hit["id"] for hit in _search(writable, "green bird")}:
        assert time.monotonic() < end, "the write was not applied"
        time.sleep(0.1)
    opened.close()


def test_a_server_ends_while_others_hold_the_vectors(index_folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    """What it could not apply stays in the log, for the next server."""
    shutil.copytree(index_folder, tmp_path / "index")
    opened = OpenIndex.open(tmp_path / "index")
    with opened.holding("i1"):
        with searching(tmp_path / "index", tiny_model) as first:
            body = {"documents": [{"id": "late", "text": "green bird and red fish"}]}
            assert first.post("/documents", body, x_timeout_ms="300").status_code == 202
            start = time.monotonic()
        assert time.monotonic() - start < 10
    with searching(tmp_path / "index", tiny_model) as second:
        assert second.post("/documents", {"documents": [{"id": "b", "text": "oil"}]}).json()["applied"]
        assert _search(second, "green bird and red fish", k=1)[0]["id"] == "late"
    opened.close()


def test_searches_are_counted(searched: Served) -> None:
    """The metrics tell of searches, of their parts, and of the release."""
    _search(searched, "pump")
    text = searched.client.get("/metrics").text
    assert 'dialekt_index_release{release="r1"} 1' in text
    assert "dialekt_search_retrieve_duration_count" in text
    assert "dialekt_index_pending 0.0" in text
