"""An index in which some rows are mapped from an older model: searches embed them on demand, and they stay embedded."""

import time
from pathlib import Path

import numpy as np
import pytest
from tests.serving.searching import TEXTS, build_index, documents, embed_with, searching

from dialekt.index.opened import OpenIndex
from dialekt.index.records import Rows
from dialekt.index.update.mixed import MIXED, is_mapped, mapped_space
from dialekt.types import Role


@pytest.fixture
def half_mapped(tiny_model: Path, tmp_path: Path) -> Path:
    """An index whose live release has mapped rows with poor vectors in the place of all but one."""
    folder = build_index(tmp_path / "index", tiny_model)
    opened = OpenIndex.open(folder)
    engine, version = opened.engine("i1"), opened.catalogue.version("i1")
    rows = engine.fetch([name for name in TEXTS if name != "solar"])
    noise = np.random.default_rng(1).standard_normal(rows.vectors.shape).astype(np.float32)
    poor = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    spaces = (mapped_space(version.space),) * len(rows)
    engine.upsert(Rows(rows.ids, rows.document_ids, rows.hashes, rows.tags, spaces, poor))
    opened.catalogue.set_facts("r1", {MIXED: {"offset": 0.0, "slope": 1.0, "shortlist": 5}})
    opened.close()
    return folder


def _mapped(folder: Path) -> int:
    opened = OpenIndex.open(folder)
    count = sum(is_mapped(space) for rows in opened.engine("i1").scan() for space in rows.spaces)
    opened.close()
    return count


def test_searches_are_answered_by_new_vectors_which_are_kept(half_mapped: Path, tiny_model: Path) -> None:
    """The ranking and the scores are those of the new model, at once; soon no row is mapped any more."""
    queries = list(TEXTS.values())
    vectors = embed_with(tiny_model)(queries, Role.QUERY)
    contents = [unit.content for unit in documents()]
    expected = vectors @ embed_with(tiny_model)(contents, Role.DOCUMENT).T
    assert _mapped(half_mapped) == 4
    with searching(half_mapped, tiny_model) as served:
        for row, query in enumerate(queries):
            hits = served.post("/search", {"query": query, "k": 5}).json()["hits"]
            scores = {hit["id"]: hit["score"] for hit in hits}
            wanted = dict(zip(TEXTS, expected[row].tolist(), strict=True))
            assert scores == pytest.approx(wanted, abs=0.01)
        end = time.monotonic() + 10
        while _mapped(half_mapped) and time.monotonic() < end:
            time.sleep(0.05)
    assert _mapped(half_mapped) == 0


def test_what_is_deleted_is_not_brought_back_by_a_search(half_mapped: Path, tiny_model: Path) -> None:
    """A mapped row whose document goes is neither found nor written again."""
    with searching(half_mapped, tiny_model) as served:
        assert served.client.request("DELETE", "/documents", json={"ids": ["pump"]}).status_code == 200
        hits = served.post("/search", {"query": TEXTS["pump"], "k": 5}).json()["hits"]
        assert {hit["id"] for hit in hits} == TEXTS.keys() - {"pump"}
        time.sleep(0.3)
    opened = OpenIndex.open(half_mapped)
    assert len(opened.engine("i1").fetch(["pump"])) == 0
    opened.close()


def test_a_server_takes_up_how_a_release_is_to_be_searched_now(half_mapped: Path, tiny_model: Path) -> None:
    """What a command records of the live release reaches a running server without a switch."""
    opened = OpenIndex.open(half_mapped)
    known = opened.catalogue.release("r1").facts[MIXED]
    opened.catalogue.forget_fact("r1", MIXED)
    with searching(half_mapped, tiny_model) as served:
        served.post("/search", {"query": "pump", "k": 5})
        time.sleep(0.3)
        assert _mapped(half_mapped) == 4
        opened.catalogue.set_facts("r1", {MIXED: known})
        end = time.monotonic() + 10
        while _mapped(half_mapped) and time.monotonic() < end:
            served.post("/search", {"query": "pump", "k": 5})
            time.sleep(0.1)
    opened.close()
    assert _mapped(half_mapped) == 0
