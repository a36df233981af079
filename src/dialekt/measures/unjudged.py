"""Documents that nobody judged: how many of a run's first ten they are, and what is left without them."""

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import CUTOFF, Judgments
from dialekt.measures.runs import Run

_LEAST_SHARE = 0.5


def judged_share(run: Run, judgments: Judgments) -> NDArray[np.float64]:
    """Return the share of each query's first ten results that somebody judged (queries,); 0 without results.

    Judged@10 of ir-measures: where fewer than ten were found, of those.
    """
    top = run.indices[:, :CUTOFF]
    found = (top >= 0).sum(axis=1)
    judged = _judged(Run(run.query_ids, run.document_ids, top, run.scores[:, :CUTOFF]), judgments).sum(axis=1)
    shares: NDArray[np.float64] = np.divide(judged, found, out=np.zeros(len(found)), where=found > 0)
    return shares


def condense(run: Run, judgments: Judgments) -> Run:
    """Return the run without its unjudged documents, the others moved up (Sakai 2007, "Alternatives to bpref").

    The shape stays: what became free at the end of a row is -1 and -inf.
    """
    judged = _judged(run, judgments)
    order = np.argsort(~judged, axis=1, kind="stable")  # judged ones first, in their order
    kept = np.take_along_axis(judged, order, axis=1)
    indices = np.where(kept, np.take_along_axis(run.indices, order, axis=1), -1)
    scores = np.where(kept, np.take_along_axis(run.scores, order, axis=1), -np.inf).astype(np.float32)
    return Run(run.query_ids, run.document_ids, indices, scores)


def _judged(run: Run, judgments: Judgments) -> NDArray[np.bool_]:
    """Return which places of a run hold a document that was judged for its query (queries, depth)."""
    judged = np.zeros(run.indices.shape, dtype=bool)
    for row, query_id in enumerate(run.query_ids):
        grades = judgments.grades.get(query_id, {})
        judged[row] = [index >= 0 and run.document_ids[index] in grades for index in run.indices[row].tolist()]
    return judged


def queries_with_judged_negatives(run: Run, judgments: Judgments) -> int:
    """Return for how many queries of the run a document was judged to be no answer."""
    return sum(
        any(grade < judgments.level for grade in judgments.grades.get(query_id, {}).values())
        for query_id in run.query_ids
    )


def condensed_is_meaningful(run: Run, judgments: Judgments) -> bool:
    """Whether condensed lists say something: at least half of the queries have a document judged to be no answer."""
    return queries_with_judged_negatives(run, judgments) >= _LEAST_SHARE * len(run.query_ids)
