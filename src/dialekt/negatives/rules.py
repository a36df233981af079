"""The guard's rules by name, in the order in which they are asked, and the retrievers by small integer."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from dialekt.types import Retriever


class Rule(StrEnum):
    """Why a candidate did not become a hard negative. A candidate is counted under the first rule that bars it."""

    POSITIVE = "positive"
    JUDGED = "judged"
    SAME_DOCUMENT = "same_document"
    NEAR_DUPLICATE = "near_duplicate"
    HELD_OUT = "held_out"
    RANK_WINDOW = "rank_window"
    ABOVE_MARGIN = "above_margin"
    OTHER_CATEGORY = "other_category"
    NOT_SAMPLED = "not_sampled"


MEANINGS: dict[Rule, str] = {
    Rule.POSITIVE: "judged a positive of the query",
    Rule.JUDGED: "judged partly relevant, below the grade of a positive",
    Rule.SAME_DOCUMENT: "another chunk of a positive's document",
    Rule.NEAR_DUPLICATE: "the same or nearly the same text as a positive",
    Rule.HELD_OUT: "an answer of held-out queries only",
    Rule.RANK_WINDOW: "ranked before the first rank that may be a negative",
    Rule.ABOVE_MARGIN: "too close to the positive's score, perhaps an unjudged answer",
    Rule.OTHER_CATEGORY: "in another category than the positive",
    Rule.NOT_SAMPLED: "could be a negative, but the query had enough",
}

RULES: tuple[Rule, ...] = tuple(Rule)
KEPT = len(RULES)
"""The verdict on a hard negative; a verdict below it is an index into `RULES`."""
EMPTY = KEPT + 1
"""The verdict on a cell that holds no candidate."""

Verdicts = NDArray[np.int8]
"""One verdict per candidate; (queries, width)."""

RETRIEVERS: tuple[Retriever, ...] = (Retriever.GIVEN, Retriever.DENSE, Retriever.BM25)
"""Retrievers by code: in an array of candidates, the code stands for the retriever."""
GIVEN, DENSE, BM25 = range(3)
