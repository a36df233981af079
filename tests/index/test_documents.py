"""The documents and the log of their changes."""

from pathlib import Path

import pytest
from tests.index.texts import document

from dialekt.errors import InputError, StorageError
from dialekt.index.checksums import row_sum
from dialekt.index.documents import Documents
from dialekt.index.filters import Filter, parse_filter
from dialekt.index.schema import FILE_NAME, open_database
from dialekt.types import Document


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    """Return an empty table of documents."""
    return Documents(open_database(tmp_path))


def test_a_write_moves_the_log_by_what_changed(documents: Documents) -> None:
    """Two new units are two changes; the same units again are none."""
    first = documents.write([document("a"), document("b")])
    again = documents.write([document("a"), document("b")])
    assert (first.changed, first.sequence) == (2, 2)
    assert (again.changed, again.sequence) == (0, 2)


def test_units_replace_everything_that_their_document_was(documents: Documents) -> None:
    """A document of three chunks that is written with two loses the third."""
    chunks = [Document(f"d#{n}", f"part {n}", parent_id="d") for n in range(3)]
    before = documents.write(chunks).sequence
    documents.write([chunks[0], Document("d#1", "another part", parent_id="d")])
    assert set(documents.read(["d#0", "d#1", "d#2"])) == {"d#0", "d#1"}
    assert set(documents.changes_since(before).units) == {"d#1", "d#2"}


def test_a_part_of_another_document_is_not_taken_from_it(documents: Documents) -> None:
    """A unit's id belongs to its document; only who says so may move it."""
    documents.write([Document("u", "text", parent_id="a")])
    with pytest.raises(InputError, match="is that of a part of the document 'a'"):
        documents.write([Document("u", "text", parent_id="b")])
    documents.write([Document("u", "text", parent_id="b")], may_move=True)
    assert documents.known(["a", "b"]) == {"b"}


def test_deleting_a_document_removes_all_of_its_units(documents: Documents) -> None:
    """What is not there is passed over."""
    documents.write([Document("d#0", "one", parent_id="d"), Document("d#1", "two", parent_id="d"), document("e")])
    written = documents.write([], deleted=["d", "nothing"])
    assert (written.changed, documents.document_ids()) == (2, {"e"})


def test_metadata_is_patched_field_by_field(documents: Documents) -> None:
    """A value sets a field, None removes one, and an unknown document is passed over."""
    documents.write([document("a", lang="en", draft="true")])
    written = documents.patch({"a": {"draft": None, "year": "2026"}, "nothing": {"x": "y"}})
    assert written.changed == 1
    assert documents.read(["a"])["a"].metadata == {"lang": "en", "year": "2026"}
    assert documents.patch({"a": {"year": "2026"}}).changed == 0


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 513, "nul\x00"])
def test_an_impossible_id_is_refused_before_anything_is_written(documents: Documents, name: str) -> None:
    """Ids are printable and not too long."""
    with pytest.raises(InputError, match="cannot have the id"):
        documents.write([document("good"), Document(name, "text", parent_id="p")])
    assert documents.count() == 0


def test_metadata_that_no_engine_could_store_is_refused(documents: Documents) -> None:
    """PostgreSQL knows no NUL character; the write fails, rather than every later one."""
    with pytest.raises(InputError, match="NUL character"):
        documents.write([document("a", lang="e\x00n")])
    documents.write([document("a")])
    with pytest.raises(InputError, match="NUL character"):
        documents.patch({"a": {"k\x00": "v"}})


def test_the_checksum_is_that_of_the_rows(documents: Documents) -> None:
    """It does not depend on the order of writes, and changes with content and with metadata."""
    documents.write([document("a", lang="en"), document("b")])
    found, position = documents.checksum()
    entries = documents.snapshot().entries
    assert (found.rows, position) == (2, 2)
    assert found.total == sum(row_sum(unit, entry.hash, entry.tags) for unit, entry in entries.items()) % (1 << 64)
    documents.patch({"a": {"lang": "de"}})
    assert documents.checksum()[0].total != found.total


def test_words_find_what_was_written_last(documents: Documents) -> None:
    """Changed and removed texts are found by their new words only; stems match."""
    documents.write([document("a", "the pump leaks"), document("b", "solar panels"), document("c", "leaking valve")])
    documents.write([document("a", "an invoice")], deleted=["b"])
    assert [hit.id for hit in documents.search_words("leaks", 10, where=Filter())] == ["c"]
    assert [hit.id for hit in documents.search_words("invoices?", 10, where=Filter())] == ["a"]
    assert documents.search_words("solar", 10, where=Filter()) == []


@pytest.mark.parametrize("query", ["", "   ", "???", '"', "AND OR NOT", "a* b:c (d", "-x ^y", "the of"])
def test_no_query_breaks_the_word_search(documents: Documents, query: str) -> None:
    """Signs of SQLite's query language are words or nothing."""
    documents.write([document("a", "and or not")])
    documents.search_words(query, 10, where=Filter())


def test_the_word_search_heeds_filters(documents: Documents) -> None:
    """Units that do not pass make room for others."""
    documents.write([document(f"d{n}", "pump", lang="en" if n % 2 else "de") for n in range(20)])
    hits = documents.search_words("pump", 5, where=parse_filter({"lang": "de"}))
    assert len(hits) == 5
    assert all(int(hit.id[1:]) % 2 == 0 for hit in hits)


def test_the_log_keeps_its_position_when_it_is_shortened(documents: Documents) -> None:
    """A shortened log goes on counting."""
    documents.write([document("a"), document("b")])
    documents.forget_changes(2, keep=0)
    assert (documents.tail(), documents.changes_since(0).units) == (2, ())
    assert documents.write([document("c")]).sequence == 3


def test_a_sample_is_the_same_for_the_same_seed(documents: Documents) -> None:
    """Other seeds give others."""
    documents.write([document(f"d{n}") for n in range(500)])
    assert documents.sample(20, seed=3) == documents.sample(20, seed=3)
    assert documents.sample(20, seed=3) != documents.sample(20, seed=4)


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    """Opening what is no database says which file, and what to do."""
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 500)
    with pytest.raises(StorageError, match="damaged"):
        open_database(tmp_path)


def test_a_full_disk_loses_nothing_that_was_there(documents: Documents) -> None:
    """The error says so, nothing of the write is kept, and with room the same write succeeds."""
    documents.write([document(f"d{n}") for n in range(50)])
    before = documents.checksum()
    with documents.database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    limit(documents, pages + 2)
    large = [document(f"n{n}", "many words " * 200) for n in range(500)]
    with pytest.raises(StorageError, match="the disk is full; nothing was changed"):
        documents.write(large)
    assert documents.checksum() == before
    limit(documents, 1_000_000)
    assert documents.write(large).changed == 500


def limit(documents: Documents, pages: int) -> None:
    """Let the file have so many pages, as a disk without more room does."""
    with documents.database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")
