"""One first stage measured on vectors in memory: what its shortlists hold after reranking, and how long it takes."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from dialekt.config import Quantization
from dialekt.index.engines.codes import Coder, Codes
from dialekt.index.recall import TIE
from dialekt.index.records import FirstStage
from dialekt.models.topk import TopK, empty_top_k, select_best, top_k

CUTOFF = 10
_TIMED_QUERIES = 15
_BLOCK_CELLS = 8_000_000  # float32 numbers of gathered candidates held at once


@dataclass(frozen=True, slots=True, eq=False)
class FullSearch:
    """The ten best units of every query by full vectors: (queries, 10), int64 and float32, -1 and -inf after the last.

    `milliseconds` is the median of single queries.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    milliseconds: float

    def overlap(self, rows: NDArray[np.intp], scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share of these queries' ten best that results with these full scores (rows, 10) are."""
        best = self.scores[rows]
        wanted = np.isfinite(best).sum(axis=1)
        worst = np.min(best, axis=1, initial=np.inf, where=np.isfinite(best), keepdims=True)
        found = (np.isfinite(scores) & (scores >= worst - TIE)).sum(axis=1)
        shares: NDArray[np.float64] = np.minimum(found / np.maximum(wanted, 1), 1.0)
        return shares


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A first stage with each oversampling: the reranked ten best (queries, 10) and a search's milliseconds."""

    stage: FirstStage
    indices: tuple[NDArray[np.int64], ...]
    scores: tuple[NDArray[np.float32], ...]
    milliseconds: tuple[float, ...]


def search_fully(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> FullSearch:
    """Compare every query (queries, dimension) with every vector (units, dimension)."""
    best = top_k(queries, vectors, CUTOFF)
    return FullSearch(best.indices, best.scores, _timed(queries, lambda query: top_k(query, vectors, CUTOFF)))


def measure_stage(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], stage: FirstStage, oversamplings: Sequence[float]
) -> Measured:
    """Search the first stage's codes of the vectors and rerank the shortlist of each oversampling."""
    depths = [min(math.ceil(CUTOFF * one), len(vectors)) for one in oversamplings]
    coder = Coder.fit(stage, vectors)
    codes = coder.encode(vectors)
    ranked, milliseconds = [], []
    for shortlist, first in _shortlists(coder, codes, queries, depths):
        ranked.append(_reranked(shortlist, _full_scores(vectors, queries, shortlist)))
        milliseconds.append(first + _rerank_milliseconds(vectors, queries, shortlist))
    indices, scores = tuple(one.indices for one in ranked), tuple(one.scores for one in ranked)
    return Measured(stage, indices, scores, tuple(milliseconds))


def _shortlists(
    coder: Coder, codes: Codes, queries: NDArray[np.float32], depths: Sequence[int]
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Yield the shortlist (queries, depth) of every depth, best first, and the milliseconds that one query takes.

    Where codes are compared once, short shortlists are what long ones begin with.
    """

    def measured(depth: int) -> tuple[NDArray[np.int64], float]:
        found = coder.candidates(codes, queries, depth)
        return found, _timed(queries, lambda query: coder.candidates(codes, query, depth))

    match coder.first_stage.quantization:
        case Quantization.BINARY:  # signs are compared in two steps, the second as deep as the shortlist asks for
            yield from map(measured, depths)
        case Quantization.NONE | Quantization.INT8:
            deepest, milliseconds = measured(max(depths))
            yield from ((deepest[:, :depth], milliseconds) for depth in depths)


def _full_scores(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], shortlist: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the cosine of every query with each unit of its shortlist (queries, depth)."""
    scores = np.empty(shortlist.shape, dtype=np.float32)
    block = max(1, _BLOCK_CELLS // (shortlist.shape[1] * vectors.shape[1]))
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        gathered = vectors[shortlist[rows]]  # (block, depth, dimension)
        scores[rows] = (gathered @ queries[rows, :, None])[..., 0]
    return scores


def _reranked(shortlist: NDArray[np.int64], exact: NDArray[np.float32]) -> TopK:
    """Return the ten best of each shortlist and their scores (queries, 10), -1 and -inf after the last."""
    best = empty_top_k(len(shortlist), CUTOFF)
    order = np.argsort(-exact, axis=1, kind="stable")[:, :CUTOFF]
    best.indices[:, : order.shape[1]] = np.take_along_axis(shortlist, order, axis=1)
    best.scores[:, : order.shape[1]] = np.take_along_axis(exact, order, axis=1)
    return best


def _rerank_milliseconds(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], shortlist: NDArray[np.int64]
) -> float:
    places = iter(shortlist)
    return _timed(queries, lambda query: select_best(vectors[next(places)] @ query[0], CUTOFF))


def _timed(queries: NDArray[np.float32], search: Callable[[NDArray[np.float32]], object]) -> float:
    """Return the median milliseconds of searching for one query (1, dimension)."""
    seconds = []
    for row in range(min(_TIMED_QUERIES, len(queries))):
        start = time.perf_counter()
        search(queries[row : row + 1])
        seconds.append(time.perf_counter() - start)
    return median(seconds) * 1_000
