"""Approximate search held against exact search: the reference, and the share of it that was found."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialekt.index.engines.base import VectorEngine
from dialekt.index.records import Found
from dialekt.models.topk import TopK, empty_top_k, top_k

TIE = 1e-6  # cosines that differ by less are equal: the order of a float32 sum decides between them
MAX_TIES = 54  # units kept beyond the k-th because their score equals its

_Label = tuple[str, str, str]


def exact_results(engine: VectorEngine, queries: NDArray[np.float32], k: int) -> list[Found]:
    """Return the k best units of every query (queries, dimension) and those that tie with the last of them.

    Every vector is read once, chunk by chunk; memory does not grow with the rows.
    """
    best = empty_top_k(len(queries), k + MAX_TIES)
    labels: dict[int, _Label] = {}
    start = 0
    for rows in engine.scan(vectors=True):
        best = _merged(best, top_k(queries, rows.vectors, k + MAX_TIES), start)
        kept = [place for place in np.unique(best.indices).tolist() if place >= 0]
        columns = rows.ids, rows.document_ids, rows.spaces
        labels = {
            place: labels[place] if place < start else tuple(column[place - start] for column in columns)
            for place in kept
        }
        start += len(rows)
    return [_found(indices, scores, labels, k) for indices, scores in zip(best.indices, best.scores, strict=True)]


def recall(found: Sequence[Found], truth: Sequence[Found], k: int) -> NDArray[np.float64]:
    """Return for every query the share of the k best units that its first k found are; a tie counts as found.

    `truth` is what `exact_results` returns for this k or a larger one. A query without any result to find has 1.
    """
    pairs = zip(found, truth, strict=True)
    return np.array([_recall(one, exact, k) for one, exact in pairs], dtype=np.float64)


def _recall(found: Found, truth: Found, k: int) -> float:
    wanted = min(k, len(truth.ids))
    if not wanted:
        return 1.0
    right = {name for name, good in zip(truth.ids, _as_good(truth.scores, wanted), strict=True) if good}
    return min(len(right.intersection(found.ids[:k])) / wanted, 1.0)


def _as_good(scores: NDArray[np.float32], k: int) -> list[bool]:
    """Whether each of the falling scores is as good as the k-th."""
    return [bool(good) for good in scores >= scores[k - 1] - TIE]


def _merged(best: TopK, part: TopK, start: int) -> TopK:
    """Return the best of both; what was there before stays ahead of an equal score."""
    indices = np.concatenate([best.indices, np.where(part.indices < 0, -1, part.indices + start)], axis=1)
    scores = np.concatenate([best.scores, part.scores], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : best.scores.shape[1]]
    return TopK(np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1))


def _found(indices: NDArray[np.int64], scores: NDArray[np.float32], labels: dict[int, _Label], k: int) -> Found:
    count = int((indices >= 0).sum())
    kept = sum(_as_good(scores[:count], min(k, count))) if count else 0
    named = [labels[place] for place in indices[:kept].tolist()]
    ids, document_ids, spaces = (tuple(label[column] for label in named) for column in range(3))
    return Found(ids, document_ids, spaces, scores[:kept])
