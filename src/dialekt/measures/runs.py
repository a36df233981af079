"""Runs: the ranked documents of every query, as arrays; TREC files at the border."""

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from dialekt.errors import InputError
from dialekt.models.topk import TopK
from dialekt.store.atomic import write_atomic
from dialekt.store.rows import read_lines

Search = Callable[[NDArray[np.int64], int], TopK]
"""Find the best k units for the queries of the given rows."""

_UNSAFE = re.compile(r"[\s%]")
_FIRST_FACTOR = 4


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The ranking of one system.

    `indices` (queries, depth) int64 points into `document_ids`, best first, -1 after the last result;
    `scores` (queries, depth) float32 never increases along a row and is -inf after the last result.
    """

    query_ids: tuple[str, ...]
    document_ids: tuple[str, ...]
    indices: NDArray[np.int64]
    scores: NDArray[np.float32]

    def select(self, rows: NDArray[np.int64]) -> "Run":
        """Return the run of some of the queries."""
        query_ids = tuple(self.query_ids[row] for row in rows)
        return Run(query_ids, self.document_ids, self.indices[rows], self.scores[rows])


def best_chunk_of_each_parent(top: TopK, parents: NDArray[np.int64], depth: int) -> TopK:
    """Turn ranked chunks into ranked parents: a parent scores what its best chunk scores (MaxP).

    Dai & Callan 2019. `parents` (chunks,) int64 gives each chunk's parent. Returns (queries, depth) parents,
    padded with -1 and -inf.
    """
    ranked = np.where(top.indices < 0, -1, parents[top.indices])  # (queries, k)
    order = np.argsort(ranked, axis=1, kind="stable")
    grouped = np.take_along_axis(ranked, order, axis=1)
    first = np.ones(ranked.shape, dtype=bool)
    first[:, 1:] = grouped[:, 1:] != grouped[:, :-1]
    keep = np.empty_like(first)
    np.put_along_axis(keep, order, first & (grouped >= 0), axis=1)
    left = np.argsort(~keep, axis=1, kind="stable")[:, :depth]  # kept ones first, in their order
    kept = np.take_along_axis(keep, left, axis=1)
    indices = np.where(kept, np.take_along_axis(ranked, left, axis=1), -1)
    scores = np.where(kept, np.take_along_axis(top.scores, left, axis=1), -np.inf).astype(np.float32)
    return _padded(TopK(indices, scores), depth)


def _padded(top: TopK, depth: int) -> TopK:
    missing = max(0, depth - top.indices.shape[1])
    widths = ((0, 0), (0, missing))
    return TopK(
        np.pad(top.indices[:, :depth], widths, constant_values=-1).astype(np.int64),
        np.pad(top.scores[:, :depth], widths, constant_values=-np.inf).astype(np.float32),
    )


def rank_parents(search: Search, parents: NDArray[np.int64], *, queries: int, depth: int) -> TopK:
    """Return each query's best `depth` parents, exactly: look deeper until enough distinct parents are seen.

    A query whose best chunks belong to few long documents is searched again, four times as deep, until it has
    its parents or nothing more is found. Returns (queries, depth).
    """
    chunks, distinct = len(parents), len(np.unique(parents))
    rows = np.arange(queries, dtype=np.int64)
    if distinct == chunks:
        return best_chunk_of_each_parent(search(rows, min(depth, chunks)), parents, depth)
    indices = np.full((queries, depth), -1, dtype=np.int64)
    scores = np.full((queries, depth), -np.inf, dtype=np.float32)
    k = min(chunks, depth * _FIRST_FACTOR)
    while len(rows):
        top = search(rows, k)
        found = best_chunk_of_each_parent(top, parents, depth)
        indices[rows], scores[rows] = found.indices, found.scores
        enough = (found.indices >= 0).sum(axis=1) >= min(depth, distinct)
        exhausted = (top.indices < 0).any(axis=1) | (k >= chunks)
        rows = rows[~(enough | exhausted)]
        k = min(chunks, k * _FIRST_FACTOR)
    return TopK(indices, scores)


def write_run(path: Path, run: Run, *, system: str) -> None:
    """Write a gzipped TREC run file, `query Q0 document rank score system`; equal runs give equal bytes.

    Tied scores are lowered by one float step each, so that tools which sort by score again find this order.
    White space and % in ids are percent-encoded, because the format separates by white space.
    """
    buffer = BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=3) as file:
        for block in _blocks(run, system):  # written line by line it takes ten times as long
            file.write(block.encode("utf-8"))
    write_atomic(path, buffer.getvalue())


def _blocks(run: Run, system: str) -> Iterator[str]:
    """Yield the lines of each query as one text."""
    scores = strictly_decreasing(run.scores)
    documents = [_encode(document_id) for document_id in run.document_ids]
    for row, query_id in enumerate(run.query_ids):
        query = _encode(query_id)
        ranking = zip(run.indices[row].tolist(), scores[row].tolist(), strict=True)
        yield "".join(
            f"{query} Q0 {documents[index]} {rank} {score:.9g} {system}\n"
            for rank, (index, score) in enumerate(ranking, start=1)
            if index >= 0
        )


def strictly_decreasing(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lower every score that is not below its left neighbour to the next smaller float32. (queries, depth)"""
    lowered = scores.copy()
    for column in range(1, lowered.shape[1]):
        below = np.nextafter(lowered[:, column - 1], np.float32(-np.inf))
        lowered[:, column] = np.minimum(lowered[:, column], below)
    return lowered


def _encode(identifier: str) -> str:
    return _UNSAFE.sub(lambda found: quote(found.group(), safe=""), identifier)


def read_run(path: Path) -> Run:
    """Read a TREC run file, plain or gzipped; raise `InputError` with the line of a fault."""
    ranked: dict[str, list[tuple[float, int]]] = {}
    documents: dict[str, int] = {}
    for line, number in read_lines(path):
        cells = line.split()
        if len(cells) != 6:
            raise InputError(
                f"has {len(cells)} columns, expected 6 (query Q0 document rank score tag)",
                path=path,
                line=number,
                hint="is this a TREC run file?",
            )
        index = documents.setdefault(unquote(cells[2]), len(documents))
        ranked.setdefault(unquote(cells[0]), []).append((_score(cells[4], path, number), index))
    return _assemble(ranked, tuple(documents))


def _score(text: str, path: Path, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"the score {text!r} is not a number", path=path, line=line, hint="is this a TREC run file?"
        ) from None


def _assemble(ranked: dict[str, list[tuple[float, int]]], document_ids: tuple[str, ...]) -> Run:
    depth = max(map(len, ranked.values()), default=0)
    indices = np.full((len(ranked), depth), -1, dtype=np.int64)
    scores = np.full((len(ranked), depth), -np.inf, dtype=np.float32)
    for row, found in enumerate(ranked.values()):
        found.sort(key=lambda pair: -pair[0])
        scores[row, : len(found)] = [score for score, _ in found]
        indices[row, : len(found)] = [index for _, index in found]
    return Run(tuple(ranked), document_ids, indices, scores)
