"""Which unjudged results to judge first: those on which the difference between systems hangs most."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialekt.measures.metrics import CUTOFF, Judgments
from dialekt.measures.runs import Run


@dataclass(frozen=True, slots=True)
class Dispute:
    """An unjudged result near the top; `weight` is how much NDCG@10 hangs on it between two systems."""

    query_id: str
    document_id: str
    weight: float


def find_disputes(runs: Mapping[str, Run], judgments: Judgments) -> tuple[Dispute, ...]:
    """Return the unjudged results in the first ten of any system on which systems differ, the heaviest first.

    Were the document an answer of the lowest grade, a system that ranks it r-th would gain grade / log2(r + 1) of
    DCG, none beyond rank 10; the weight is the largest gain minus the smallest over all systems, divided by the ideal
    DCG@10 with that answer (Carterette, Allan & Sitaraman 2006, "Minimal test collections for retrieval evaluation",
    choose by the same idea). One system is compared with one that finds nothing. The runs have the same queries.
    """
    gains = [_discounts(run, judgments) for run in runs.values()]
    found: list[Dispute] = []
    for row, query_id in enumerate(next(iter(runs.values())).query_ids):
        ideal = _ideal_with_one_more(judgments, query_id)
        ranked = [of_system[row] for of_system in gains]
        for document_id in dict.fromkeys(name for one in ranked for name in one):
            values = [one.get(document_id, 0.0) for one in ranked]
            least = min(values) if len(values) > 1 else 0.0
            weight = judgments.level * (max(values) - least) / ideal
            if weight > 0:
                found.append(Dispute(query_id, document_id, weight))
    return tuple(sorted(found, key=lambda one: (-one.weight, one.query_id, one.document_id)))


def _discounts(run: Run, judgments: Judgments) -> list[dict[str, float]]:
    """Return, per query, 1 / log2(rank + 1) of the unjudged documents among the first ten."""
    found = []
    for query_id, names in zip(run.query_ids, _top_names(run), strict=True):
        known = judgments.grades.get(query_id, {})
        ranked = enumerate(names, start=1)
        found.append({name: 1 / math.log2(rank + 1) for rank, name in ranked if name not in known})
    return found


def _top_names(run: Run) -> Sequence[list[str]]:
    top = run.indices[:, :CUTOFF].tolist()
    return [[run.document_ids[index] for index in indices if index >= 0] for indices in top]


def _ideal_with_one_more(judgments: Judgments, query_id: str) -> float:
    grades = [*judgments.grades.get(query_id, {}).values(), judgments.level]
    best = sorted(grades, reverse=True)[:CUTOFF]
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))
