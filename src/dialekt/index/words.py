"""BM25 over the words of the documents, kept in step with every write by the database itself.

SQLite splits texts at blanks and stems English. What that does not suit is kept a second time, as it is searched: texts
in scripts without blanks as overlapping pairs, texts of another language than English stemmed in it.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dialekt.index.filters import Filter, tags_of
from dialekt.models.language import stemmer, stop_words
from dialekt.store.words import find_terms, is_plain, is_unit, run_ends, search_form
from dialekt.types import Language

MAX_WORDS = 64
_AS_THEY_STAND = frozenset({Language.ENGLISH, Language.OTHER})
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class WordHit:
    """A unit that shares words with the query; a higher score is better."""

    id: str
    document_id: str
    score: float


class Wording:
    """How texts and queries of a language become words. One thread at a time may use it."""

    def __init__(self, language: Language):
        self.language = language

    @cached_property
    def _stemmer(self) -> Any:
        return None if self.language in _AS_THEY_STAND else stemmer(self.language)

    def of_document(self, text: str) -> str | None:
        """Return a text as it is searched, None where that is the text itself."""
        if is_plain(text) and self._stemmer is None:
            return None
        prepared = self._prepared(text)
        terms = self._stemmed(find_terms(prepared))
        return " ".join([*terms, *run_ends(prepared)])  # a search for one ideograph looks for what begins with it

    def of_query(self, text: str) -> list[str]:
        """Return the different words of a query; frequent ones are left out, for they cost most and decide nothing."""
        words = list(dict.fromkeys(find_terms(self._prepared(text))))
        listed = stop_words(Language.ENGLISH if self.language in _AS_THEY_STAND else self.language)
        wanted = [word for word in words if word not in listed] or words
        return self._stemmed(wanted)

    def _prepared(self, text: str) -> str:
        return search_form(text, turkish=self.language is Language.TURKISH)

    def _stemmed(self, words: list[str]) -> list[str]:
        return [str(word) for word in self._stemmer.stemWords(words)] if self._stemmer else words


def wording_of(connection: sqlite3.Connection) -> Wording:
    """Return how the words of an index are made, as a transaction sees it."""
    row = connection.execute("SELECT value FROM facts WHERE name = 'language'").fetchone()
    return Wording(Language(row[0]) if row else Language.OTHER)


def set_language(connection: sqlite3.Connection, language: Language) -> None:
    """Make the words of all units anew where the language of an index is another than before."""
    before = wording_of(connection)
    if before.language is language:
        return
    connection.execute("INSERT OR REPLACE INTO facts VALUES ('language', ?)", (language.value,))
    after = Wording(language)
    if {language, before.language} != _AS_THEY_STAND:  # their texts are the same
        rewrite_words(connection, after)


def rewrite_words(connection: sqlite3.Connection, wording: Wording) -> None:
    """Make the searched form of all units anew."""
    last = -1
    while rows := connection.execute(
        "SELECT n, title, text FROM units WHERE n > ? ORDER BY n LIMIT ?", (last, _ROWS_AT_ONCE)
    ).fetchall():
        found = [(wording.of_document(row["title"]), wording.of_document(row["text"]), row["n"]) for row in rows]
        connection.executemany(
            "UPDATE units SET title_words = ?1, text_words = ?2"
            " WHERE n = ?3 AND (title_words IS NOT ?1 OR text_words IS NOT ?2)",
            found,
        )
        last = rows[-1]["n"]


def search_words(connection: sqlite3.Connection, query: str, limit: int, *, where: Filter) -> list[WordHit]:
    """Return the best units for the query's words, best first.

    SQLite's BM25 (k1 1.2, b 0.75) over title and text, stemmed; any of the words may match.
    """
    wanted = wording_of(connection).of_query(query)
    if not wanted:
        return []
    rows = connection.execute(
        "SELECT units.id, units.document, units.metadata, bm25(words) AS score FROM words"
        " JOIN units ON units.n = words.rowid WHERE words MATCH ? ORDER BY score",
        (_expression(wanted[:MAX_WORDS]),),
    )
    hits: list[WordHit] = []
    for row in rows:
        if not where or where.matches(tags_of(json.loads(row["metadata"]))):
            hits.append(WordHit(row["id"], row["document"], -row["score"]))
        if len(hits) >= limit:
            break
    return hits


def _expression(words: Sequence[str]) -> str:
    """Return what SQLite is asked: any of the words, and of a single unit all pairs that begin with it."""
    return " OR ".join(f'"{word}" *' if is_unit(word) else f'"{word}"' for word in words)
