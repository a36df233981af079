"""NDCG@10, MRR@10, Recall@10 and Recall@100 of a run, per query, through ir-measures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.runs import Run
from dialekt.types import Qrel

NDCG = "NDCG@10"
METRICS = (NDCG, "MRR@10", "Recall@10", "Recall@100")
CUTOFF = 10
_LARGEST_FACTOR = 1000


@dataclass(frozen=True, slots=True)
class Judgments:
    """Whole-number grades by query and document; from `level` on, a document is a positive."""

    grades: Mapping[str, Mapping[str, int]]
    level: int

    def positives(self, query_id: str) -> list[str]:
        """Return the documents that answer a query."""
        return [name for name, grade in self.grades.get(query_id, {}).items() if grade >= self.level]


def judge(qrels: Iterable[Qrel], *, minimum_grade: float) -> Judgments:
    """Make whole numbers of the grades, as trec_eval needs them, without changing any metric.

    NDCG is the same when all gains are multiplied by one factor, so grades like 0.5 and 0.75 become 2 and 3.
    Grades below zero count as zero; a positive whose grade is not above zero counts as the lowest level.
    """
    kept = list(qrels)
    factor = _common_factor([qrel.grade for qrel in kept if qrel.grade > 0] + [max(minimum_grade, 0.0)])
    level = max(1, math.ceil(minimum_grade * factor - 1e-6))
    grades: dict[str, dict[str, int]] = {}
    for qrel in kept:
        lowest = level if qrel.grade >= minimum_grade else 0
        grades.setdefault(qrel.query_id, {})[qrel.document_id] = max(round(qrel.grade * factor), lowest)
    return Judgments(grades, level)


def _common_factor(grades: Sequence[float]) -> int:
    """Return the smallest factor, up to 1000, that makes every grade whole."""
    factor = 1
    for grade in set(grades):
        factor = math.lcm(factor, Fraction(grade).limit_denominator(_LARGEST_FACTOR).denominator)
        if factor > _LARGEST_FACTOR:
            return _LARGEST_FACTOR
    return factor


def score_run(run: Run, judgments: Judgments) -> dict[str, NDArray[np.float64]]:
    """Return each metric's values, aligned with the queries of the run. A query without results scores 0.

    The order of the run decides, also among tied scores: trec_eval would break ties by document id.
    """
    import ir_measures

    measures = _measures(judgments.level)
    rows = {query_id: row for row, query_id in enumerate(run.query_ids)}
    values = {name: np.zeros(len(rows)) for name in METRICS}
    judged = {query_id: dict(judgments.grades[query_id]) for query_id in rows if query_id in judgments.grades}
    if not judged:
        return values
    for found in ir_measures.iter_calc(list(measures), judged, _as_mapping(run)):
        values[measures[found.measure]][rows[found.query_id]] = found.value
    return values


def _measures(level: int) -> dict[Any, str]:
    """Return the measures of ir-measures with our names."""
    import ir_measures

    return {
        ir_measures.nDCG @ 10: "NDCG@10",
        ir_measures.RR(rel=level) @ 10: "MRR@10",
        ir_measures.R(rel=level) @ 10: "Recall@10",
        ir_measures.R(rel=level) @ 100: "Recall@100",
    }


def _as_mapping(run: Run) -> dict[str, dict[str, float]]:
    """Return {query: {document: score}} where the score is the negative rank, so that no tie is left."""
    names = run.document_ids
    return {
        query_id: {names[index]: -float(rank) for rank, index in enumerate(indices) if index >= 0}
        for query_id, indices in zip(run.query_ids, run.indices.tolist(), strict=True)
    }


@dataclass(frozen=True, slots=True, eq=False)
class GainTable:
    """Judgments as arrays, for scoring many rankings of the same queries and documents.

    `keys` (judgments,) int64, sorted, is query row * documents + document index; `gains` (judgments,);
    `ideal` (queries,) float64 is the DCG@10 of the best ranking, documents outside the corpus included.
    """

    documents: int
    keys: NDArray[np.int64]
    gains: NDArray[np.float64]
    ideal: NDArray[np.float64]

    def rows(self, rows: slice) -> "GainTable":
        """Return the table of some consecutive queries."""
        first = rows.start * self.documents
        low, high = np.searchsorted(self.keys, [first, rows.stop * self.documents])
        return GainTable(self.documents, self.keys[low:high] - first, self.gains[low:high], self.ideal[rows])


def tabulate(judgments: Judgments, *, query_ids: Sequence[str], document_ids: Sequence[str]) -> GainTable:
    """Lay judgments out over the rows of `query_ids` and the indices of `document_ids`."""
    place = {document_id: index for index, document_id in enumerate(document_ids)}
    entries: list[tuple[int, int]] = []
    ideal = np.zeros(len(query_ids))
    for row, query_id in enumerate(query_ids):
        grades = judgments.grades.get(query_id, {})
        best = sorted(grades.values(), reverse=True)[:CUTOFF]
        ideal[row] = _dcg(np.array([best], dtype=np.float64))[0]
        base = row * len(place)
        known = ((name, grade) for name, grade in grades.items() if grade > 0 and name in place)
        entries += [(base + place[name], grade) for name, grade in known]
    entries.sort()
    table = np.array(entries, dtype=np.int64).reshape(-1, 2)
    return GainTable(len(place), table[:, 0].copy(), table[:, 1].astype(np.float64), ideal)


def ndcg(indices: NDArray[np.int64], table: GainTable) -> NDArray[np.float64]:
    """Return NDCG@10 per query of ranked document indices (queries, ranks), padded with -1.

    DCG = Σ gain / log2(rank + 1), linear gains as in trec_eval (Järvelin & Kekäläinen 2002). Equal to
    ir-measures' nDCG@10, and fast enough to score every candidate of a grid.
    """
    top = indices[:, :CUTOFF]
    keys = np.arange(len(top), dtype=np.int64)[:, None] * table.documents + top  # (queries, 10)
    if not len(table.keys):
        return np.zeros(len(top))
    slots = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
    gains = np.where((top >= 0) & (table.keys[slots] == keys), table.gains[slots], 0.0)
    return np.divide(_dcg(gains), table.ideal, out=np.zeros(len(top)), where=table.ideal > 0)


def _dcg(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    discounts: NDArray[np.float64] = np.log2(np.arange(gains.shape[1]) + 2.0)
    total: NDArray[np.float64] = (gains / discounts).sum(axis=1)
    return total
