"""Hubs: documents that stand among the first results of far more queries than they answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.measures.metrics import CUTOFF, Judgments
from dialekt.measures.runs import Run

LEAST_QUERIES = 5
_DEVIATIONS = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Hubs:
    """`documents` (documents,) says which are hubs; `share` of all first ten places is theirs, wrongly."""

    documents: NDArray[np.bool_]
    share: float


def find_hubs(run: Run, judgments: Judgments) -> Hubs:
    """Find the documents that stand wrongly in the top 10 of at least 5 queries, more than 5 SD above the mean.

    Bad k-occurrence: places where the document is an answer do not count (Radovanović et al. 2010, "Hubs in space").
    """
    wrong = wrong_places(run, judgments)
    counts = np.bincount(run.indices[:, :CUTOFF][wrong], minlength=len(run.document_ids))
    cut = max(LEAST_QUERIES, counts.mean() + _DEVIATIONS * counts.std())
    hubs: NDArray[np.bool_] = counts >= cut
    places = int(np.count_nonzero(run.indices[:, :CUTOFF] >= 0))
    return Hubs(hubs, float(counts[hubs].sum()) / max(1, places))


def wrong_places(run: Run, judgments: Judgments) -> NDArray[np.bool_]:
    """Return which of the first ten places (queries, 10) hold a document that is not an answer."""
    top = run.indices[:, :CUTOFF]
    wrong = top >= 0
    for row, query_id in enumerate(run.query_ids):
        answers = set(judgments.positives(query_id))
        wrong[row] &= [index < 0 or run.document_ids[index] not in answers for index in top[row].tolist()]
    return wrong
