"""BM25's hits for every query: searched once, kept beside the negatives, and used again when mining is repeated."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.models.lexical import Bm25
from dialekt.store.atomic import write_atomic
from dialekt.types import Divide, Language, Progress, ReportProgress, no_progress, one_by_one

LEXICAL_NAME = "bm25_rows.npy"
QUERIES_PER_SEARCH = 1024


@dataclass(frozen=True, slots=True)
class WordSearch:
    """Searches the words of a block of queries."""

    index: Bm25
    depth: int

    def __call__(self, queries: Sequence[str]) -> NDArray[np.int32]:
        """Return the rows of the best documents (queries, depth), best first, filled up with -1."""
        return self.index.search(queries, self.depth).indices.astype(np.int32)


def search_words(
    contents: Sequence[str],
    queries: Sequence[str],
    *,
    depth: int,
    language: Language | None = None,
    divide: Divide = one_by_one,
    progress: ReportProgress = no_progress,
) -> NDArray[np.int32]:
    """Return the rows of the best documents of every query (queries, depth), best first, filled up with -1.

    The index is made once; the queries are divided.
    """
    depth = min(depth, len(contents))
    search = WordSearch(Bm25.build(contents, language=language, progress=progress), depth)
    rows = np.full((len(queries), depth), -1, dtype=np.int32)
    blocks = [queries[start : start + QUERIES_PER_SEARCH] for start in range(0, len(queries), QUERIES_PER_SEARCH)]
    done = 0
    progress(Progress("search words", done, len(queries)))
    for place, found in divide(partial(_itself, search), blocks) if blocks else ():
        rows[place * QUERIES_PER_SEARCH :][: len(found)] = found
        done += len(found)
        progress(Progress("search words", done, len(queries)))
    return rows


def _itself(search: WordSearch) -> WordSearch:
    return search


def keep_hits(folder: Path, rows: NDArray[np.int32]) -> None:
    """Keep BM25's hits (queries, depth) in a negatives artefact."""
    buffer = io.BytesIO()
    np.save(buffer, rows)
    write_atomic(folder / LEXICAL_NAME, buffer.getvalue())


def kept_hits(folder: Path, *, shape: tuple[int, int]) -> NDArray[np.int32] | None:
    """Return the hits kept in a folder, or None when there are none, or not of this shape (queries, depth)."""
    try:
        rows: NDArray[np.int32] = np.load(folder / LEXICAL_NAME)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return rows if rows.shape == shape else None
