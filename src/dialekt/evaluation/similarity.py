"""How well a model's cosines tell positives from the documents that compete with them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dialekt.evaluation.records import Histogram
from dialekt.measures.metrics import Judgments
from dialekt.measures.retrieval import Collection, units_of_documents
from dialekt.measures.runs import Run

BINS = 40
NEGATIVES_PER_QUERY = 10
_ROWS_PER_BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Cosines:
    """Cosines of queries with their positives, and with their best-ranked other documents. Both float64 (n,)."""

    positives: NDArray[np.float64]
    negatives: NDArray[np.float64]


def measure_cosines(
    collection: Collection,
    judgments: Judgments,
    run: Run,
    *,
    query_vectors: NDArray[np.float32],
    document_vectors: NDArray[np.float32],
) -> Cosines:
    """Take the cosines of every positive, and of the ten best documents of `run` that are no positives.

    Row n of `query_vectors` (queries, dimension) is query n of the dense `run`. A document's cosine is its best
    unit's.
    """
    units = units_of_documents(collection)
    pairs = [
        (row, unit, document_id)
        for row, query_id in enumerate(run.query_ids)
        for document_id in judgments.positives(query_id)
        for unit in units.get(document_id, [])
    ]
    rows = np.array([row for row, _, _ in pairs], dtype=np.int64)
    columns = np.array([unit for _, unit, _ in pairs], dtype=np.int64)
    cosines = _pairwise(query_vectors, document_vectors, rows, columns)
    best: dict[tuple[int, str], float] = {}
    for (row, _, document_id), cosine in zip(pairs, cosines.tolist(), strict=True):
        best[row, document_id] = max(cosine, best.get((row, document_id), -np.inf))
    return Cosines(np.array(list(best.values())), _best_of_the_others(run, judgments))


def _pairwise(
    query_vectors: NDArray[np.float32],
    document_vectors: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the dot product of each query row with its document row (pairs,)."""
    cosines = np.empty(len(rows))
    for start in range(0, len(rows), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        cosines[block] = np.einsum("ij,ij->i", query_vectors[rows[block]], document_vectors[columns[block]])
    return cosines


def _best_of_the_others(run: Run, judgments: Judgments) -> NDArray[np.float64]:
    cosines: list[float] = []
    for row, query_id in enumerate(run.query_ids):
        positives = set(judgments.positives(query_id))
        ranking = zip(run.indices[row].tolist(), run.scores[row].tolist(), strict=True)
        others = [score for index, score in ranking if index >= 0 and run.document_ids[index] not in positives]
        cosines += others[:NEGATIVES_PER_QUERY]
    return np.array(cosines)


def histogram(cosines: NDArray[np.float64]) -> Histogram:
    """Count cosines in 40 bins over [-1, 1]; rounding errors beyond fall into the outer bins."""
    counts, _ = np.histogram(np.clip(cosines, -1.0, 1.0), bins=BINS, range=(-1.0, 1.0))
    return Histogram(-1.0, 1.0, tuple(counts.tolist()))


def separation(cosines: Cosines) -> float:
    """Return the probability that a positive's cosine exceeds a negative's, ties counting half: the ROC AUC.

    Mann-Whitney U / (positives x negatives); 0.5 when either side is empty.
    """
    positives, negatives = len(cosines.positives), len(cosines.negatives)
    if not positives or not negatives:
        return 0.5
    ranks = stats.rankdata(np.concatenate([cosines.positives, cosines.negatives]))
    statistic = float(ranks[:positives].sum()) - positives * (positives + 1) / 2
    return statistic / (positives * negatives)
