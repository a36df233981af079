"""The guard against false negatives: which rule, if any, bars each candidate of a block of queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialekt.negatives.candidates import Candidates, Floats, cosines
from dialekt.negatives.ragged import Integers, Ragged
from dialekt.negatives.rules import EMPTY, GIVEN, KEPT, RULES, Rule, Verdicts
from dialekt.negatives.tables import DocumentTable, QueryTable

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Everything a rule may look at for the queries `start` to `stop`; arrays of candidates are (queries, width)."""

    candidates: Candidates
    documents: DocumentTable
    queries: QueryTable
    start: int
    stop: int
    positive_scores: NDArray[np.float64]  # (queries,)
    margin: float
    rank_from: int

    @property
    def parents(self) -> Integers:
        """The parents of the candidates; -1 in empty cells."""
        return self.look_up(self.documents.parents)

    @property
    def given(self) -> Mask:
        """Which candidates the user named as negatives."""
        given: Mask = self.candidates.retrievers == GIVEN
        return given

    @property
    def confirmed(self) -> Mask:
        """Which candidates a judgment or the user calls no answer: the margin has nothing to add."""
        return self.given | self.judged_in(self.queries.rejected)

    def look_up(self, column: Integers) -> Integers:
        """Return a column of the document table for every candidate; -1 in empty cells."""
        return np.where(self.candidates.documents >= 0, column[self.candidates.documents], -1)

    def inside(self, sets: Ragged, values: Integers) -> Mask:
        """Return which values are in the set of their query."""
        return sets.block(self.start, self.stop).contains(values)

    def judged_in(self, sets: Ragged) -> Mask:
        """Return which candidates are in a set of codes, themselves or through their parent."""
        return self.inside(sets, self.candidates.documents) | self.inside(sets, self.parents)


def margin_thresholds(positive_scores: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """Return the cosine that a candidate must stay below: s - (1 - margin)·|s|; shape as `positive_scores`.

    s is the lowest cosine among the query's positives, in [-1, 1]. For s ≥ 0 this is margin·s, the positive-aware
    rule "TopK-PercPos" of NV-Retriever (arXiv:2407.15831, section 3.2); for s < 0, where margin·s would lie above s,
    the threshold keeps lying below s by the same share of its size.
    """
    return positive_scores - (1 - margin) * np.abs(positive_scores)


def _near_duplicate(case: Case) -> Mask:
    return case.inside(case.queries.positive_clusters, case.look_up(case.documents.clusters)) & ~case.given


def _above_margin(case: Case) -> Mask:
    thresholds = margin_thresholds(case.positive_scores, case.margin)
    return (case.candidates.scores >= thresholds[:, None]) & ~case.confirmed  # (queries, width)


def _held_out(case: Case) -> Mask:
    return case.documents.held_out[case.candidates.documents] & (case.candidates.documents >= 0)


def _other_category(case: Case) -> Mask:
    if case.documents.categories is None:
        return np.zeros(case.candidates.documents.shape, dtype=np.bool_)
    categories = case.look_up(case.documents.categories)
    return ~case.inside(case.queries.positive_categories, categories) & ~case.given


TESTS: Mapping[Rule, Callable[[Case], Mask]] = {
    Rule.POSITIVE: lambda case: case.judged_in(case.queries.positives),
    Rule.JUDGED: lambda case: case.judged_in(case.queries.partial),
    Rule.SAME_DOCUMENT: lambda case: case.inside(case.queries.positive_documents, case.parents) & ~case.given,
    Rule.NEAR_DUPLICATE: _near_duplicate,
    Rule.HELD_OUT: _held_out,
    Rule.RANK_WINDOW: lambda case: (case.candidates.ranks < case.rank_from) & ~case.given,
    Rule.ABOVE_MARGIN: _above_margin,
    Rule.OTHER_CATEGORY: _other_category,
}
"""How each rule sees a case. A given negative answers only to positive, judged and held-out."""


def judge(case: Case) -> Verdicts:
    """Return the verdict on every candidate: the index of the first rule that bars it, `KEPT`, or `EMPTY`."""
    verdicts = np.full(case.candidates.documents.shape, KEPT, dtype=np.int8)
    for number, rule in reversed(list(enumerate(RULES))):  # earlier rules overwrite later ones
        if rule in TESTS:
            verdicts[TESTS[rule](case)] = number
    verdicts[case.candidates.documents < 0] = EMPTY
    return verdicts


def lowest_positive_scores(trained: Ragged, query_vectors: Floats, document_vectors: Floats) -> NDArray[np.float64]:
    """Return the lowest cosine of each query with the documents it is trained towards; (queries,)."""
    scores = cosines(query_vectors[trained.rows], document_vectors, trained.values[:, None])[:, 0]  # (members,)
    return np.minimum.reduceat(scores, trained.offsets[:-1]).astype(np.float64)
