"""BM25 over the words of the documents, kept in step with every write by the database itself."""

import functools
import json
import re
import sqlite3
from dataclasses import dataclass

from dialekt.index.filters import Filter, tags_of

MAX_WORDS = 64
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class WordHit:
    """A unit that shares words with the query; a higher score is better."""

    id: str
    document_id: str
    score: float


def search_words(connection: sqlite3.Connection, query: str, limit: int, *, where: Filter) -> list[WordHit]:
    """Return the best units for the query's words, best first.

    SQLite's BM25 (k1 1.2, b 0.75) over title and text, stemmed; any of the words may match.
    """
    words = list(dict.fromkeys(_WORD.findall(query.lower())))
    wanted = [
        word for word in words if word not in _stop_words()
    ] or words  # frequent words cost most and decide nothing
    if not wanted:
        return []
    match = " OR ".join(f'"{word}"' for word in wanted[:MAX_WORDS])
    rows = connection.execute(
        "SELECT units.id, units.document, units.metadata, bm25(words) AS score FROM words"
        " JOIN units ON units.n = words.rowid WHERE words MATCH ? ORDER BY score",
        (match,),
    )
    hits: list[WordHit] = []
    for row in rows:
        if not where or where.matches(tags_of(json.loads(row["metadata"]))):
            hits.append(WordHit(row["id"], row["document"], -row["score"]))
        if len(hits) >= limit:
            break
    return hits


@functools.cache
def _stop_words() -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
