"""BM25's hits for every query: searched once, kept beside the negatives, and used again when mining is repeated."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dialekt.models.lexical import Bm25
from dialekt.store.atomic import write_atomic
from dialekt.types import Language, Progress, ReportProgress, no_progress

LEXICAL_NAME = "bm25_rows.npy"
QUERIES_PER_SEARCH = 1024


def search_words(
    contents: Sequence[str],
    queries: Sequence[str],
    *,
    depth: int,
    language: Language | None = None,
    progress: ReportProgress = no_progress,
) -> NDArray[np.int32]:
    """Return the rows of the best documents of every query (queries, depth), best first, filled up with -1."""
    depth = min(depth, len(contents))
    index = Bm25.build(contents, language=language, progress=progress)
    rows = np.full((len(queries), depth), -1, dtype=np.int32)
    for start in range(0, len(queries), QUERIES_PER_SEARCH):
        progress(Progress("search words", start, len(queries)))
        block = slice(start, start + QUERIES_PER_SEARCH)
        rows[block] = index.search(queries[block], depth).indices
    progress(Progress("search words", len(queries), len(queries)))
    return rows


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
