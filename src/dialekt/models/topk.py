"""Exact nearest neighbours in blocks: memory does not grow with queries times documents."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_DOCUMENT = -1


@dataclass(frozen=True, slots=True)
class TopK:
    """The best documents of every query, best first; equal scores by rising index.

    `indices` is int64 (queries, k) and `scores` float32 (queries, k). Where a query has fewer than k results,
    the rest is index -1 and score -inf.
    """

    indices: NDArray[np.int64]
    scores: NDArray[np.float32]


def top_k(
    query_vectors: NDArray[np.float32],
    document_vectors: NDArray[np.float32],
    k: int,
    *,
    block_rows: int = 16_384,
    query_rows: int = 256,
) -> TopK:
    """Return the k documents with the largest dot product for every query, the same in every run.

    `query_vectors` is (queries, dimension), `document_vectors` (documents, dimension), finite; memory maps
    are read block by block. Working memory is some 5 bytes times `query_rows` times `block_rows`.
    """
    result = empty_top_k(len(query_vectors), k)
    for first in range(0, len(query_vectors), query_rows):
        rows = slice(first, first + query_rows)
        block = np.ascontiguousarray(query_vectors[rows], dtype=np.float32)
        for start in range(0, len(document_vectors), block_rows):
            documents = np.asarray(document_vectors[start : start + block_rows], dtype=np.float32)
            scores = block @ documents.T  # (query_rows, block_rows)
            _merge(scores, start, result.indices[rows], result.scores[rows])
    return result


def empty_top_k(queries: int, k: int) -> TopK:
    """Return a result without any document."""
    indices = np.full((queries, k), NO_DOCUMENT, dtype=np.int64)
    return TopK(indices, np.full((queries, k), -np.inf, dtype=np.float32))


def select_best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the positions of the k largest scores of a row, best first; equal scores by position."""
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        candidates = np.flatnonzero(scores >= threshold)  # ties at the threshold come along, lowest positions first
    else:
        candidates = np.arange(len(scores))
    order = np.argsort(-scores[candidates], kind="stable")[:k]
    return candidates[order].astype(np.int64)


def _merge(
    scores: NDArray[np.float32], start: int, best_indices: NDArray[np.int64], best_scores: NDArray[np.float32]
) -> None:
    """Merge a block of scores into the best so far, in place.

    What is already there has lower indices than the block, so it stays ahead of an equal score.
    """
    k = best_scores.shape[1]
    better = scores > best_scores[:, -1:]  # (queries, block_rows)
    for row in np.flatnonzero(better.any(axis=1)):
        positions = np.flatnonzero(better[row])
        positions = positions[select_best(scores[row, positions], k)]
        merged_scores = np.concatenate([best_scores[row], scores[row, positions]])
        merged_indices = np.concatenate([best_indices[row], positions + start])
        order = np.argsort(-merged_scores, kind="stable")[:k]
        best_scores[row], best_indices[row] = merged_scores[order], merged_indices[order]
