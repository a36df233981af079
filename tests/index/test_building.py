"""Filling an index version, and bringing a corpus in."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.index.texts import DIMENSION, add_version, document, embed

from dialekt.config import IndexEngine
from dialekt.index.building import any_of, fill, nothing_known, vectors_of, vectors_of_matrix
from dialekt.index.checks import check_rows
from dialekt.index.documents import content_hash
from dialekt.index.importing import import_corpus
from dialekt.index.opened import OpenIndex
from dialekt.index.records import EngineSpec, State
from dialekt.types import Document, Role


class CountingEncoder:
    """Encodes, and remembers how many texts it was given."""

    def __init__(self) -> None:
        self.texts = 0

    def __call__(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode texts."""
        self.texts += len(texts)
        return embed(texts, role)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenIndex]:
    """Open an index with 95 documents."""
    found = OpenIndex.open(tmp_path, create=True)
    found.documents.write([document(f"d{n}", f"text number {n}") for n in range(95)])
    yield found
    found.close()


def test_a_version_is_filled_with_all_documents(opened: OpenIndex) -> None:
    """It is ready then, and holds the log's last position."""
    version = add_version(opened).name
    facts = fill(opened, version, embed, chunk_documents=20)
    found = opened.catalogue.version(version)
    assert (facts.units, facts.embedded, facts.kept) == (95, 95, 0)
    assert (found.state, found.position) == (State.READY, 95)
    assert check_rows(opened, version).passed


def test_filling_again_embeds_only_what_changed(opened: OpenIndex) -> None:
    """Unchanged units are never embedded twice; vanished ones are removed."""
    version = add_version(opened).name
    fill(opened, version, embed)
    opened.documents.write([document("d1", "another text"), document("new")], deleted=["d2"])
    encoder = CountingEncoder()
    facts = fill(opened, version, encoder)
    assert (encoder.texts, facts.embedded, facts.kept, facts.removed) == (2, 2, 93, 1)
    assert check_rows(opened, version).passed


def test_equal_texts_are_embedded_once(opened: OpenIndex) -> None:
    """Copies of a text share its vector."""
    opened.documents.write([document(f"copy{n}", "the same text") for n in range(30)])
    encoder = CountingEncoder()
    facts = fill(opened, add_version(opened).name, encoder)
    assert encoder.texts == 96
    assert facts.units == 125


def test_vectors_that_are_known_elsewhere_are_taken_from_there(opened: OpenIndex) -> None:
    """From another version of the same space, and from a matrix; not from another space."""
    first = add_version(opened).name
    fill(opened, first, embed)
    opened.documents.write([document("from matrix", "in a matrix"), document("new", "nowhere")])
    engine = opened.engine(first)
    matrix = vectors_of_matrix([content_hash(document("x", "in a matrix"))], embed(["in a matrix"], Role.DOCUMENT))
    encoder = CountingEncoder()
    same = add_version(opened).name
    facts = fill(opened, same, encoder, known=any_of(vectors_of(engine, "s0"), matrix))
    assert (facts.embedded, facts.reused, encoder.texts) == (1, 96, 1)
    np.testing.assert_allclose(opened.engine(same).fetch(["d7"]).vectors, engine.fetch(["d7"]).vectors, atol=1e-6)
    assert vectors_of(engine, "another space")(["anything"]) == nothing_known(["anything"])


def test_a_fill_that_is_killed_loses_at_most_one_chunk(opened: OpenIndex) -> None:
    """Killed -9 at any moment, what was reported is stored, and the next fill does the rest."""
    version = add_version(opened).name
    stored = 0
    for lines in (1, 3, 2):
        command = [sys.executable, "-m", "tests.index.fill_until_killed", str(opened.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = [process.stdout.readline() for _ in range(lines)]
            process.kill()
        assert all(reported)
        count = opened.engine(version).count()
        assert count >= stored + 10 * lines
        stored = count
    encoder = CountingEncoder()
    fill(opened, version, encoder, chunk_documents=10)
    assert encoder.texts == 95 - stored
    assert check_rows(opened, version).passed


def test_writes_during_a_fill_are_neither_lost_nor_brought_back(opened: OpenIndex) -> None:
    """A unit that is removed between the comparison and its chunk stays away; a new one comes with the log."""
    version = add_version(opened).name
    done: list[bool] = []

    def write_meanwhile(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        if not done:
            done.append(True)
            opened.documents.write([document("d90", "changed meanwhile"), document("late")], deleted=["d91", "d3"])
        return embed(texts, role)

    fill(opened, version, write_meanwhile, chunk_documents=20)
    opened.apply(version, embed)
    rows = opened.engine(version).fetch(["d3", "d90", "d91", "late"])
    assert set(rows.ids) == {"d90", "late"}
    assert check_rows(opened, version).passed


def test_a_corpus_is_brought_in_by_its_changes(opened: OpenIndex) -> None:
    """New, changed and vanished documents of the corpus are written; the rest is left."""
    database = opened.database
    corpus = [document(f"c{n}", f"corpus {n}") for n in range(10)]
    assert import_corpus(database, corpus).changed == 10
    assert import_corpus(database, corpus).changed == 0
    facts = import_corpus(database, [document("c0", "edited"), *corpus[1:8], document("c10")])
    assert (facts.documents, facts.changed, facts.removed) == (9, 2, 2)
    assert opened.documents.read(["c0"])["c0"].text == "edited"
    assert opened.documents.known(["c8", "c9", "d1"]) == {"d1"}


def test_what_was_edited_in_the_index_stays_until_its_source_changes(opened: OpenIndex) -> None:
    """A corpus that still says what it said undoes neither an edit nor a removal."""
    corpus = [document("a", "from the corpus"), document("b", "too")]
    import_corpus(opened.database, corpus)
    opened.documents.write([document("a", "edited by hand")], deleted=["b"])
    import_corpus(opened.database, corpus)
    assert opened.documents.read(["a", "b"]) == {"a": document("a", "edited by hand")}
    import_corpus(opened.database, [document("a", "newer source"), corpus[1]])
    assert opened.documents.read(["a"])["a"].text == "newer source"


def test_chunks_of_a_document_are_brought_in_together(opened: OpenIndex) -> None:
    """A document whose second chunk changed is written whole."""
    chunks = [Document(f"d#{n}", f"part {n}", parent_id="doc") for n in range(3)]
    import_corpus(opened.database, chunks)
    before = opened.documents.tail()
    import_corpus(opened.database, [chunks[0], Document("d#1", "changed", parent_id="doc")])
    assert set(opened.documents.changes_since(before).units) == {"d#1", "d#2"}


def test_others_apply_what_is_written_while_a_live_version_is_filled(opened: OpenIndex) -> None:
    """A long fill holds the version only to store a chunk, not while texts are embedded."""
    version = add_version(opened).name
    fill(opened, version, embed)
    opened.documents.write([document(f"n{n}", f"new text {n}") for n in range(60)])
    seen: list[bool] = []

    def apply_meanwhile(texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        other = OpenIndex.open(opened.folder)
        other.documents.write([document(f"w{len(seen)}")])
        other.apply(version, embed)
        seen.append(len(other.engine(version).fetch([f"w{len(seen)}"])) == 1)
        other.close()
        return embed(texts, role)

    fill(opened, version, apply_meanwhile, chunk_documents=20)
    assert seen
    assert all(seen)
    assert check_rows(opened, version).passed


def test_a_version_that_grows_gets_the_indexes_of_its_size(tmp_path: Path) -> None:
    """LanceDB makes none for a hundred rows; filled up to thousands, the version has one."""
    opened = OpenIndex.open(tmp_path, create=True)
    opened.documents.write([document(f"d{n}", f"text {n}") for n in range(100)])
    spec = EngineSpec(IndexEngine.LANCEDB, DIMENSION)
    version = opened.catalogue.add_version("s0", spec, created="2026-01-01T00:00:00+00:00").name
    fill(opened, version, embed)
    assert opened.engine(version).efforts == (0,)
    opened.documents.write([document(f"d{n}", f"text {n}") for n in range(6_000)])
    fill(opened, version, embed)
    assert len(opened.engine(version).efforts) > 1
    opened.close()
