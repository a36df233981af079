"""The log reaches the vectors: in any order, interrupted anywhere, from several threads and processes."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.index.texts import add_version, document, embed

from dialekt.errors import NotFoundError
from dialekt.index.checks import check_rows, check_vectors
from dialekt.index.opened import OpenIndex
from dialekt.types import Document, Role


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenIndex]:
    """Open an empty index."""
    found = OpenIndex.open(tmp_path, create=True)
    yield found
    found.close()


def test_there_must_be_an_index(tmp_path: Path) -> None:
    """Without one the error says how to make it, and makes nothing."""
    with pytest.raises(NotFoundError, match="no index yet"):
        OpenIndex.open(tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_what_was_written_is_found_after_apply(opened: OpenIndex) -> None:
    """Rows, tags and removals follow the documents."""
    version = add_version(opened).name
    opened.documents.write([document("a", "pump leaks"), document("b", "solar roof", lang="en")])
    opened.apply(version, embed)
    opened.documents.write([document("a", "invoice paid")], deleted=["b"])
    assert opened.apply(version, embed) == opened.documents.tail()
    rows = opened.engine(version).fetch(["a", "b"])
    assert rows.ids == ("a",)
    assert rows.vectors[0] @ embed(["invoice paid"], Role.DOCUMENT)[0] == pytest.approx(1, abs=1e-5)


def test_changed_metadata_costs_no_embedding(opened: OpenIndex) -> None:
    """Only tags are replaced."""
    version = add_version(opened).name
    opened.documents.write([document("a", "pump", lang="en")])
    opened.apply(version, embed)
    opened.documents.patch({"a": {"lang": "de"}})

    def refuse(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        raise AssertionError("nothing is to be embedded")

    opened.apply(version, refuse)
    assert opened.engine(version).fetch(["a"]).tags == (("lang=de",),)


def test_an_interrupted_apply_is_finished_by_the_next(opened: OpenIndex) -> None:
    """An encoder that fails half-way leaves the position where it was; nothing is lost or doubled."""
    version = add_version(opened).name
    opened.documents.write([document(f"d{n}") for n in range(1_200)])
    calls = []

    def fail_at_second(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        calls.append(len(texts))
        if len(calls) == 2:
            raise RuntimeError("the encoder is gone")
        return embed(texts, role)

    with pytest.raises(RuntimeError, match="encoder is gone"):
        opened.apply(version, fail_at_second)
    assert opened.catalogue.version(version).position == 0
    opened.apply(version, embed)
    assert check_rows(opened, version).passed
    assert opened.engine(version).count() == 1_200


def test_many_writers_and_appliers_agree_in_the_end(opened: OpenIndex) -> None:
    """Threads that write, delete and apply at once leave exactly the documents, and each sees its own write."""
    version = add_version(opened).name
    failures: list[str] = []

    def work(number: int) -> None:
        other = OpenIndex.open(opened.folder)
        generator = np.random.default_rng(number)
        for step in range(12):
            name = f"d{generator.integers(8)}"
            if generator.random() < 0.3:
                other.documents.write([], deleted=[name])
                other.apply(version, embed)
            else:
                mine = f"own-{number}-{step}"
                other.documents.write([document(name, f"{number} {step}"), document(mine)])
                other.apply(version, embed)
                if not len(other.engine(version).fetch([mine])):
                    failures.append(mine)
        other.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = check_rows(opened, version)
    assert found.passed, found.detail


_OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["write", "delete", "patch", "apply"]), st.integers(0, 5), st.integers(0, 3)), max_size=25
)


@settings(max_examples=25, deadline=None)
@given(operations=_OPERATIONS)
def test_two_versions_that_apply_at_other_moments_hold_the_same(
    operations: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is written, a version that follows at once and one that comes late both hold the truth."""
    opened = OpenIndex.open(tmp_path_factory.mktemp("index"), create=True)
    prompt, late = add_version(opened).name, add_version(opened, space="s1").name
    truth: dict[str, tuple[str, str]] = {}
    for kind, number, value in operations:
        name = f"d{number}"
        match kind:
            case "write":
                opened.documents.write([document(name, f"text {value}", kind=str(value))])
                truth[name] = (f"text {value}", str(value))
            case "delete":
                opened.documents.write([], deleted=[name])
                truth.pop(name, None)
            case "patch":
                opened.documents.patch({name: {"kind": f"patched {value}"}})
                if name in truth:
                    truth[name] = (truth[name][0], f"patched {value}")
            case _:
                opened.apply(prompt, embed)
    for version in (prompt, late):
        opened.apply(version, embed)
        rows = opened.engine(version).fetch([f"d{n}" for n in range(6)])
        assert dict(zip(rows.ids, rows.tags, strict=True)) == {
            name: (f"kind={tag}",) for name, (_, tag) in truth.items()
        }
        expected = embed([truth[name][0] for name in rows.ids], Role.DOCUMENT) if rows.ids else rows.vectors
        np.testing.assert_allclose(rows.vectors, expected, atol=1e-5)
        assert check_rows(opened, version).passed
    opened.close()


def test_the_checks_find_what_is_wrong(opened: OpenIndex) -> None:
    """A lost row, a row too many, a stale text and another model's vectors each fail a check."""
    version = add_version(opened).name
    opened.documents.write([document(f"d{n}") for n in range(50)])
    opened.apply(version, embed)
    assert check_rows(opened, version).passed
    assert check_vectors(opened, version, embed, seed=1).passed
    engine = opened.engine(version)
    engine.delete(["d3"])
    assert check_rows(opened, version).detail == "rows: 1 missing"
    rows = engine.fetch(["d4"])
    engine.upsert(rows.__class__(("ghost",), ("ghost",), rows.hashes, rows.tags, rows.spaces, rows.vectors))
    assert check_rows(opened, version).detail == "rows: 1 missing, 1 surplus"
    other = check_vectors(opened, version, lambda texts, role: embed(texts, role, seed=9), seed=1)
    assert not other.passed


def test_units_that_change_during_the_check_are_no_fault(opened: OpenIndex) -> None:
    """What the log has and the version has not applied yet is left out."""
    version = add_version(opened).name
    opened.documents.write([document("a"), document("b")])
    opened.apply(version, embed)
    opened.documents.write([document("a", "new text"), document("c")], deleted=["b"])
    assert check_rows(opened, version).passed
    assert check_vectors(opened, version, embed, seed=1).facts == {"units": 0}


def test_chunks_follow_their_document(opened: OpenIndex) -> None:
    """A unit that moved to another document has that one's id in the index."""
    version = add_version(opened).name
    opened.documents.write([Document("u", "text", parent_id="a")])
    opened.apply(version, embed)
    opened.documents.write([Document("u", "text", parent_id="b")], may_move=True)
    opened.apply(version, embed)
    assert opened.engine(version).fetch(["u"]).document_ids == ("b",)
