"""What unjudged documents may hide: how many there are in the first ten, and the comparison without them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dialekt.evaluation.comparison import Settings, compare
from dialekt.evaluation.records import MAIN_SYSTEMS, JudgedShare, UnjudgedFacts
from dialekt.measures.metrics import NDCG, Judgments, ndcg, tabulate
from dialekt.measures.runs import Run
from dialekt.measures.statistics import bootstrap_intervals
from dialekt.measures.unjudged import condense, condensed_is_meaningful, judged_share, queries_with_judged_negatives
from dialekt.types import Interval

_SEED = 5


def unjudged_facts(runs: Mapping[str, Run], judgments: Judgments, settings: Settings) -> UnjudgedFacts:
    """Measure the judged share of every main system's first ten, and NDCG@10 of condensed lists."""
    systems = [name for name in MAIN_SYSTEMS if name in runs]
    judged = [judged_share(runs[name], judgments) for name in systems]
    condensed = {name: {NDCG: _condensed_ndcg(runs[name], judgments)} for name in systems}
    columns = np.column_stack([*judged, *(condensed[name][NDCG] for name in systems)])
    bounds = bootstrap_intervals(
        columns,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed + _SEED,
        bounds=(0.0, 1.0),
    )
    cells = [
        Interval(float(mean), float(low), float(high))
        for mean, (low, high) in zip(columns.mean(axis=0), bounds, strict=True)
    ]
    keys = [("tuned", "base", NDCG)] if "tuned" in runs else []
    return UnjudgedFacts(
        systems=tuple(map(JudgedShare, systems, cells[: len(systems)], cells[len(systems) :])),
        comparison=next(iter(compare(condensed, keys, settings)), None),
        judged_negatives=queries_with_judged_negatives(runs["base"], judgments),
        meaningful=condensed_is_meaningful(runs["base"], judgments),
    )


def _condensed_ndcg(run: Run, judgments: Judgments) -> NDArray[np.float64]:
    table = tabulate(judgments, query_ids=run.query_ids, document_ids=run.document_ids)
    return ndcg(condense(run, judgments).indices, table)
