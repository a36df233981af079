"""Hybrid retrieval: two ranked lists become one; how is chosen on the dev queries."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.records import Fusion, FusionMethod
from dialekt.measures.metrics import GainTable, ndcg
from dialekt.measures.runs import Run

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MINIMUM_DEV_QUERIES = 10
_ROWS_PER_BLOCK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """The documents of two rankings with what each ranking gives them. All arrays are (queries, both depths).

    `indices` rise along a row, -1 where there is no document; `lexical` and `dense` are float64, 0 where a
    ranking does not have the document.
    """

    indices: NDArray[np.int64]
    lexical: NDArray[np.float64]
    dense: NDArray[np.float64]


def default_fusion(rank_constant: int) -> Fusion:
    """Return plain reciprocal rank fusion: both rankings count the same."""
    return Fusion(FusionMethod.RRF, lexical_weight=0.5, rank_constant=rank_constant)


def fuse(lexical: Run, dense: Run, fusion: Fusion, *, depth: int) -> Run:
    """Join two runs over the same queries and documents into one of `depth` documents per query.

    Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009), weighted: w / (k + rank) + (1 - w) / (k + rank).
    Convex combination (Bruch, Gai & Ingber 2023): w · lexical + (1 - w) · dense over scores that are scaled
    to [0, 1] per query. Ties go to the document with the lower index.
    """
    assert lexical.query_ids == dense.query_ids
    assert lexical.document_ids == dense.document_ids
    indices = np.full((len(lexical.query_ids), depth), -1, dtype=np.int64)
    scores = np.full(indices.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(indices), _ROWS_PER_BLOCK):
        rows = slice(start, start + _ROWS_PER_BLOCK)
        union = unite(lexical, dense, fusion, rows=rows)
        best, values = weigh(union, fusion.lexical_weight, depth)
        indices[rows, : best.shape[1]], scores[rows, : best.shape[1]] = best, values
    return Run(lexical.query_ids, lexical.document_ids, indices, scores)


def unite(lexical: Run, dense: Run, fusion: Fusion, *, rows: slice) -> Union:
    """Align two rankings document by document, with what the fusion method makes of rank or score."""
    left, right = lexical.indices[rows], dense.indices[rows]
    indices = np.concatenate([left, right], axis=1)  # (queries, both depths)
    zeros_left, zeros_right = np.zeros(left.shape), np.zeros(right.shape)
    from_lexical = np.concatenate([_contribution(lexical, fusion, rows), zeros_right], axis=1)
    from_dense = np.concatenate([zeros_left, _contribution(dense, fusion, rows)], axis=1)
    order = np.argsort(indices, axis=1, kind="stable")
    indices, from_lexical, from_dense = (
        np.take_along_axis(values, order, axis=1) for values in (indices, from_lexical, from_dense)
    )
    twin = np.zeros(indices.shape, dtype=bool)  # the second of two neighbors that are one document
    twin[:, 1:] = (indices[:, 1:] == indices[:, :-1]) & (indices[:, 1:] >= 0)
    for values in (from_lexical, from_dense):
        values[:, :-1] += np.where(twin[:, 1:], values[:, 1:], 0.0)
    return Union(np.where(twin, -1, indices), from_lexical, from_dense)


def _contribution(run: Run, fusion: Fusion, rows: slice) -> NDArray[np.float64]:
    """Return what a ranking gives its documents (queries, depth), 0 where there is none."""
    found = run.indices[rows] >= 0
    match fusion.method:
        case FusionMethod.RRF:
            ranks = np.arange(1, found.shape[1] + 1, dtype=np.float64)
            return np.where(found, 1.0 / (fusion.rank_constant + ranks), 0.0)
        case FusionMethod.CONVEX:
            return _scaled(run.scores[rows].astype(np.float64), found)
        case _:
            assert_never(fusion.method)


def _scaled(scores: NDArray[np.float64], found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scale each row to [0, 1]: 1 is the best score, 0 what a document scores that is not in the list.

    A full list's floor is its lowest score. A list that is not full holds all that matched: the floor is 0.
    """
    if not found.shape[1]:
        return np.zeros(found.shape)
    scores = np.where(found, scores, 0.0)
    lowest = np.where(found, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    floor = np.where(found.all(axis=1, keepdims=True), lowest, np.minimum(lowest, 0.0))
    span = scores[:, :1] - floor  # (queries, 1)
    scaled = np.where(span > 0, (scores - floor) / np.where(span > 0, span, 1.0), 1.0)
    return np.where(found, scaled, 0.0)


def weigh(union: Union, lexical_weight: float, depth: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best documents and their scores for one weight, both (queries, at most depth)."""
    fused = lexical_weight * union.lexical + (1.0 - lexical_weight) * union.dense
    fused = np.where(union.indices >= 0, fused, -np.inf)
    order = np.argsort(-fused, axis=1, kind="stable")[:, :depth]  # stable: the lower index first
    scores = np.take_along_axis(fused, order, axis=1)
    indices = np.where(np.isfinite(scores), np.take_along_axis(union.indices, order, axis=1), -1)
    return indices, scores.astype(np.float32)


def choose_fusion(lexical: Run, dense: Run, table: GainTable, *, rank_constant: int) -> Fusion:
    """Choose method and weight by mean NDCG@10 over the dev queries of the two runs.

    Plain reciprocal rank fusion stays when there are fewer than ten dev queries, and wins ties.
    """
    default = default_fusion(rank_constant)
    queries = len(lexical.query_ids)
    if not queries:
        return default
    tried = list(_try_all(lexical, dense, table, default))
    if queries < MINIMUM_DEV_QUERIES:
        return next(fusion for fusion in tried if _is_same_choice(fusion, default))
    return max(tried, key=lambda fusion: (fusion.dev_score or 0.0, _is_same_choice(fusion, default)))


def _try_all(lexical: Run, dense: Run, table: GainTable, default: Fusion) -> Iterator[Fusion]:
    for method in FusionMethod:
        candidate = replace(default, method=method)
        totals = np.zeros(len(WEIGHTS))
        for start in range(0, len(lexical.query_ids), _ROWS_PER_BLOCK):
            rows = slice(start, start + _ROWS_PER_BLOCK)
            union = unite(lexical, dense, candidate, rows=rows)
            block = table.rows(rows)
            totals += [ndcg(weigh(union, weight, 10)[0], block).sum() for weight in WEIGHTS]
        queries = len(lexical.query_ids)
        for weight, total in zip(WEIGHTS, totals.tolist(), strict=True):
            yield replace(candidate, lexical_weight=weight, dev_score=total / queries, dev_queries=queries)


def _is_same_choice(fusion: Fusion, other: Fusion) -> bool:
    return (fusion.method, fusion.lexical_weight) == (other.method, other.lexical_weight)
