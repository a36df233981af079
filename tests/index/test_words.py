"""The words of an index in any script, by the database's own BM25."""

import sqlite3
from pathlib import Path

import pytest

from dialekt.index.documents import Documents
from dialekt.index.filters import Filter, parse_filter
from dialekt.index.importing import import_corpus
from dialekt.index.schema import FILE_NAME, open_database
from dialekt.store.sqlite import Database
from dialekt.types import Document, Language

TEXTS = {
    "зх-密码": "如何重置登录密码。饮水机漏水",
    "ja": "パスワードをリセットする方法",
    "th": "วิธีเปลี่ยนรหัสผ่าน",
    "hi": "पासवर्ड कैसे बदलें",
    "ar": "إعادة تعيين كلمة المُرور",
    "ru": "Замена солнечных панелей",
    "de": "Die Pumpen müssen geprüft werden",
    "en": "the pumps are being installed on café roofs",
}


def written(folder: Path) -> Documents:
    """Return an index of the texts."""
    documents = Documents(open_database(folder))
    documents.write([Document(name, text, metadata={"язык": name[:2]}) for name, text in TEXTS.items()])
    return documents


def found(documents: Documents, query: str, where: Filter | None = None) -> list[str]:
    """Return the ids that share words with a query."""
    return [hit.id for hit in documents.search_words(query, 5, where=where or Filter())]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("密码", "зх-密码"),
        ("水", "зх-密码"),
        ("リセット", "ja"),
        ("รหัสผ่าน", "th"),
        ("पासवर्ड", "hi"),
        ("المرور", "ar"),
        ("СОЛНЕЧНЫХ", "ru"),
        ("cafe\u0301", "en"),
        ("install pump", "en"),
    ],
)
def test_a_document_is_found_by_its_words(tmp_path: Path, query: str, wanted: str) -> None:
    """Without blanks by pairs, a single ideograph by what begins with it; with marks, in any encoding."""
    assert found(written(tmp_path), query) == [wanted]


def test_filters_take_any_script(tmp_path: Path) -> None:
    """Fields and values are compared as they are."""
    documents = written(tmp_path)
    assert found(documents, "密码 रीसेट पासवर्ड", parse_filter({"язык": "hi"})) == ["hi"]


def test_a_language_stems_the_words_of_the_index(tmp_path: Path) -> None:
    """An import says the language: forms of a word are one, before and after writes; the next import changes it."""
    database = open_database(tmp_path)
    units = [Document("d", "Замена солнечных панелей"), Document("e", "Ремонт насоса")]
    import_corpus(database, units)
    documents = Documents(database)
    assert found(documents, "солнечная панель") == []
    import_corpus(database, units, language=Language.RUSSIAN)
    assert found(documents, "солнечная панель") == ["d"]
    documents.write([Document("f", "солнечными панелями"), Document("d", "насосами")])
    assert found(documents, "солнечная панель") == ["f"]
    assert set(found(documents, "насос")) == {"d", "e"}
    import_corpus(database, [units[1]], language=Language.OTHER)
    assert found(documents, "насос") == []
    _check(tmp_path)


def test_an_index_of_before_is_brought_up_to_date(tmp_path: Path) -> None:
    """One whose words were split at blanks finds Chinese once it has been opened; English scores stay the same."""
    fresh = written(tmp_path / "new")
    scores = [(hit.id, hit.score) for hit in fresh.search_words("install the pumps", 5, where=Filter())]
    (tmp_path / "old").mkdir()
    first = sqlite3.connect(tmp_path / "old" / FILE_NAME)
    first.executescript("""
        CREATE TABLE units (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL, title TEXT NOT NULL,
            text TEXT NOT NULL, metadata TEXT NOT NULL, hash TEXT NOT NULL
        );
        CREATE VIRTUAL TABLE words USING fts5 (
            title, text, content = 'units', content_rowid = 'n', tokenize = 'porter unicode61 remove_diacritics 2'
        );
        CREATE TRIGGER words_in AFTER INSERT ON units BEGIN
            INSERT INTO words (rowid, title, text) VALUES (new.n, new.title, new.text);
        END;
    """)
    first.executemany(
        "INSERT INTO units (id, document, title, text, metadata, hash) VALUES (?1, ?1, '', ?2, '{}', '')", TEXTS.items()
    )
    first.commit()
    first.close()
    for _ in range(2):
        documents = Documents(open_database(tmp_path / "old"))
        assert found(documents, "密码") == ["зх-密码"]
        again = [(hit.id, hit.score) for hit in documents.search_words("install the pumps", 5, where=Filter())]
        assert again == scores
    documents.write([Document("de", "重置")])
    assert set(found(documents, "重置")) == {"зх-密码", "de"}
    _check(tmp_path / "old")


def _check(folder: Path) -> None:
    """Let SQLite compare the words with the texts: it raises where they differ."""
    database: Database = open_database(folder)
    with database.writing() as connection:
        connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
