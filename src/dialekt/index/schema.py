"""The one SQLite file of an index: documents, words, the change log, versions, releases, what is live."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from dialekt.index.words import rewrite_words, wording_of
from dialekt.store.sqlite import Database

FILE_NAME = "index.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS units (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    metadata TEXT NOT NULL, hash TEXT NOT NULL, title_words TEXT, text_words TEXT
);
CREATE INDEX IF NOT EXISTS units_of_document ON units (document);
CREATE TABLE IF NOT EXISTS imports (document TEXT PRIMARY KEY, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS changes (sequence INTEGER PRIMARY KEY AUTOINCREMENT, unit TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    name TEXT PRIMARY KEY, space TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, created TEXT NOT NULL,
    position INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS releases (
    name TEXT PRIMARY KEY, version TEXT NOT NULL REFERENCES versions (name), model TEXT NOT NULL,
    model_id TEXT NOT NULL, settings TEXT NOT NULL, state TEXT NOT NULL, created TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS switches (
    n INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, release TEXT NOT NULL, previous TEXT NOT NULL,
    reason TEXT NOT NULL, overridden TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS servers (name TEXT PRIMARY KEY, release TEXT NOT NULL, prepared TEXT NOT NULL, seen REAL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT OR IGNORE INTO facts VALUES ('format', '1'), ('namespace', lower(hex(randomblob(4)))), ('announced', '');
INSERT OR IGNORE INTO facts VALUES ('last version', '0'), ('last release', '0'), ('language', 'other');
"""
_WORDS = """
CREATE VIEW IF NOT EXISTS searched AS
    SELECT n, coalesce(title_words, title) AS title, coalesce(text_words, text) AS text FROM units;
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    title, text, content = 'searched', content_rowid = 'n',
    tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co M*'"
);
CREATE TRIGGER IF NOT EXISTS words_in AFTER INSERT ON units BEGIN
    INSERT INTO words (rowid, title, text)
    VALUES (new.n, coalesce(new.title_words, new.title), coalesce(new.text_words, new.text));
END;
CREATE TRIGGER IF NOT EXISTS words_out AFTER DELETE ON units BEGIN
    INSERT INTO words (words, rowid, title, text)
    VALUES ('delete', old.n, coalesce(old.title_words, old.title), coalesce(old.text_words, old.text));
END;
CREATE TRIGGER IF NOT EXISTS words_changed AFTER UPDATE OF title, text, title_words, text_words ON units BEGIN
    INSERT INTO words (words, rowid, title, text)
    VALUES ('delete', old.n, coalesce(old.title_words, old.title), coalesce(old.text_words, old.text));
    INSERT INTO words (rowid, title, text)
    VALUES (new.n, coalesce(new.title_words, new.title), coalesce(new.text_words, new.text));
END;
"""
_FIRST_WORDS = ("words_in", "words_out", "words_changed")  # the triggers of indexes that knew no searched form


def open_database(folder: Path) -> Database:
    """Open an index folder's file, making it where there is none. Raises `StorageError`."""
    database = Database(folder / FILE_NAME, _SCHEMA)
    _bring_up_to_date(database)
    database.run(_WORDS)
    return database


def _bring_up_to_date(database: Database) -> None:
    """Give the searched form of texts to an index that was made before there was one."""
    if _has_searched_form(database):
        return
    with database.writing() as connection:
        columns = {row["name"] for row in connection.execute("PRAGMA table_info (units)")}
        if "title_words" in columns:  # another process was first
            return
        for trigger in _FIRST_WORDS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        connection.execute("DROP TABLE IF EXISTS words")
        for column in ("title_words", "text_words"):
            connection.execute(f"ALTER TABLE units ADD COLUMN {column} TEXT")
        rewrite_words(connection, wording_of(connection))
        for statement in _statements(_WORDS):
            connection.execute(statement)
        connection.execute("INSERT INTO words (words) VALUES ('rebuild')")


def _has_searched_form(database: Database) -> bool:
    with database.reading() as connection:
        return any(row["name"] == "title_words" for row in connection.execute("PRAGMA table_info (units)"))


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, so that they can be part of a transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
