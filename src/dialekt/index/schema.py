"""The one SQLite file of an index: documents, words, the change log, versions, releases, what is live."""

from pathlib import Path

from dialekt.store.sqlite import Database

FILE_NAME = "index.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS units (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    metadata TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS units_of_document ON units (document);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (
    title, text, content = 'units', content_rowid = 'n', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER IF NOT EXISTS words_in AFTER INSERT ON units BEGIN
    INSERT INTO words (rowid, title, text) VALUES (new.n, new.title, new.text);
END;
CREATE TRIGGER IF NOT EXISTS words_out AFTER DELETE ON units BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.n, old.title, old.text);
END;
CREATE TRIGGER IF NOT EXISTS words_changed AFTER UPDATE OF title, text ON units BEGIN
    INSERT INTO words (words, rowid, title, text) VALUES ('delete', old.n, old.title, old.text);
    INSERT INTO words (rowid, title, text) VALUES (new.n, new.title, new.text);
END;
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
INSERT OR IGNORE INTO facts VALUES ('last version', '0'), ('last release', '0');
"""


def open_database(folder: Path) -> Database:
    """Open an index folder's file, making it where there is none. Raises `StorageError`."""
    return Database(folder / FILE_NAME, _SCHEMA)
